//! A payment, signed: EIP-3009, as x402's "exact" scheme wants it.

use alloy::primitives::B256;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use super::{OfferError, Wallet, offer::Chosen};
use crate::{
    base::Timestamp,
    payment::{Authorization, TransferMethod},
    x402::{PAYMENT_IDENTIFIER, PaymentPayload, encode_header},
};

/// An authorization good for longer is refused (docs/PROTOCOL.md section 3), and rightly feared.
const VALID_SECONDS_MAX: u64 = 3_600;

/// A payment header, to be sent until it is answered. There is no way to make a second one for the
/// same purpose: it is made from the quote, which it uses up.
#[derive(Debug)]
pub(super) struct SignedPayment {
    pub(super) header: HeaderValue,
    /// The authorization's, which a sponsor's consent names.
    pub(super) nonce: B256,
    /// Unix seconds.
    pub(super) valid_before: u64,
}

/// What a signature needs beside the offer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Making {
    pub(super) now: Timestamp,
    /// Random: makes the authorization one of its kind.
    pub(super) nonce: [u8; 32],
    /// Random: lets whoever knows it fetch the stored result of a direct call.
    pub(super) identifier: [u8; 16],
}

impl SignedPayment {
    pub(super) fn sign(
        wallet: &Wallet,
        chosen: Chosen,
        making: Making,
    ) -> Result<Self, OfferError> {
        let offer = chosen.offer;
        let seconds = offer
            .requirements
            .max_timeout_seconds
            .min(VALID_SECONDS_MAX);
        let now = u64::try_from(making.now.seconds()).unwrap_or(0);
        let authorization = Authorization {
            method: TransferMethod::Eip3009,
            from: wallet.address().address(),
            to: offer.pay_to,
            value: offer.amount,
            valid_after: 0,
            valid_before: now.saturating_add(seconds),
            nonce: B256::from(making.nonce),
        };
        let signature = wallet.sign_digest(authorization.digest(&offer.domain).0);
        let signature = signature.to_bytes();
        let payload = PaymentPayload::new(offer.requirements, &authorization, &signature);
        let mut document = json!(payload);
        if let Some(resource) = chosen.resource {
            document["resource"] = resource;
        }
        if let Some(mut extensions) = chosen.extensions {
            let identifier = extensions.get_mut(PAYMENT_IDENTIFIER);
            let info = identifier.and_then(|extension| extension.get_mut("info"));
            if let Some(Value::Object(info)) = info {
                let id = format!("pay_{}", hex::encode(making.identifier));
                info.insert("id".into(), id.into());
            }
            document["extensions"] = Value::Object(extensions);
        }
        let header = encode_header(&document).map_err(|_| OfferError::TooLarge)?;
        Ok(Self {
            header: HeaderValue::try_from(header).map_err(|_| OfferError::TooLarge)?,
            nonce: authorization.nonce,
            valid_before: authorization.valid_before,
        })
    }
}
