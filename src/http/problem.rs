//! Every error as `application/problem+json` (RFC 9457), with the `code` that clients match on.

use std::borrow::Cow;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::fields::FieldProblem;
use crate::service::Unavailable;

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const CHALLENGE: HeaderValue = HeaderValue::from_static("EIP-191");
/// How long a client is asked to wait when nothing better is known.
const RETRY_SECONDS: u16 = 1;

/// An error as the client sees it: what happened, and what to do next. Never internal text.
#[derive(Debug)]
pub(super) struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    extra: Map<String, Value>,
    headers: HeaderMap,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let detail = detail.into();
        let (extra, headers) = (Map::new(), HeaderMap::new());
        Self(Box::new(Parts {
            status,
            code,
            detail,
            extra,
            headers,
        }))
    }

    /// The request itself is wrong, in the fields that are named.
    pub(super) fn fields(problems: &[FieldProblem]) -> Self {
        let detail = match problems {
            [one] => format!("{} {}", one.place(), one.reason),
            many => format!("{} fields are wrong; see errors", many.len()),
        };
        Self::invalid(detail).with("errors", problems)
    }

    pub(super) fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", detail)
    }

    /// Adds a member beside those of RFC 9457.
    pub(super) fn with<T: Serialize + ?Sized>(mut self, name: &str, value: &T) -> Self {
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        self.0.extra.insert(name.to_owned(), value);
        self
    }

    pub(super) fn headers(mut self, headers: HeaderMap) -> Self {
        self.0.headers.extend(headers);
        self
    }

    pub(super) fn retry_after(mut self, seconds: u16) -> Self {
        let seconds = HeaderValue::from(seconds);
        self.0.headers.insert(header::RETRY_AFTER, seconds);
        self
    }

    /// Logged here, once: the client is told only that it may try again.
    pub(super) fn unavailable(reason: &Unavailable) -> Self {
        tracing::error!(%reason, "a request could not be answered");
        let detail = match reason {
            Unavailable::RepliesFull => {
                "the store of replies is full; nothing was charged, try again later"
            }
            Unavailable::Chain(_) | Unavailable::WalletSilent(_) => {
                "the chain cannot be reached at the moment; try again later"
            }
            Unavailable::UnexplainedAuthorization => {
                "the authorization was used on the chain, and it cannot be told yet for what; \
                 send the same request again before you sign a new one"
            }
            Unavailable::ShortOfGas { .. } => {
                "payments cannot be settled at the moment; send the same request again later"
            }
            Unavailable::ClaimsBusy => {
                "too many transactions are looked at; send the same request again"
            }
            Unavailable::WalletChecksBusy => {
                "too many contract wallets pay at once; send the same request again"
            }
            Unavailable::Store(_) | Unavailable::Randomness => {
                "the service cannot answer at the moment; send the same request again"
            }
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", detail).retry_after(RETRY_SECONDS)
    }

    pub(super) fn internal() -> Self {
        let detail = "something went wrong on this side; send the same request again";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let parts = *self.0;
        let mut document = Map::new();
        let kind = format!("urn:counterfoil:problem:{}", parts.code.to_lowercase());
        document.insert("type".to_owned(), kind.into());
        document.insert("title".to_owned(), title(parts.status).into());
        document.insert("status".to_owned(), parts.status.as_u16().into());
        document.insert("detail".to_owned(), parts.detail.into());
        document.insert("code".to_owned(), parts.code.into());
        document.extend(parts.extra);

        let mut headers = parts.headers;
        headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if parts.status == StatusCode::UNAUTHORIZED {
            // RFC 9110 asks for a challenge; the scheme is EIP-191's.
            headers.insert(header::WWW_AUTHENTICATE, CHALLENGE);
        }
        (parts.status, headers, Value::Object(document).to_string()).into_response()
    }
}

fn title(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}
