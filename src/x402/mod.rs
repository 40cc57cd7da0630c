//! The wire of x402: what a 402 offers, what a payment header brings, what a settlement answers.
//!
//! Version 2 is spoken inwards; [`v1`] says the same to clients of version 1.
//!
//! Owns the serde types of the "exact" scheme over EIP-3009 and the way from an untrusted header
//! to a domain value. Must never know of HTTP, chains or databases, nor whether a payment is good:
//! it says only what was sent.

mod extension;
mod field;
mod header;
mod network_name;
mod payment;
mod proof;
pub mod v1;
mod version;
mod wire;

pub use extension::{PAYMENT_IDENTIFIER, payment_identifier_offer};
pub use header::{HEADER_BYTES_MAX, HeaderTooLarge, decode_header, encode_header};
pub use payment::{
    AcceptedTerms, PAYMENT_HEADER_BYTES_MAX, PaymentHeaderError, SIGNATURE_BYTES_MAX, SignedPayment,
};
pub use version::X402Version;
pub use wire::{
    DomainExtra, PaymentPayload, PaymentRequired, PaymentRequirements, Resource, SCHEME_EXACT,
    SettleRequest, SettleResponse,
};
