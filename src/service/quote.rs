//! What a payment must be: one offer for each network and asset.

use alloy::primitives::U256;
use serde_json::Map;
use thiserror::Error;

use super::{Service, Settings};
use crate::{
    base::{AgentAddress, AssetId, Credits, NetworkId, Slug},
    chain::{Asset, Network},
    upstream::{Action, Tool},
    x402::{
        PAYMENT_IDENTIFIER, PaymentRequired, PaymentRequirements, Resource,
        payment_identifier_offer,
    },
};

const JSON: &str = "application/json";
/// Why there is an offer, to whoever sent no payment. Version 1 has the second name.
pub(super) const PAYMENT_MISSING: &str = "PAYMENT-SIGNATURE or X-PAYMENT header is required";
/// How much longer than its tool an authorization for a direct call must be good.
pub(super) const DIRECT_MARGIN_SECONDS: u64 = 30;
/// What a client may take between the quote and the payment of a direct call.
const DIRECT_THINKING_SECONDS: u64 = 30;

/// Why an amount of credits is not sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum QuoteError {
    #[error("must be a multiple of {step}; {suggested} is the nearest above")]
    NotAMultiple { step: Credits, suggested: Credits },
    #[error("must be from {min} to {max} credits")]
    OutOfRange { min: Credits, max: Credits },
    #[error("no configured network is {0}")]
    UnknownNetwork(NetworkId),
}

/// One way to pay.
pub(super) struct Offer<'a> {
    pub(super) network: &'a Network,
    pub(super) asset: &'a Asset,
    /// Base units of the asset.
    pub(super) amount: U256,
    pub(super) max_timeout_seconds: u64,
}

/// The time limit of a tool, rounded up.
pub(super) fn timeout_seconds(action: &Action) -> u64 {
    let limit = action.timeout();
    limit.as_secs() + u64::from(limit.subsec_nanos() > 0)
}

impl Offer<'_> {
    fn requirements(&self) -> PaymentRequirements {
        let domain = self.network.domain(self.asset);
        PaymentRequirements::exact(
            &domain,
            self.asset.transfer_method,
            self.network.pay_to(),
            self.amount,
            self.max_timeout_seconds,
        )
    }
}

impl Service {
    /// Checks an amount against the operator's step and bounds.
    ///
    /// # Errors
    /// With the nearest amount that is sold.
    pub fn check_amount(&self, credits: Credits) -> Result<(), QuoteError> {
        let Settings { step, min, max, .. } = *self.settings();
        let over = credits.units() % step.units();
        if over != 0 {
            let up = credits.units().checked_add(step.units() - over);
            let suggested = up.map_or(max, Credits::from_units).clamp(min, max);
            return Err(QuoteError::NotAMultiple { step, suggested });
        }
        if credits < min || max < credits {
            return Err(QuoteError::OutOfRange { min, max });
        }
        Ok(())
    }

    /// The ways to pay `credits`, on one network if the client names it.
    pub(super) fn offers(
        &self,
        credits: Credits,
        only: Option<NetworkId>,
        max_timeout_seconds: u64,
    ) -> Vec<Offer<'_>> {
        let mut offers = Vec::new();
        for network in self.networks() {
            if only.is_some_and(|only| only != network.id()) {
                continue;
            }
            for asset in network.assets() {
                if let Some(amount) = asset.price(credits) {
                    offers.push(Offer {
                        network,
                        asset,
                        amount,
                        max_timeout_seconds,
                    });
                }
            }
        }
        offers
    }

    /// Where credits are bought.
    #[must_use]
    pub fn purchase_url(&self) -> String {
        format!(
            "{}/api/external/credits/purchase",
            self.settings().public_url
        )
    }

    pub(super) fn purchase_offers(
        &self,
        credits: Credits,
        only: Option<NetworkId>,
    ) -> Vec<Offer<'_>> {
        self.offers(credits, only, self.settings().quote_seconds)
    }

    /// What a purchase of `credits` for `wallet` costs. Stores nothing.
    #[must_use]
    pub fn purchase_quote(
        &self,
        wallet: AgentAddress,
        credits: Credits,
        only: Option<NetworkId>,
        error: &str,
    ) -> PaymentRequired {
        let resource = Resource {
            url: self.purchase_url(),
            description: format!("{credits} credits for {wallet}"),
            mime_type: JSON.to_owned(),
        };
        let accepts = self
            .purchase_offers(credits, only)
            .iter()
            .map(Offer::requirements)
            .collect();
        PaymentRequired::new(error, resource, accepts)
    }

    pub(super) fn direct_offers(&self, action: &Action) -> Vec<Offer<'_>> {
        let needed = timeout_seconds(action) + DIRECT_MARGIN_SECONDS + DIRECT_THINKING_SECONDS;
        self.offers(
            action.price(),
            None,
            self.settings().quote_seconds.max(needed),
        )
    }

    /// Whether an action may be paid call by call: where nothing is bought on a chain, none may.
    #[must_use]
    pub fn takes_x402(&self, action: &Action) -> bool {
        action.x402() && !self.networks().is_empty()
    }

    /// What one call of an action costs without credits; `None` when it takes credits only.
    #[must_use]
    pub fn direct_quote(&self, tool: &Slug, action: &Slug, error: &str) -> Option<PaymentRequired> {
        let (tool, action) = self.catalogue().lookup(tool, action)?;
        self.takes_x402(action)
            .then(|| self.quote_of(tool, action, error))
    }

    pub(super) fn quote_of(&self, tool: &Tool, action: &Action, error: &str) -> PaymentRequired {
        let resource = Resource {
            url: self.invoke_url(tool.slug(), action.slug()),
            description: action.description().to_owned(),
            mime_type: JSON.to_owned(),
        };
        let accepts = self
            .direct_offers(action)
            .iter()
            .map(Offer::requirements)
            .collect();
        let mut quote = PaymentRequired::new(error, resource, accepts);
        let extension = (PAYMENT_IDENTIFIER.to_owned(), payment_identifier_offer());
        quote.extensions = Some(Map::from_iter([extension]));
        quote
    }

    /// The symbol of a configured asset.
    #[must_use]
    pub fn symbol(&self, asset: AssetId) -> Option<String> {
        let assets = self.network(asset.network)?.assets();
        let asset = assets.iter().find(|known| known.token == asset.token)?;
        Some(asset.symbol.clone())
    }

    /// Where an action is called.
    #[must_use]
    pub fn invoke_url(&self, tool: &Slug, action: &Slug) -> String {
        let base = &self.settings().public_url;
        format!("{base}/api/external/tools/{tool}/actions/{action}/invoke")
    }
}
