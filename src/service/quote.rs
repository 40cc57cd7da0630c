//! What a payment must be: one offer for each network and asset.

use alloy::primitives::U256;
use serde_json::Map;
use thiserror::Error;

use super::Service;
use crate::{
    base::{AgentAddress, Credits, NetworkId, Slug},
    chain::{Asset, Network},
    upstream::{Action, Tool},
    x402::{
        PAYMENT_IDENTIFIER, PaymentRequired, PaymentRequirements, Resource,
        payment_identifier_offer,
    },
};

const JSON: &str = "application/json";
/// How much longer than its tool an authorization for a direct call must be good.
pub(super) const DIRECT_MARGIN_SECONDS: u64 = 30;
/// What a client may take between the quote and the payment of a direct call.
const DIRECT_THINKING_SECONDS: u64 = 30;

/// Why an amount of credits is not sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum QuoteError {
    #[error("credits are sold in multiples of {step}, from {min} to {max}")]
    NotAMultiple { step: Credits, min: Credits, max: Credits, suggested: Credits },
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

impl Offer<'_> {
    fn requirements(&self) -> PaymentRequirements {
        let domain = self.network.domain(self.asset);
        PaymentRequirements::exact(
            &domain,
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
        let settings = self.settings();
        let (step, min, max) = (settings.step, settings.min, settings.max);
        let whole = credits.units() % step.units() == 0;
        if whole && min <= credits && credits <= max {
            return Ok(());
        }
        let steps_up = credits.units() / step.units() + i64::from(!whole);
        let up = steps_up.checked_mul(step.units()).map_or(max, Credits::from_units);
        let suggested = up.clamp(min, max);
        Err(QuoteError::NotAMultiple { step, min, max, suggested })
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
                if let Some(amount) = credits.to_base_units(asset.decimals) {
                    offers.push(Offer { network, asset, amount, max_timeout_seconds });
                }
            }
        }
        offers
    }

    /// Where credits are bought.
    #[must_use]
    pub fn purchase_url(&self) -> String {
        format!("{}/api/external/credits/purchase", self.settings().public_url)
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
        let accepts = self.purchase_offers(credits, only).iter().map(Offer::requirements).collect();
        PaymentRequired::new(error, resource, accepts)
    }

    pub(super) fn direct_offers(&self, action: &Action) -> Vec<Offer<'_>> {
        let needed = action.timeout().as_secs() + DIRECT_MARGIN_SECONDS + DIRECT_THINKING_SECONDS;
        self.offers(action.price(), None, self.settings().quote_seconds.max(needed))
    }

    /// What one call of an action costs without credits; `None` when it takes credits only.
    #[must_use]
    pub fn direct_quote(
        &self,
        tool: &Slug,
        action: &Slug,
        error: &str,
    ) -> Option<PaymentRequired> {
        let (tool, action) = self.catalogue().lookup(tool, action)?;
        action.x402().then(|| self.quote_of(tool, action, error))
    }

    pub(super) fn quote_of(&self, tool: &Tool, action: &Action, error: &str) -> PaymentRequired {
        let resource = Resource {
            url: self.invoke_url(tool.slug(), action.slug()),
            description: action.description().to_owned(),
            mime_type: JSON.to_owned(),
        };
        let accepts = self.direct_offers(action).iter().map(Offer::requirements).collect();
        let mut quote = PaymentRequired::new(error, resource, accepts);
        let extension = (PAYMENT_IDENTIFIER.to_owned(), payment_identifier_offer());
        quote.extensions = Some(Map::from_iter([extension]));
        quote
    }

    /// Where an action is called.
    #[must_use]
    pub fn invoke_url(&self, tool: &Slug, action: &Slug) -> String {
        let base = &self.settings().public_url;
        format!("{base}/api/external/tools/{tool}/actions/{action}/invoke")
    }
}
