//! What requests to nodes and to facilitators share: bounds on time and on size, and words for what
//! went wrong that spell out no URL.

use std::time::Duration;

use reqwest::{Client, Response, redirect::Policy};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TEXT_CHARS_MAX: usize = 300;
/// Parts of a URL or a header shorter than this are taken for words, not for secrets.
const SECRET_CHARS_MIN: usize = 8;

/// A client without redirects and without a proxy from the environment. `timeout` holds for a whole
/// exchange, the body included.
pub(super) fn client(timeout: Duration) -> Result<Client, reqwest::Error> {
    Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .build()
}

/// The body, unless it is longer than `bytes_max`; then no more of it is read.
pub(super) async fn bounded_body(
    mut response: Response,
    bytes_max: usize,
) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await;
        let Some(chunk) = chunk.map_err(|error| in_words(&error).to_owned())? else {
            return Ok(body);
        };
        if body.len() + chunk.len() > bytes_max {
            return Err(format!("its reply exceeds {bytes_max} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
}

/// What went wrong, in words of our own: the library's would spell out the URL.
pub(super) fn in_words(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "the connection failed"
    } else {
        "the connection broke"
    }
}

/// Text of others, fit for a log line.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .take(TEXT_CHARS_MAX)
        .collect()
}

/// [`printable`] text of somebody who may repeat the secrets that he was sent.
pub(super) fn redacted<'a>(text: &str, secrets: impl Iterator<Item = &'a str>) -> String {
    let secrets = secrets.filter(|secret| secret.len() >= SECRET_CHARS_MIN);
    let text = secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "…"));
    printable(&text)
}

/// Host and port: what a URL may be called by.
pub(super) fn host_and_port(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
