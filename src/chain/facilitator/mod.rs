//! Who brings payments onto the chain: the relayer of this service, or an x402 facilitator elsewhere.
//!
//! Owns the request to a facilitator with its bounds, and the breaker that spares one which fails.
//! Nothing that a facilitator answers, or fails to answer, says what became of a payment: the facts
//! on the chain do. So an answer is a hint, and an error is an outcome that nobody knows.

mod answer;
mod breaker;

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{
    Client, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use thiserror::Error;
use zeroize::Zeroizing;

pub use answer::Answer;
use breaker::Breaker;

use super::exchange;
use crate::base::NetworkId;

/// A settlement's answer is a few hundred bytes.
const REPLY_BYTES_MAX: usize = 64 * 1024;
/// Requests that one facilitator has at a time; more wait for their next turn.
const IN_FLIGHT_MAX: usize = 64;

/// What an operator says of a facilitator.
pub enum FacilitatorSettings {
    /// The relayer of this service.
    Local,
    Remote(RemoteSettings),
}

/// What an operator says of a facilitator elsewhere.
pub struct RemoteSettings {
    /// Below it lies `/settle`. May hold credentials.
    pub url: Url,
    /// The whole value of the `Authorization` header.
    pub authorization: Option<Zeroizing<String>>,
    /// How long an answer may take, from the first byte sent to the last byte read.
    pub timeout: Duration,
}

/// Who settles payments of a network.
#[derive(Debug)]
pub enum Facilitator {
    Local,
    Remote(Box<Remote>),
}

/// A facilitator elsewhere.
pub struct Remote {
    network: NetworkId,
    url: Url,
    /// Host and port.
    name: String,
    authorization: Option<HeaderValue>,
    client: Client,
    breaker: Mutex<Breaker>,
    in_flight: AtomicUsize,
}

/// A request that may be sent now.
pub struct Turn<'a>(&'a Remote);

/// A request without an answer. What it was for may have been done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("The facilitator {facilitator} gave no answer: {reason}.")]
pub struct FacilitatorError {
    pub facilitator: String,
    pub reason: String,
}

/// Why settings describe no facilitator. Each message completes "facilitator …".
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FacilitatorSettingsError {
    #[error("must name at least one")]
    Nobody,
    #[error("must be http:// or https:// with a host")]
    NotHttp,
    #[error("has an authorization that is no value of an HTTP header")]
    Authorization,
    #[error("cannot be asked, since the HTTP client does not start: {0}")]
    HttpClient(String),
}

impl Facilitator {
    pub(super) fn new(
        settings: FacilitatorSettings,
        network: NetworkId,
    ) -> Result<Self, FacilitatorSettingsError> {
        match settings {
            FacilitatorSettings::Local => Ok(Self::Local),
            FacilitatorSettings::Remote(settings) => {
                let remote = Remote::new(settings, network)?;
                Ok(Self::Remote(Box::new(remote)))
            }
        }
    }
}

impl Remote {
    fn new(settings: RemoteSettings, network: NetworkId) -> Result<Self, FacilitatorSettingsError> {
        let mut url = settings.url;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(FacilitatorSettingsError::NotHttp);
        }
        let path = format!("{}/settle", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let client = exchange::client(settings.timeout).map_err(|error| {
            FacilitatorSettingsError::HttpClient(error.without_url().to_string())
        })?;
        let authorization = settings.authorization.map(|text| {
            let mut value = HeaderValue::from_str(&text)?;
            value.set_sensitive(true);
            Ok::<_, reqwest::header::InvalidHeaderValue>(value)
        });
        let remote = Self {
            network,
            name: exchange::host_and_port(&url),
            url,
            authorization: authorization
                .transpose()
                .map_err(|_| FacilitatorSettingsError::Authorization)?,
            client,
            breaker: Mutex::default(),
            in_flight: AtomicUsize::new(0),
        };
        remote.show_breaker(&remote.breaker());
        Ok(remote)
    }

    /// Host and port.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A turn to send one request, unless the breaker is open or it has enough to do.
    #[must_use]
    pub fn turn(&self) -> Option<Turn<'_>> {
        // Counted before it is judged, so that many at once see each other; dropped, it is given back.
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let turn = Turn(self);
        let admitted = before < IN_FLIGHT_MAX && self.admits();
        if !admitted {
            metrics::counter!("facilitator_held_back_total", &self.labels()).increment(1);
        }
        admitted.then_some(turn)
    }

    fn admits(&self) -> bool {
        let mut breaker = self.breaker();
        let admits = breaker.admits(Instant::now());
        self.show_breaker(&breaker);
        admits
    }

    async fn post(&self, body: Vec<u8>) -> Result<Answer, String> {
        let mut request = self.client.post(self.url.clone());
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let sent = request
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .send();
        let response = sent
            .await
            .map_err(|error| exchange::in_words(&error).to_owned())?;
        let status = response.status();
        let body = exchange::bounded_body(response, REPLY_BYTES_MAX).await?;
        Answer::read(status, &body, self.secrets())
    }

    /// What a facilitator might repeat: the URL's parts, and the header's, with and without its
    /// scheme.
    fn secrets(&self) -> impl Iterator<Item = &str> {
        let header = self.authorization.as_ref();
        let header = header.and_then(|value| value.to_str().ok());
        let token = header.and_then(|text| text.split_once(' '));
        let path = self.url.path_segments().into_iter().flatten();
        header
            .into_iter()
            .chain(token.map(|(_, token)| token.trim()))
            .chain(path)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // A counter is never half-changed.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show_breaker(&self, breaker: &Breaker) {
        let labels = self.labels();
        metrics::gauge!("facilitator_breaker", &labels).set(breaker.state().gauge());
    }

    fn labels(&self) -> [(&'static str, String); 2] {
        [
            ("network", self.network.to_string()),
            ("facilitator", self.name.clone()),
        ]
    }

    fn note(&self, answered: bool, took: Duration) {
        let labels = self.labels();
        metrics::counter!("facilitator_requests_total", &labels).increment(1);
        metrics::histogram!("facilitator_request_seconds", &labels).record(took);
        let mut breaker = self.breaker();
        let before = breaker.state();
        if answered {
            breaker.succeeded();
        } else {
            metrics::counter!("facilitator_failures_total", &labels).increment(1);
            breaker.failed(Instant::now());
        }
        let after = breaker.state();
        self.show_breaker(&breaker);
        if before != after {
            tracing::warn!(network = %self.network, facilitator = self.name, ?before, ?after, "a facilitator's breaker turned");
        }
    }
}

impl Turn<'_> {
    /// Asks for a settlement: `body` is x402's JSON for `/settle`. May be repeated with the same
    /// body at any time.
    ///
    /// # Errors
    /// When there is no answer within bounds of time and size, or one of something else.
    pub async fn settle(self, body: Vec<u8>) -> Result<Answer, FacilitatorError> {
        let remote = self.0;
        let began = Instant::now();
        let answer = remote.post(body).await;
        remote.note(answer.is_ok(), began.elapsed());
        answer.map_err(|reason| FacilitatorError {
            facilitator: remote.name.clone(),
            reason,
        })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Remote({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(url: &str) -> Result<Remote, FacilitatorSettingsError> {
        let settings = RemoteSettings {
            url: url.parse().unwrap(),
            authorization: Some(Zeroizing::new("Bearer hunter2hunter2".to_owned())),
            timeout: Duration::from_secs(1),
        };
        Remote::new(settings, NetworkId::from_chain_id(1))
    }

    #[test]
    fn settle_lies_below_the_url() {
        for (url, settle) in [
            ("https://x402.example", "https://x402.example/settle"),
            ("https://x402.example/", "https://x402.example/settle"),
            ("http://[::1]:8/v2/x402//", "http://[::1]:8/v2/x402/settle"),
        ] {
            assert_eq!(remote(url).unwrap().url.as_str(), settle);
        }
        let refused = remote("ftp://x402.example").unwrap_err();
        assert_eq!(refused, FacilitatorSettingsError::NotHttp);
    }

    #[test]
    fn no_more_than_its_turns_are_given_and_each_comes_back() {
        let remote = remote("https://x402.example/0123456789abcdef").unwrap();
        let mut turns: Vec<_> = (0..IN_FLIGHT_MAX).map(|_| remote.turn().unwrap()).collect();
        assert!(remote.turn().is_none());
        turns.pop();
        let turn = remote.turn().unwrap();
        assert!(remote.turn().is_none());
        drop((turn, turns));
        assert_eq!(remote.in_flight.load(Ordering::Relaxed), 0);

        let shown = format!("{remote:?} {}", remote.name());
        assert!(!shown.contains("hunter2") && !shown.contains("0123456789abcdef"));
    }

    #[test]
    fn an_answer_that_repeats_the_secrets_is_told_without_them() {
        let remote = remote("https://x402.example/0123456789abcdef").unwrap();
        let body = br#"{"success":false,"errorReason":"Bearer hunter2hunter2 at 0123456789abcdef, hunter2hunter2"}"#;
        let answer = Answer::read(reqwest::StatusCode::OK, body, remote.secrets()).unwrap();
        assert_eq!(answer.reason.unwrap(), "… at …, …");
    }
}
