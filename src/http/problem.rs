//! Every error as `application/problem+json` (RFC 9457), with the `code` that clients match on.

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::fields::FieldProblem;
use crate::service::Unavailable;

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
/// How long a client is asked to wait when nothing better is known.
const RETRY_SECONDS: u16 = 1;

/// An error as the client sees it: what happened, and what to do next. Never internal text.
#[derive(Debug)]
pub(super) struct Problem {
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
        Self {
            status,
            code,
            detail,
            extra: Map::new(),
            headers: HeaderMap::new(),
        }
    }

    /// The request itself is wrong, in the fields that are named.
    pub(super) fn fields(problems: Vec<FieldProblem>) -> Self {
        let detail = match problems.as_slice() {
            [one] => format!("{} {}", one.place(), one.reason),
            many => format!("{} fields are wrong; see errors", many.len()),
        };
        Self::invalid(detail).with("errors", &problems)
    }

    pub(super) fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", detail)
    }

    /// Adds a member beside those of RFC 9457.
    pub(super) fn with<T: Serialize + ?Sized>(mut self, name: &str, value: &T) -> Self {
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        self.extra.insert(name.to_owned(), value);
        self
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(super) fn retry_after(self, seconds: u16) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Logged here, once: the client is told only that it may try again.
    pub(super) fn unavailable(reason: &Unavailable) -> Self {
        tracing::error!(%reason, "a request could not be answered");
        let detail = match reason {
            Unavailable::RepliesFull => {
                "the store of replies is full; nothing was charged, try again later"
            }
            Unavailable::Chain(_) => "the chain cannot be reached at the moment; try again later",
            Unavailable::UnexplainedAuthorization => {
                "the authorization was used on the chain too long ago to tell for what; \
                 sign a new one, or claim its transaction"
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
        let mut document = Map::new();
        let kind = format!("urn:counterfoil:problem:{}", self.code.to_lowercase());
        document.insert("type".to_owned(), kind.into());
        document.insert("title".to_owned(), title(self.status).into());
        document.insert("status".to_owned(), self.status.as_u16().into());
        document.insert("detail".to_owned(), self.detail.into());
        document.insert("code".to_owned(), self.code.into());
        document.extend(self.extra);

        let mut response = Response::new(Body::from(Value::Object(document).to_string()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110 asks for a challenge; the scheme is EIP-191's.
            let challenge = HeaderValue::from_static("EIP-191");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

fn title(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}
