//! The OpenAPI 3.1 document, generated from the handlers.

use utoipa::{
    OpenApi,
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
