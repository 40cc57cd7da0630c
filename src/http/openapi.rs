//! The OpenAPI 3.1 document, generated from the handlers.

use utoipa::{
    IntoParams, IntoResponses, OpenApi,
    openapi::{InfoBuilder, License, OpenApi as Document},
};

#[derive(OpenApi)]
#[openapi(tags(
    (name = "tools", description = "What is for sale, and calling it"),
    (name = "credits", description = "Buying credits and reading a balance"),
    (name = "sessions", description = "Nonces for signed calls"),
    (name = "operations", description = "For operators"),
))]
struct Api;

const DESCRIPTION: &str = "Prepaid credits for autonomous agents: bought once over x402, spent one \
    wallet signature a call. Errors are `application/problem+json` (RFC 9457) with a `code`.";

/// How any request with a body may be answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "read by the derive, for the document")]
pub(super) enum BodyRefusals {
    /// `REQUEST_TIMEOUT`: the body did not arrive in time
    #[response(status = 408)]
    Slow,
    /// `PAYLOAD_TOO_LARGE`
    #[response(status = 413)]
    Large,
    /// `UNSUPPORTED_MEDIA_TYPE`: not JSON
    #[response(status = 415)]
    Foreign,
    /// `UNAVAILABLE`: come back after `Retry-After`
    #[response(status = 503)]
    Busy,
}

/// How whoever signs or pays may be answered, too.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "read by the derive, for the document")]
pub(super) enum BudgetRefusals {
    /// `RATE_LIMITED`: too many signatures or payments of this client were refused
    #[response(status = 429)]
    Spent,
}

/// The header of a payment.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "read by the derive, for the document")]
pub(super) struct PaymentHeader {
    /// x402 payment, base64; also `X-PAYMENT` or `PAYMENT`
    #[param(rename = "PAYMENT-SIGNATURE")]
    payment: Option<String>,
}

/// The version of x402 that a 402 is to speak.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read by the derive, for the document")]
pub(super) struct VersionQuery {
    /// 1: a 402 has its offers in the body, in x402 version 1, and no `PAYMENT-REQUIRED`. Answers to a
    /// payment are in that payment's version
    #[param(rename = "x402Version", minimum = 1, maximum = 2)]
    version: Option<u8>,
}

pub(super) fn base() -> Document {
    let mut document = Api::openapi();
    document.info = InfoBuilder::new()
        .title("Counterfoil")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(License::new("MIT OR Apache-2.0")))
        .build();
    document
}

/// The whole document.
#[must_use]
pub fn document() -> Document {
    super::api().into_openapi()
}
