//! The payment header under its three names.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::problem::Problem;
use crate::x402::{PaymentRequired, SettleResponse, SignedPayment, X402Version, encode_header, v1};

const PAYMENT_REQUIRED: HeaderName = HeaderName::from_static("payment-required");
const PAYMENT_RESPONSE: HeaderName = HeaderName::from_static("payment-response");
const X_PAYMENT_RESPONSE: HeaderName = HeaderName::from_static("x-payment-response");
const NAMES: [&str; 3] = ["payment-signature", "x-payment", "payment"];

/// The payment that a request brings, if any.
///
/// # Errors
/// When it cannot be read, or several headers disagree.
pub(super) fn payment(headers: &HeaderMap) -> Result<Option<SignedPayment>, Problem> {
    let mut values = NAMES.iter().flat_map(|name| headers.get_all(*name));
    let Some(first) = values.next() else {
        return Ok(None);
    };
    if values.any(|other| other != first) {
        return Err(invalid("the payment headers disagree; send one".to_owned()));
    }
    let text = first
        .to_str()
        .map_err(|_| invalid("the payment header is not ASCII".to_owned()))?;
    SignedPayment::from_header(text)
        .map(Some)
        .map_err(|error| invalid(format!("the payment header {error}")))
}

fn invalid(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "INVALID_PAYMENT", detail)
}

/// `PAYMENT-REQUIRED` as a header, unless the offers are too many for one.
pub(super) fn required(quote: &PaymentRequired) -> HeaderMap {
    encode(quote, &[PAYMENT_REQUIRED])
}

/// `PAYMENT-RESPONSE` under both of its names.
pub(super) fn response(settled: &SettleResponse, version: X402Version) -> HeaderMap {
    const NAMES: [HeaderName; 2] = [PAYMENT_RESPONSE, X_PAYMENT_RESPONSE];
    match version {
        X402Version::One => encode(&v1::SettleResponse::from(settled), &NAMES),
        X402Version::Two => encode(settled, &NAMES),
    }
}

fn encode<T: Serialize>(value: &T, names: &[HeaderName]) -> HeaderMap {
    let text = encode_header(value)
        .inspect_err(|error| tracing::error!(%error, "an x402 header is too large"));
    let value = text.ok().and_then(|text| HeaderValue::try_from(text).ok());
    let headers = names.iter().zip(value.iter().cycle());
    headers
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
