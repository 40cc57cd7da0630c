//! From the value of a payment header to a signed payment.

use alloy::primitives::{Address, B256, U256};
use serde_json::Value;
use thiserror::Error;

use super::{X402Version, decode_header, extension, field::Field, network_name};
use crate::{
    base::NetworkId,
    payment::{Authorization, PERMIT2_PROXY, TransferMethod},
};

/// The largest payment header that is read.
pub const PAYMENT_HEADER_BYTES_MAX: usize = 16 * 1024;

/// The longest signature that is read: contract wallets send more than 65 bytes.
pub const SIGNATURE_BYTES_MAX: usize = 4 * 1024;

const SCHEME_CHARS_MAX: usize = 64;

/// A payment as a client sent it. Well-formed, and nothing more: whether it matches an offer, who
/// signed it and whether it can be paid is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedPayment {
    /// What the client is answered in.
    pub version: X402Version,
    pub scheme: String,
    pub network: NetworkId,
    /// Absent where the client names `scheme` and `network` only, as all do in version 1: the asset is then the one under
    /// whose domain `authorization.from` recovers.
    pub terms: Option<AcceptedTerms>,
    pub authorization: Authorization,
    pub signature: Vec<u8>,
    pub payment_identifier: Option<String>,
}

/// The entry of `accepts` that the client says it pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedTerms {
    pub asset: Address,
    pub pay_to: Address,
    /// Base units of the asset.
    pub amount: U256,
}

/// Why a payment header cannot be read. Each message completes "the payment header …".
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PaymentHeaderError {
    #[error("is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("is not base64")]
    NotBase64,
    #[error("does not hold the JSON that is expected: {reason}")]
    NotJson { reason: String },
    #[error("does not hold a JSON object")]
    NotAnObject,
    #[error("speaks neither version 2 nor version 1 of x402")]
    UnsupportedVersion,
    #[error("lacks {pointer}")]
    MissingField { pointer: String },
    #[error("has a bad {pointer}: it {reason}")]
    BadField { pointer: String, reason: String },
}

impl SignedPayment {
    /// Reads the value of `PAYMENT-SIGNATURE` or one of its aliases. The version is the payload's.
    ///
    /// # Errors
    /// When the header is too large, is not base64 of a JSON object, speaks another version, or
    /// lacks or misspells a field.
    pub fn from_header(header: &str) -> Result<Self, PaymentHeaderError> {
        let document: Value = decode_header(header, PAYMENT_HEADER_BYTES_MAX)?;
        if !document.is_object() {
            return Err(PaymentHeaderError::NotAnObject);
        }
        let outer = Field::root(&document);
        let payload = outer.find("paymentPayload");
        let payload = payload.as_ref().unwrap_or(&outer);
        let version = version(&outer, payload)?;
        let names_the_offer = version == X402Version::One
            || (payload.find("accepted").is_none() && payload.find("scheme").is_some());
        let (offer, terms) = if names_the_offer {
            (payload.clone(), None)
        } else {
            let accepted = payload.get("accepted")?;
            let terms = accepted_terms(&accepted)?;
            (accepted, Some(terms))
        };
        let proof = payload.get("payload")?;
        Ok(Self {
            version,
            scheme: scheme(&offer)?,
            network: network(&offer, version)?,
            terms,
            authorization: match proof.find("permit2Authorization") {
                Some(permit) if version == X402Version::Two => permit2(&permit, terms)?,
                _ => authorization(&proof.get("authorization")?)?,
            },
            signature: proof.get("signature")?.bytes(SIGNATURE_BYTES_MAX)?,
            payment_identifier: extension::payment_identifier(payload)?,
        })
    }
}

/// A wrapped payload may name the version within, outside, or both.
fn version(outer: &Field<'_>, payload: &Field<'_>) -> Result<X402Version, PaymentHeaderError> {
    let version = match payload.find("x402Version") {
        Some(version) => version,
        None => outer.get("x402Version")?,
    };
    let number = version.value().as_u64();
    let number = number.ok_or_else(|| version.bad("is not a whole number"))?;
    X402Version::from_number(number).ok_or(PaymentHeaderError::UnsupportedVersion)
}

/// CAIP-2 in version 2, a name in version 1.
fn network(offer: &Field<'_>, version: X402Version) -> Result<NetworkId, PaymentHeaderError> {
    let network = offer.get("network")?;
    match version {
        X402Version::One => network_name::named(network.text()?)
            .ok_or_else(|| network.bad("is not the name of an EVM network in x402 version 1")),
        X402Version::Two => network.parse(),
    }
}

fn scheme(offer: &Field<'_>) -> Result<String, PaymentHeaderError> {
    let scheme = offer.get("scheme")?;
    let text = scheme.text()?;
    if text.len() > SCHEME_CHARS_MAX {
        return Err(scheme.bad("is not the name of a scheme"));
    }
    Ok(text.to_owned())
}

fn accepted_terms(accepted: &Field<'_>) -> Result<AcceptedTerms, PaymentHeaderError> {
    Ok(AcceptedTerms {
        asset: accepted.get("asset")?.address()?,
        pay_to: accepted.get("payTo")?.address()?,
        amount: accepted.get("amount")?.uint256()?,
    })
}

fn authorization(field: &Field<'_>) -> Result<Authorization, PaymentHeaderError> {
    let nonce = field.get("nonce")?;
    let nonce_bytes = nonce.bytes(B256::len_bytes())?;
    Ok(Authorization {
        method: TransferMethod::Eip3009,
        from: field.get("from")?.address()?,
        to: field.get("to")?.address()?,
        value: field.get("value")?.uint256()?,
        valid_after: field.get("validAfter")?.seconds()?,
        valid_before: field.get("validBefore")?.seconds()?,
        nonce: B256::try_from(nonce_bytes.as_slice())
            .map_err(|_| nonce.bad("is not 32 bytes in hexadecimal"))?,
    })
}

/// A `permit2Authorization`. Whatever differs from what is signed for here is refused, since the
/// signature could never verify.
fn permit2(
    field: &Field<'_>,
    accepted: Option<AcceptedTerms>,
) -> Result<Authorization, PaymentHeaderError> {
    let permitted = field.get("permitted")?;
    let token = permitted.get("token")?;
    let address = token.address()?;
    if accepted.is_some_and(|accepted| accepted.asset != address) {
        return Err(token.bad("is not the asset of `accepted`"));
    }
    let spender = field.get("spender")?;
    if spender.address()? != PERMIT2_PROXY {
        return Err(spender.bad(format!("is not x402ExactPermit2Proxy, {PERMIT2_PROXY}")));
    }
    let witness = field.get("witness")?;
    Ok(Authorization {
        method: TransferMethod::Permit2,
        from: field.get("from")?.address()?,
        to: witness.get("to")?.address()?,
        value: permitted.get("amount")?.uint256()?,
        valid_after: witness.get("validAfter")?.seconds()?,
        valid_before: field.get("deadline")?.seconds()?,
        nonce: field.get("nonce")?.uint256()?.into(),
    })
}

#[cfg(test)]
mod tests;
