//! Which offer of a 402 is paid, if any.
//!
//! An offer comes from whoever answered, so it is not trusted: only an exact EIP-3009 payment in a
//! token that is known to be a dollar, of no more than the caller allows.

use alloy::primitives::{Address, U256};
use serde_json::{Map, Value};
use thiserror::Error;

use super::{
    token::{DOLLAR_DECIMALS, is_dollar},
    transport::Reply,
};
use crate::{
    base::{AgentAddress, AssetId, Credits, NetworkId},
    payment::TokenDomain,
    x402::{
        HEADER_BYTES_MAX, PaymentHeaderError, PaymentRequirements, SCHEME_EXACT, decode_header,
    },
};

/// More are not looked at.
const OFFERS_MAX: usize = 64;

/// What the caller is ready to pay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spending {
    /// The network to pay on; the first that is offered unless given.
    pub network: Option<NetworkId>,
    /// The most to pay, a dollar being 100 credits. Each verb says what holds unless it is given.
    pub limit: Option<Credits>,
    /// A token that the caller vouches for: a dollar with six decimals. USDC is known.
    pub dollar_token: Option<Address>,
}

/// Why no offer is paid. Nothing was signed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OfferError {
    #[error("The service asks for a payment without a PAYMENT-REQUIRED header.")]
    Missing,
    #[error("The PAYMENT-REQUIRED header {0}.")]
    Header(PaymentHeaderError),
    #[error("No offer on {network} can be paid; offered are: {offered}.")]
    OtherNetwork { network: NetworkId, offered: String },
    #[error("None of the offers is an exact EIP-3009 payment.")]
    NonePayable,
    #[error("The payment is asked for in {0}, which is not known to be a dollar.")]
    UnknownToken(AssetId),
    #[error("{} USD is asked for, and {} USD is the limit.", price.usd(), limit.usd())]
    TooDear { price: Credits, limit: Credits },
    #[error("The answer to this offer would not fit a header.")]
    TooLarge,
}

/// The 402 that answered a request without a payment.
#[derive(Clone, Debug)]
pub(super) struct Quote {
    offers: Vec<Offer>,
    resource: Option<Value>,
    extensions: Option<Map<String, Value>>,
}

/// The offer that is paid.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) offer: Offer,
    /// Both go back with the payment, as x402's HTTP transport asks.
    pub(super) resource: Option<Value>,
    pub(super) extensions: Option<Map<String, Value>>,
}

/// An exact EIP-3009 payment that somebody asks for.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) requirements: PaymentRequirements,
    pub(super) domain: TokenDomain,
    pub(super) pay_to: Address,
    /// Base units of the token.
    pub(super) amount: U256,
    /// What the amount is worth if the token is a dollar with six decimals.
    pub(super) price: Credits,
}

impl OfferError {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Missing | Self::Header(_) => "BAD_OFFER",
            Self::OtherNetwork { .. } => "NETWORK_NOT_OFFERED",
            Self::NonePayable | Self::TooLarge => "NO_PAYABLE_OFFER",
            Self::UnknownToken(_) => "UNKNOWN_TOKEN",
            Self::TooDear { .. } => "SPENDING_LIMIT",
        }
    }
}

impl Quote {
    pub(super) fn read(reply: &Reply) -> Result<Self, OfferError> {
        let header = reply
            .header("payment-required")
            .ok_or(OfferError::Missing)?;
        Self::from_header(header)
    }

    fn from_header(header: &str) -> Result<Self, OfferError> {
        let mut document: Value =
            decode_header(header, HEADER_BYTES_MAX).map_err(OfferError::Header)?;
        let accepts = match document["accepts"].take() {
            Value::Array(accepts) => accepts,
            _ => Vec::new(),
        };
        // What cannot be read is another kind of offer, which somebody else may take.
        let offers = accepts.into_iter().take(OFFERS_MAX);
        let extensions = match document["extensions"].take() {
            Value::Object(extensions) => Some(extensions),
            _ => None,
        };
        Ok(Self {
            offers: offers.filter_map(Offer::read).collect(),
            resource: Some(document["resource"].take()).filter(Value::is_object),
            extensions,
        })
    }

    /// The first offer that may be paid.
    pub(super) fn choose(
        self,
        spending: &Spending,
        usual_limit: Credits,
    ) -> Result<Chosen, OfferError> {
        if self.offers.is_empty() {
            return Err(OfferError::NonePayable);
        }
        let wanted = |offer: &&Offer| {
            let network = offer.domain.asset.network;
            spending.network.is_none_or(|wanted| wanted == network)
        };
        let mut there = self.offers.iter().filter(wanted).peekable();
        let Some(&first) = there.peek() else {
            let network = spending.network.ok_or(OfferError::NonePayable)?;
            let offered = self.networks();
            return Err(OfferError::OtherNetwork { network, offered });
        };
        let known = |offer: &&Offer| {
            let asset = offer.domain.asset;
            is_dollar(asset) || spending.dollar_token == Some(asset.token)
        };
        let offer = there
            .find(known)
            .ok_or(OfferError::UnknownToken(first.domain.asset))?;
        let limit = spending.limit.unwrap_or(usual_limit);
        if offer.price > limit {
            let price = offer.price;
            return Err(OfferError::TooDear { price, limit });
        }
        Ok(Chosen {
            offer: offer.clone(),
            resource: self.resource,
            extensions: self.extensions,
        })
    }

    fn networks(&self) -> String {
        let mut networks: Vec<String> = Vec::new();
        for offer in &self.offers {
            let network = offer.domain.asset.network.to_string();
            if !networks.contains(&network) {
                networks.push(network);
            }
        }
        networks.join(", ")
    }
}

impl Offer {
    fn read(offer: Value) -> Option<Self> {
        // The "exact" scheme has other ways to move a token too; EIP-3009 is the one without a name.
        let method = offer["extra"]["assetTransferMethod"].as_str();
        if method.is_some_and(|method| method != "eip3009") {
            return None;
        }
        let requirements: PaymentRequirements = serde_json::from_value(offer).ok()?;
        if requirements.scheme != SCHEME_EXACT {
            return None;
        }
        let address = |text: &str| text.parse().map(AgentAddress::address).ok();
        let amount = U256::from_str_radix(&requirements.amount, 10).ok()?;
        let domain = TokenDomain {
            asset: AssetId {
                network: requirements.network.parse().ok()?,
                token: address(&requirements.asset)?,
            },
            name: requirements.extra.name.clone(),
            version: requirements.extra.version.clone(),
        };
        Some(Self {
            pay_to: address(&requirements.pay_to)?,
            price: Credits::from_base_units(amount, DOLLAR_DECIMALS)
                .filter(|it| it.is_positive())?,
            amount,
            domain,
            requirements,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde_json::json;

    use super::*;

    pub(in crate::client) const USDC: &str = "0x036cbd53842c5426634e7929541ec2318f3dcf7e";

    pub(in crate::client) fn offer(network: &str, asset: &str, amount: &str) -> Value {
        json!({
            "scheme": "exact",
            "network": network,
            "amount": amount,
            "asset": asset,
            "payTo": "0x209693bc6afc0c5328ba36faf03c514ef312287c",
            "maxTimeoutSeconds": 300,
            "extra": { "name": "USDC", "version": "2" },
        })
    }

    pub(in crate::client) fn header(accepts: &[Value]) -> String {
        let document = json!({
            "x402Version": 2,
            "error": "PAYMENT-SIGNATURE header is required",
            "resource": { "url": "http://127.0.0.1/x", "description": "", "mimeType": "" },
            "accepts": accepts,
        });
        STANDARD.encode(document.to_string())
    }

    fn quote(accepts: &[Value]) -> Quote {
        Quote::from_header(&header(accepts)).unwrap()
    }

    fn dollar() -> Credits {
        "100".parse().unwrap()
    }

    fn choose(accepts: &[Value], spending: &Spending) -> Result<String, OfferError> {
        let chosen = quote(accepts).choose(spending, dollar());
        chosen.map(|it| format!("{} {}", it.offer.domain.asset, it.offer.amount))
    }

    #[test]
    fn takes_the_first_dollar_or_the_first_on_the_network_asked_for() {
        let base = "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913";
        let mut permit2 = offer("eip155:8453", base, "1");
        permit2["extra"]["assetTransferMethod"] = json!("permit2");
        let mut upto = offer("eip155:8453", base, "1");
        upto["scheme"] = json!("upto");
        let accepts = [
            json!("not an offer"),
            offer("solana:mainnet", base, "1"),
            permit2,
            upto,
            offer("eip155:8453", USDC, "1"),
            offer("eip155:84532", USDC, "1000000"),
            offer("eip155:8453", base, "999999"),
        ];
        let any = choose(&accepts, &Spending::default()).unwrap();
        assert_eq!(any, format!("eip155:84532:{USDC} 1000000"));
        let network = Some(NetworkId::from_chain_id(8453));
        let there = choose(
            &accepts,
            &Spending {
                network,
                ..Spending::default()
            },
        )
        .unwrap();
        assert_eq!(there, format!("eip155:8453:{base} 999999"));
    }

    #[test]
    fn refuses_what_is_too_dear() {
        let accepts = [offer("eip155:84532", USDC, "1000001")];
        let error = choose(&accepts, &Spending::default()).unwrap_err();
        let message = "1.000001 USD is asked for, and 1.00 USD is the limit.";
        assert_eq!(error.to_string(), message);
        let limit = Some("100.0001".parse().unwrap());
        assert!(
            choose(
                &accepts,
                &Spending {
                    limit,
                    ..Spending::default()
                }
            )
            .is_ok()
        );
    }

    #[test]
    fn a_token_is_a_dollar_if_it_is_known_or_the_caller_says_so() {
        let token = "0x1111111111111111111111111111111111111111";
        let accepts = [offer("eip155:84532", token, "1")];
        let error = choose(&accepts, &Spending::default()).unwrap_err();
        assert!(matches!(error, OfferError::UnknownToken(_)), "{error}");
        let dollar_token = Some(Address::repeat_byte(0x11));
        let spending = Spending {
            dollar_token,
            ..Spending::default()
        };
        assert!(choose(&accepts, &spending).is_ok());
    }

    #[test]
    fn an_offer_that_asks_nothing_or_nonsense_is_none() {
        for amount in [
            "0",
            "-1",
            "1.5",
            "0x10",
            "",
            "1000000000000000000000000000000",
        ] {
            let accepts = [offer("eip155:84532", USDC, amount)];
            let error = choose(&accepts, &Spending::default()).unwrap_err();
            assert_eq!(error, OfferError::NonePayable, "{amount}");
        }
    }

    #[test]
    fn a_network_that_is_not_offered_is_told_from_those_that_are() {
        let accepts = [
            offer("eip155:84532", USDC, "1"),
            offer("eip155:84532", USDC, "2"),
        ];
        let network = Some(NetworkId::from_chain_id(1));
        let error = choose(
            &accepts,
            &Spending {
                network,
                ..Spending::default()
            },
        )
        .unwrap_err();
        let message = "No offer on eip155:1 can be paid; offered are: eip155:84532.";
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn a_bad_header_is_named() {
        for header in ["", "%%%", "bm90IGpzb24="] {
            let error = Quote::from_header(header).unwrap_err();
            assert!(matches!(error, OfferError::Header(_)), "{error}");
        }
    }
}
