//! `[server]` and `[database]`: where the service is, and where its books are.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use reqwest::Url;

use super::{problems::Problems, raw};

const PUBLIC_URL_BYTES_MAX: usize = 256;
const TRUSTED_PROXIES_MAX: usize = 64;

/// Where the service listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub listen: SocketAddr,
    /// `None`: no metrics.
    pub metrics_listen: Option<SocketAddr>,
    /// Scheme and host, without a slash at the end.
    pub public_url: String,
    /// How long running calls may take to finish once the service is asked to stop.
    pub shutdown: Duration,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
}

pub(super) fn server(raw: &raw::Server, problems: &mut Problems) -> Option<Server> {
    let listen = socket("server.listen", &raw.listen, problems);
    let metrics_listen = raw
        .metrics_listen
        .as_ref()
        .map(|text| socket("server.metrics_listen", text, problems));
    let shutdown_seconds =
        problems.within("server.shutdown_seconds", raw.shutdown_seconds, (1, 600));
    if let (Some(listen), Some(Some(metrics))) = (listen, metrics_listen)
        && listen == metrics
        && listen.port() != 0
    {
        problems.add_value(
            "server.metrics_listen",
            metrics,
            "is where the service itself listens; choose another port",
        );
    }
    let trusted_proxies = trusted_proxies(&raw.trusted_proxies, problems);
    let public_url = public_url(&raw.public_url, problems);
    Some(Server {
        listen: listen?,
        metrics_listen: metrics_listen.flatten(),
        public_url: public_url?,
        shutdown: Duration::from_secs(shutdown_seconds),
        trusted_proxies,
    })
}

fn socket(key: &str, text: &str, problems: &mut Problems) -> Option<SocketAddr> {
    let what = "is not an IP address and port such as 127.0.0.1:4020 or [::]:4020";
    problems.take(key, text, text.parse().map_err(|_| what))
}

fn trusted_proxies(texts: &[String], problems: &mut Problems) -> Vec<IpAddr> {
    if texts.len() > TRUSTED_PROXIES_MAX {
        let what = format_args!("has more than {TRUSTED_PROXIES_MAX} addresses");
        problems.add("server.trusted_proxies", what);
        return Vec::new();
    }
    let proxies = texts.iter().enumerate().filter_map(|(position, text)| {
        let key = format!("server.trusted_proxies[{position}]");
        let what = "is not an IP address such as 127.0.0.1 or ::1";
        problems.take(key, text, text.parse().map_err(|_| what))
    });
    proxies.collect()
}

fn public_url(text: &str, problems: &mut Problems) -> Option<String> {
    let origin = Url::parse(text).ok().filter(|url| {
        let plain = format!("{}/", text.trim_end_matches('/'));
        matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && plain.len() <= PUBLIC_URL_BYTES_MAX
    });
    let origin = origin.map(|url| url.as_str().trim_end_matches('/').to_owned());
    let what = "is not an http:// or https:// URL of a host and nothing after it";
    problems.take("server.public_url", text, origin.ok_or(what))
}

/// The file that the URL of the database names. A query, as `sqlx` knows it, is passed over.
pub(super) fn database_file(raw: &raw::Database, problems: &mut Problems) -> PathBuf {
    let key = "database.url";
    // The URL itself is not repeated: one of a database server may hold a password.
    if raw.url.starts_with("postgres:") || raw.url.starts_with("postgresql:") {
        problems.add(
            key,
            "names PostgreSQL; this version keeps its books in SQLite only: sqlite://FILE",
        );
    } else if let Some(rest) = raw.url.strip_prefix("sqlite://") {
        let file = rest.split('?').next().unwrap_or_default();
        if !file.is_empty() && !rest.contains(":memory:") && !rest.contains("mode=memory") {
            return PathBuf::from(file);
        }
        if file.is_empty() {
            problems.add(key, "names no file: write sqlite://FILE");
        } else {
            problems.add(
                key,
                "names a database in memory; credits must survive a restart: write sqlite://FILE",
            );
        }
    } else {
        problems.add(key, "must be sqlite:// and the path of a file");
    }
    PathBuf::new()
}
