//! `facilitator` in `[[network]]`: who brings payments onto the chain.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use reqwest::Url;
use zeroize::Zeroizing;

use super::{problems::Problems, raw};

const FACILITATORS_MAX: usize = 4;
const TIMEOUT_MS: (u64, u64) = (100, 120_000);
const TIMEOUT_MS_DEFAULT: u64 = 30_000;
const KEYS: [&str; 4] = ["url", "authorization_file", "authorization", "timeout_ms"];

/// Who settles payments of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Facilitator {
    /// This service, with its relayer's key.
    Local,
    Remote(RemoteFacilitator),
}

/// An x402 facilitator elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteFacilitator {
    /// Below it lies `/settle`.
    pub url: Url,
    pub authorization: Option<Authorization>,
    /// How long a whole answer may take.
    pub timeout: Duration,
}

/// Where the value of the `Authorization` header comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization {
    File(PathBuf),
    Value(Zeroizing<String>),
}

impl fmt::Debug for RemoteFacilitator {
    /// Without path and header: operators of facilitators put keys into them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RemoteFacilitator")
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::File(_) => "Authorization(a file)",
            Self::Value(_) => "Authorization(a value)",
        })
    }
}

pub(super) fn facilitators(
    key: &str,
    raw: &raw::Facilitators,
    problems: &mut Problems,
) -> Vec<Facilitator> {
    let list = match raw {
        raw::Facilitators::One(one) => {
            return facilitator(key, one, problems).into_iter().collect();
        }
        raw::Facilitators::More(list) => list,
    };
    if list.is_empty() || list.len() > FACILITATORS_MAX {
        problems.add(
            key,
            format_args!("must be 1 to {FACILITATORS_MAX} facilitators"),
        );
    }
    let mut facilitators = Vec::new();
    for (index, raw) in list.iter().enumerate() {
        let key = format!("{key}[{index}]");
        let Some(facilitator) = facilitator(&key, raw, problems) else {
            continue;
        };
        let names_the_same = |other: &Facilitator| match (other, &facilitator) {
            (Facilitator::Local, Facilitator::Local) => true,
            (Facilitator::Remote(one), Facilitator::Remote(other)) => one.url == other.url,
            _ => false,
        };
        if facilitators.iter().any(names_the_same) {
            problems.add(key, "is configured twice");
        }
        facilitators.push(facilitator);
    }
    facilitators
}

fn facilitator(key: &str, raw: &raw::Facilitator, problems: &mut Problems) -> Option<Facilitator> {
    match raw {
        raw::Facilitator::Name(name) if name == "local" => Some(Facilitator::Local),
        raw::Facilitator::Name(text) => {
            let remote = RemoteFacilitator {
                url: url(key, text, problems)?,
                authorization: None,
                timeout: Duration::from_millis(TIMEOUT_MS_DEFAULT),
            };
            Some(Facilitator::Remote(remote))
        }
        raw::Facilitator::Table(table) => remote(key, table, problems).map(Facilitator::Remote),
    }
}

fn remote(
    key: &str,
    table: &BTreeMap<String, raw::TextOrNumber>,
    problems: &mut Problems,
) -> Option<RemoteFacilitator> {
    for name in table.keys().filter(|name| !KEYS.contains(&name.as_str())) {
        let known = KEYS.join(", ");
        problems.add(
            format_args!("{key}.{name}"),
            format_args!("is no key; the keys here are {known}"),
        );
    }
    let mut text = |name: &str| match table.get(name)? {
        raw::TextOrNumber::Text(text) => Some(text),
        raw::TextOrNumber::Number(_) => {
            problems.add(format_args!("{key}.{name}"), "must be a string");
            None
        }
    };
    let (url_text, file, value) = (
        text("url"),
        text("authorization_file"),
        text("authorization"),
    );
    if !table.contains_key("url") {
        problems.add(format_args!("{key}.url"), "is missing");
    }
    let url = url_text.and_then(|text| url(&format!("{key}.url"), text, problems));
    let authorization = match (file, value) {
        (Some(_), Some(_)) => {
            let what = "must not stand beside authorization_file";
            problems.add(format_args!("{key}.authorization"), what);
            None
        }
        (Some(file), None) => Some(Authorization::File(file.into())),
        (None, Some(value)) => Some(Authorization::Value(value.clone().into())),
        (None, None) => None,
    };
    let timeout_ms = match table.get("timeout_ms") {
        None => TIMEOUT_MS_DEFAULT,
        Some(raw::TextOrNumber::Number(number)) => {
            problems.within(format!("{key}.timeout_ms"), *number, TIMEOUT_MS)
        }
        Some(raw::TextOrNumber::Text(_)) => {
            let what = "must be a whole number, not negative";
            problems.add(format_args!("{key}.timeout_ms"), what);
            return None;
        }
    };
    Some(RemoteFacilitator {
        url: url?,
        authorization,
        timeout: Duration::from_millis(timeout_ms),
    })
}

/// Not repeated in problems: it may hold a key.
fn url(key: &str, text: &str, problems: &mut Problems) -> Option<Url> {
    let Some(url) = Url::parse(text).ok().filter(is_http) else {
        let what = "must be \"local\" or the http:// or https:// URL of a facilitator";
        problems.add(key, what);
        return None;
    };
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    if has_credentials || url.query().is_some() || url.fragment().is_some() {
        let what =
            "must have no credentials, query or fragment; a key belongs in authorization_file";
        problems.add(key, what);
        return None;
    }
    Some(url)
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}
