//! What can go wrong between an agent and the service, and what the service says of it.

use serde_json::{Map, Value};
use thiserror::Error;

use super::{OfferError, WalletError};
use crate::{
    auth::json::JsonError,
    base::{IdError, RequestId},
};

/// A refusal in the service's own words: `application/problem+json` (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: u16,
    /// One of the codes of docs/PROTOCOL.md section 2.
    pub code: String,
    pub title: String,
    pub detail: String,
    /// Every other member, such as `suggested_credits` or `expected_message`.
    pub rest: Map<String, Value>,
}

/// Why a verb of the client did not do what was asked.
#[derive(Debug, Error)]
pub enum ClientError {
    #[error("The service's URL cannot be used: {0}.")]
    BaseUrl(String),
    #[error("TLS cannot be set up: {0}.")]
    Tls(String),
    #[error("This needs a wallet, and the client has none.")]
    NoWallet,
    #[error(transparent)]
    Wallet(#[from] WalletError),
    #[error("The system gives no random bytes.")]
    Randomness,
    /// The name of a tool or action.
    #[error("The {what} {problem}.")]
    Name {
        what: &'static str,
        problem: IdError,
    },
    #[error("The session nonce is not one that this service gave out.")]
    SessionNonce,
    #[error("The parameters cannot be written as JSON: {0}.")]
    ParametersUnwritable(String),
    #[error("The parameters are no JSON that can be signed: the text {0}.")]
    Parameters(JsonError),
    /// Nothing was done.
    #[error("The service at {url} cannot be reached: {reason}.")]
    Unreachable { url: String, reason: String },
    /// Nothing was charged, unless the problem says so.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// Nothing was signed.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// The payment was not taken, and no other was signed.
    #[error("The payment was refused: {reason}.")]
    PaymentRefused {
        /// An error code of the x402 specification, or the service's own.
        reason: String,
    },
    /// A signed call was sent and never answered. Sent again with the same session and request
    /// id, it is charged once at most.
    #[error("The call may or may not have been charged: {cause}")]
    CallUnknown {
        session_nonce: String,
        request_id: RequestId,
        cause: Box<ClientError>,
    },
    /// A payment was sent and never answered, and no other was signed.
    #[error("The payment may or may not have been taken: {cause}")]
    PaymentUnknown {
        /// Unix seconds. What has not been taken by then cannot be taken any more.
        valid_before: u64,
        cause: Box<ClientError>,
    },
    /// The payment was taken and is on its way; the credits arrive by themselves.
    #[error("The payment was taken and is still {status}; its credits arrive by themselves.")]
    Settling { purchase_id: String, status: String },
    #[error("{reason}{}.", answered(*status, excerpt))]
    Unexpected {
        status: Option<u16>,
        reason: String,
        excerpt: String,
    },
}

impl Problem {
    /// `None` when the body is not an object with a `code`.
    pub(super) fn read(status: u16, body: &[u8]) -> Option<Self> {
        let mut rest: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let mut take = |name: &str| match rest.shift_remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let code = take("code")?;
        let (title, detail) = (take("title"), take("detail"));
        take("type");
        rest.shift_remove("status");
        Some(Self {
            status,
            code,
            title: title.unwrap_or_default(),
            detail: detail.unwrap_or_default(),
            rest,
        })
    }

    /// A session that another one can replace: nothing was done under it.
    pub(super) fn is_of_session(&self) -> bool {
        matches!(
            self.code.as_str(),
            "EXTERNAL_SIGNATURE_SESSION_NONCE_INVALID" | "EXTERNAL_SIGNATURE_SESSION_NONCE_EXPIRED"
        )
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = match (self.detail.as_str(), self.title.as_str()) {
            ("", "") => "The service gives no reason.",
            ("", title) => title,
            (detail, _) => detail,
        };
        write!(formatter, "{text} ({} {})", self.status, self.code)
    }
}

impl ClientError {
    /// A short name for machines: the service's own where it refused.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::BaseUrl(_) => "BAD_URL",
            Self::Tls(_) => "TLS_UNAVAILABLE",
            Self::NoWallet => "NO_WALLET",
            Self::Wallet(_) => "BAD_WALLET",
            Self::Randomness => "NO_RANDOMNESS",
            Self::Name { .. } => "BAD_NAME",
            Self::SessionNonce => "BAD_SESSION_NONCE",
            Self::ParametersUnwritable(_) | Self::Parameters(_) => "BAD_PARAMETERS",
            Self::Unreachable { .. } => "UNREACHABLE",
            Self::Refused(problem) => &problem.code,
            Self::Offer(error) => error.code(),
            Self::PaymentRefused { .. } => "PAYMENT_REFUSED",
            Self::CallUnknown { .. } => "CALL_OUTCOME_UNKNOWN",
            Self::PaymentUnknown { .. } => "PAYMENT_OUTCOME_UNKNOWN",
            Self::Settling { .. } => "PAYMENT_SETTLING",
            Self::Unexpected { .. } => "UNEXPECTED_ANSWER",
        }
    }

    /// Whether the service could not be reached, or not any more.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::CallUnknown { cause, .. } | Self::PaymentUnknown { cause, .. } => {
                cause.is_unreachable()
            }
            _ => false,
        }
    }
}

fn answered(status: Option<u16>, excerpt: &str) -> String {
    match (status, excerpt) {
        (None, _) => String::new(),
        (Some(status), "") => format!(" (HTTP {status})"),
        (Some(status), excerpt) => format!(" (HTTP {status}: {excerpt})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_keeps_what_it_does_not_know() {
        let body = br#"{"type":"about:blank","title":"Payment Required","status":402,
            "detail":"The balance is too low.","code":"INSUFFICIENT_CREDITS",
            "price_credits":5,"available_credits":0.5}"#;
        let problem = Problem::read(402, body).unwrap();
        assert_eq!(
            problem.to_string(),
            "The balance is too low. (402 INSUFFICIENT_CREDITS)"
        );
        let rest = serde_json::to_string(&problem.rest).unwrap();
        assert_eq!(rest, r#"{"price_credits":5,"available_credits":0.5}"#);
    }

    #[test]
    fn what_has_no_code_is_no_problem() {
        for body in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"code":5}"#,
            r#"{"x402Version":2}"#,
        ] {
            assert_eq!(Problem::read(502, body.as_bytes()), None, "{body}");
        }
    }
}
