//! One request, one answer.
//!
//! Redirects, proxies of the environment, retries and decompression are off: what is sent again is
//! decided in `deliver` alone, and a signed request goes to the service that it was meant for.

use std::{error::Error, iter, time::Duration};

use reqwest::{
    Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect, retry,
};
use thiserror::Error;

use super::error::{ClientError, Problem};

const USER_AGENT: &str = concat!("counterfoil/", env!("CARGO_PKG_VERSION"));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A tool's reply is 1 MiB at most unless the operator says otherwise, and grows when it is
/// wrapped.
const REPLY_BYTES_MAX: usize = 8 << 20;
/// How much of an answer that makes no sense is shown.
const EXCERPT_CHARS_MAX: usize = 200;

#[derive(Clone, Debug)]
pub(super) struct Transport {
    http: reqwest::Client,
    /// Without a slash at the end.
    base: String,
}

/// A request, ready to be sent any number of times.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    path: String,
    /// Sent with POST; without it the request is a GET.
    body: Option<Vec<u8>>,
    payment: Option<HeaderValue>,
}

#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) retry_after: Option<Duration>,
    headers: HeaderMap,
}

/// Why a request has no answer.
#[derive(Clone, Debug, Error)]
pub(super) enum SendError {
    /// Nothing was sent.
    #[error("{0}")]
    NotSent(String),
    /// It may have arrived.
    #[error("{0}")]
    Broken(String),
    #[error("the answer is larger than {REPLY_BYTES_MAX} bytes")]
    TooLarge,
}

impl Outgoing {
    pub(super) const fn get(path: String) -> Self {
        Self {
            path,
            body: None,
            payment: None,
        }
    }

    pub(super) const fn post(path: String, body: Vec<u8>) -> Self {
        Self {
            path,
            body: Some(body),
            payment: None,
        }
    }

    pub(super) fn with_payment(mut self, mut header: HeaderValue) -> Self {
        header.set_sensitive(true);
        self.payment = Some(header);
        self
    }
}

impl Transport {
    pub(super) fn new(base_url: &str, timeout: Duration) -> Result<Self, ClientError> {
        let url = Url::parse(base_url).map_err(|error| ClientError::BaseUrl(error.to_string()))?;
        let bad = |reason: &str| Err(ClientError::BaseUrl(reason.to_owned()));
        if !matches!(url.scheme(), "http" | "https") {
            return bad("it begins with neither http:// nor https://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return bad("it holds a user name or a password");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return bad("it has a query or a fragment");
        }
        Ok(Self {
            http: http(timeout)?,
            base: url.as_str().trim_end_matches('/').to_owned(),
        })
    }

    pub(super) fn with_timeout(self, timeout: Duration) -> Result<Self, ClientError> {
        Ok(Self {
            http: http(timeout)?,
            ..self
        })
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) async fn send(&self, request: &Outgoing) -> Result<Reply, SendError> {
        let url = format!("{}{}", self.base, request.path);
        let mut builder = match &request.body {
            Some(body) => self
                .http
                .post(url)
                .header(CONTENT_TYPE, JSON)
                .body(body.clone()),
            None => self.http.get(url),
        };
        if let Some(payment) = &request.payment {
            builder = builder.header("payment-signature", payment.clone());
        }
        let mut response = builder.send().await.map_err(classify)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(classify)? {
            if chunk.len() > REPLY_BYTES_MAX - body.len() {
                return Err(SendError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let headers = std::mem::take(response.headers_mut());
        Ok(Reply {
            status: response.status().as_u16(),
            body,
            retry_after: retry_after(&headers),
            headers,
        })
    }
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What the service says is wrong, if this is how it says it.
    pub(super) fn problem(&self) -> Option<Problem> {
        Problem::read(self.status, &self.body)
    }

    /// The body of a 200; anything else is an error.
    pub(super) fn into_success(self) -> Result<Vec<u8>, ClientError> {
        if self.status == 200 {
            return Ok(self.body);
        }
        Err(self.into_error())
    }

    pub(super) fn into_error(self) -> ClientError {
        match self.problem() {
            Some(problem) => ClientError::Refused(Box::new(problem)),
            None if self.status == 202 => self.unexpected("The payment is still being settled"),
            None => self.unexpected("The service did not answer as its protocol says"),
        }
    }

    pub(super) fn unexpected(&self, reason: impl Into<String>) -> ClientError {
        let text = String::from_utf8_lossy(&self.body);
        ClientError::Unexpected {
            status: Some(self.status),
            reason: reason.into(),
            excerpt: text.trim().chars().take(EXCERPT_CHARS_MAX).collect(),
        }
    }
}

fn http(timeout: Duration) -> Result<reqwest::Client, ClientError> {
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .build()
        .map_err(|error| ClientError::Tls(causes(&error)))
}

/// Seconds only: the service sends nothing else.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn classify(error: reqwest::Error) -> SendError {
    // A URL may hold a purchase's id, which is a secret.
    let error = error.without_url();
    if error.is_connect() {
        SendError::NotSent(causes(&error))
    } else {
        SendError::Broken(causes(&error))
    }
}

/// The innermost cause is the one that helps.
fn causes(error: &(dyn Error + 'static)) -> String {
    let last = iter::successors(Some(error), |&cause| cause.source()).last();
    last.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transport(url: &str) -> Result<Transport, ClientError> {
        Transport::new(url, Duration::from_secs(1))
    }

    #[test]
    fn takes_a_base_with_or_without_a_path_or_slash() {
        for (url, base) in [
            ("http://127.0.0.1:4020", "http://127.0.0.1:4020"),
            ("https://pay.example/", "https://pay.example"),
            ("https://example.org/pay/", "https://example.org/pay"),
        ] {
            assert_eq!(transport(url).unwrap().base(), base);
        }
    }

    #[test]
    fn refuses_other_urls() {
        for url in [
            "",
            "127.0.0.1:4020",
            "ftp://example.org",
            "http://me:secret@example.org",
            "http://me@example.org",
            "http://example.org?x=1",
            "http://example.org/#top",
        ] {
            let error = transport(url).unwrap_err();
            assert!(matches!(error, ClientError::BaseUrl(_)), "{url}: {error}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_nothing() {
        for (text, expected) in [
            ("3", Some(Duration::from_secs(3))),
            ("-1", None),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            assert_eq!(retry_after(&headers), expected, "{text}");
        }
    }
}
