//! Requests as they stand, so that what went over the wire can be told.

use std::{str::FromStr, time::Duration};

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;

use super::failure::{Failure, broken};
use crate::{
    auth::json::{self, Node},
    base::Credits,
    x402::{HEADER_BYTES_MAX, decode_header},
};

const TIMEOUT: Duration = Duration::from_secs(30);
const REASON_CHARS_MAX: usize = 300;

/// The way to the service, for a client that signs for itself.
pub(super) struct Wire {
    http: reqwest::Client,
    url: String,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    headers: HeaderMap,
}

impl Wire {
    pub(super) fn new(url: String) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self { http, url })
    }

    /// Sends JSON, with `PAYMENT-SIGNATURE` if there is a payment.
    pub(super) async fn post(
        &self,
        path: &str,
        body: &str,
        payment: Option<&str>,
    ) -> Result<Answer, Failure> {
        let mut request = self
            .http
            .post(format!("{}{path}", self.url))
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_owned());
        if let Some(payment) = payment {
            request = request.header("PAYMENT-SIGNATURE", payment);
        }
        let response = request.send().await?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?.into(),
        })
    }
}

impl Answer {
    /// # Errors
    /// When the status is another; the answer's body says why.
    pub(super) fn expect(self, status: u16) -> Result<Self, Failure> {
        if self.status == status {
            return Ok(self);
        }
        let body = || String::from_utf8_lossy(&self.body).into_owned();
        let reason = self.text(&["detail"]).unwrap_or_else(|_| body());
        let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        Err(broken(format!(
            "expected status {status}, got {}: {reason}",
            self.status
        )))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A document of x402 that came in a header.
    pub(super) fn document<T: DeserializeOwned>(&self, header: &str) -> Result<T, Failure> {
        let text = self
            .header(header)
            .ok_or_else(|| broken(format!("the answer has no {header} header")))?;
        decode_header(text, HEADER_BYTES_MAX)
            .map_err(|error| broken(format!("the {header} header {error}")))
    }

    /// The text at a path of members.
    pub(super) fn text(&self, path: &[&str]) -> Result<String, Failure> {
        self.member(path, |node| node.as_str().map(str::to_owned))
    }

    /// The amount in a member, from the digits as they stand.
    pub(super) fn credits(&self, name: &str) -> Result<Credits, Failure> {
        self.member(&[name], |node| Credits::from_str(node.as_number()?).ok())
    }

    fn member<T>(
        &self,
        path: &[&str],
        read: impl FnOnce(&Node<'_>) -> Option<T>,
    ) -> Result<T, Failure> {
        let node = json::parse(&self.body)
            .map_err(|error| broken(format!("the answer is no JSON: the text {error}")))?;
        let mut found = Some(&node);
        for name in path {
            found = found.and_then(|node| node.get(name));
        }
        found.and_then(read).ok_or_else(|| {
            let name = path.join(".");
            broken(format!(
                "{name} is missing from the answer, or is no such value"
            ))
        })
    }
}
