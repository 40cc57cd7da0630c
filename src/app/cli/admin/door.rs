//! The way to a service's books: over its socket while it runs, through the same router in this
//! process while it does not.

use std::{io::ErrorKind, path::PathBuf, time::Duration};

use axum::{body::Body, http::Request};
use http_body_util::BodyExt;
use reqwest::{Method, StatusCode, header::CONTENT_TYPE};
use serde_json::Value;
use tokio::net::UnixStream;
use tower::ServiceExt;

use crate::{
    app::{
        cli::outcome::Failed,
        config::{self, Config},
        serve::{self, Books, ServeError},
    },
    http::ADMIN_DATABASE,
    store::StoreError,
};

/// The longest that a verb may take.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(2);
const JSON: &str = "application/json";

#[derive(Debug, clap::Args)]
pub(super) struct DoorArgs {
    /// The service's configuration (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// A verb of the operator's, as the service's socket takes it.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// With its query.
    pub(super) path: &'a str,
    pub(super) body: Option<Value>,
}

impl DoorArgs {
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Value, Failed> {
        let config = config::load(&self.config)
            .map_err(|error| Failed::usage("BAD_CONFIGURATION", format!("{error}.")))?;
        let socket = serve::socket_path(&config.keys_directory);
        let (status, body) = match UnixStream::connect(&socket).await {
            Ok(_) => knock(&config, socket, ask).await?,
            Err(error) if nobody_listens(error.kind()) => open_books(config, socket, ask).await?,
            Err(error) => {
                let detail = format!("The socket {} refuses: {error}.", socket.display());
                let next = "run the command as the account that runs the service";
                return Err(Failed::unreachable("UNREACHABLE", detail).next(next));
            }
        };
        if status.is_success() {
            return Ok(body);
        }
        let next = body["code"].as_str().and_then(after);
        let failed = Failed::problem(status.as_u16(), body);
        Err(match next {
            Some(next) => failed.next(next),
            None => failed,
        })
    }
}

/// What an operator can do about a refusal.
fn after(code: &str) -> Option<&'static str> {
    Some(match code {
        "PAYMENT_NOT_FOUND" | "NOT_IN_SUSPENSE" => {
            "see what is in suspense with `counterfoil admin suspense list`"
        }
        "REFUND_CAP_REACHED" => "wait, or raise refund_cap_credits of that network",
        "FLOAT_SHORT" => "send to the float what it lacks, and run the same command again",
        _ => return None,
    })
}

const fn nobody_listens(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

async fn knock(
    config: &Config,
    socket: PathBuf,
    ask: Ask<'_>,
) -> Result<(StatusCode, Value), Failed> {
    let unanswered = |error: reqwest::Error| {
        let detail = format!("The service gave no answer: {}.", error.without_url());
        Failed::unreachable("UNREACHABLE", detail)
            .next("look at what became of it, then run the same command again")
    };
    let client = reqwest::Client::builder()
        .no_proxy()
        .unix_socket(socket)
        .timeout(ANSWER_TIMEOUT)
        .build()
        .map_err(unanswered)?;
    let database = serve::database_name(&config.database_file);
    let request = client
        .request(ask.method, format!("http://admin{}", ask.path))
        .header(ADMIN_DATABASE, database);
    let request = match ask.body {
        Some(body) => request.json(&body),
        None => request,
    };
    let response = request.send().await.map_err(unanswered)?;
    let status = response.status();
    let body = response.bytes().await.map_err(unanswered)?;
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

async fn open_books(
    config: Config,
    socket: PathBuf,
    ask: Ask<'_>,
) -> Result<(StatusCode, Value), Failed> {
    if !config.database_file.exists() {
        let file = config.database_file.display();
        let detail = format!(
            "No service listens on {}, and there is no {file}.",
            socket.display()
        );
        return Err(Failed::unreachable("NO_DATABASE", detail)
            .next("run the command where the service runs: relative paths are taken from there"));
    }
    let database = serve::database_name(&config.database_file);
    let books = Books::open(config).await.map_err(|error| {
        let failed = Failed::unreachable("UNREACHABLE", format!("{error}."));
        match error {
            ServeError::Store(StoreError::Locked(_)) => {
                let socket = socket.display();
                failed.next(format!(
                    "try again in a while: the service starts or ends; or stop it, if {socket} could not be made"
                ))
            }
            _ => failed,
        }
    })?;
    let body = ask
        .body
        .map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let request = Request::builder()
        .method(ask.method)
        .uri(ask.path)
        .header(ADMIN_DATABASE, database)
        .header(CONTENT_TYPE, JSON)
        .body(body)
        .map_err(|error| Failed::usage("INVALID_REQUEST", format!("{error}.")))?;
    let Ok(response) = books.router().oneshot(request).await;
    let (parts, body) = response.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    books.close().await;
    let body = body.map_err(|error| Failed::unreachable("UNREACHABLE", format!("{error}.")))?;
    Ok((
        parts.status,
        serde_json::from_slice(&body).unwrap_or_default(),
    ))
}
