//! The documents of x402 version 1, made from those of version 2. Payments of version 1 are read
//! where those of version 2 are.

use alloy::primitives::Address;
use serde::Serialize;

use super::{
    DomainExtra, PaymentRequired as QuoteV2, PaymentRequirements as OfferV2, Resource,
    SCHEME_EXACT, SettleResponse as SettlementV2, X402Version, network_name::name_of,
};

/// Said where there are offers, and none by EIP-3009 on a network that version 1 can name.
const NO_NETWORK: &str = "x402 version 1 has no words for the ways to pay here; use version 2";

/// What a 402 answers, in its body and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequired {
    pub x402_version: u8,
    /// Why the request was not served.
    pub error: String,
    pub accepts: Vec<PaymentRequirements>,
}

/// One way to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequirements {
    pub scheme: String,
    /// A name, as `base-sepolia`.
    pub network: &'static str,
    /// Base units of the asset, in decimal.
    pub max_amount_required: String,
    /// The URL of what is sold.
    pub resource: String,
    pub description: String,
    pub mime_type: String,
    pub pay_to: String,
    /// How long a payment may take; clients set `validBefore` by it.
    pub max_timeout_seconds: u64,
    /// The token's address, with its EIP-55 checksum: npm `x402` looks for its own spelling of USDC.
    pub asset: String,
    pub extra: DomainExtra,
}

/// What `PAYMENT-RESPONSE` carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettleResponse {
    pub success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_reason: Option<String>,
    /// The transaction's hash; empty when there is none.
    pub transaction: String,
    pub network: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
}

impl From<&QuoteV2> for PaymentRequired {
    fn from(quote: &QuoteV2) -> Self {
        let offers = quote.accepts.iter();
        let accepts: Vec<_> = offers
            .filter_map(|offer| PaymentRequirements::of(offer, &quote.resource))
            .collect();
        let mut error = quote.error.clone().unwrap_or_default();
        if accepts.is_empty() && !quote.accepts.is_empty() {
            if !error.is_empty() {
                error.push_str(": ");
            }
            error.push_str(NO_NETWORK);
        }
        Self {
            x402_version: X402Version::One.number(),
            error,
            accepts,
        }
    }
}

impl PaymentRequirements {
    /// The same offer, unless version 1 cannot say it.
    fn of(offer: &OfferV2, resource: &Resource) -> Option<Self> {
        if offer.scheme != SCHEME_EXACT || offer.extra.asset_transfer_method.is_some() {
            return None;
        }
        let asset: Address = offer.asset.parse().ok()?;
        Some(Self {
            scheme: offer.scheme.clone(),
            network: name_of(offer.network.parse().ok()?)?,
            max_amount_required: offer.amount.clone(),
            resource: resource.url.clone(),
            description: resource.description.clone(),
            mime_type: resource.mime_type.clone(),
            pay_to: offer.pay_to.clone(),
            max_timeout_seconds: offer.max_timeout_seconds,
            asset: asset.to_checksum(None),
            extra: offer.extra.clone(),
        })
    }
}

impl From<&SettlementV2> for SettleResponse {
    fn from(settled: &SettlementV2) -> Self {
        let named = settled.network.parse().ok().and_then(name_of);
        Self {
            success: settled.success,
            error_reason: settled.error_reason.clone(),
            transaction: settled.transaction.clone(),
            // A payment of version 1 names its network, so there is a name.
            network: named.unwrap_or(&settled.network).to_owned(),
            payer: settled.payer.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
