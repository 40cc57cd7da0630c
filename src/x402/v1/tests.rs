use alloy::primitives::{U256, address};
use serde_json::json;

use super::*;
use crate::{
    base::{AssetId, NetworkId},
    payment::{TokenDomain, TransferMethod},
};

const BASE_SEPOLIA: u64 = 84_532;
const LOCAL: u64 = 31_337;

fn offer(chain_id: u64) -> OfferV2 {
    let token = TokenDomain {
        asset: AssetId {
            network: NetworkId::from_chain_id(chain_id),
            token: address!("036CbD53842c5426634e7929541eC2318f3dCF7e"),
        },
        name: "USDC".into(),
        version: "2".into(),
    };
    let pay_to = address!("209693Bc6afc0C5328bA36FaF03C514EF312287C");
    let method = TransferMethod::Eip3009;
    OfferV2::exact(&token, method, pay_to, U256::from(1_000_000), 300)
}

fn quote(error: &str, offers: &[OfferV2]) -> PaymentRequired {
    let resource = Resource {
        url: "http://127.0.0.1:4020/api/external/credits/purchase".into(),
        description: "100 credits".into(),
        mime_type: "application/json".into(),
    };
    PaymentRequired::from(&QuoteV2::new(error, resource, offers.to_vec()))
}

#[test]
fn a_402_reads_as_clients_of_version_1_want_it() {
    let quote = quote("a payment is required", &[offer(BASE_SEPOLIA)]);
    assert_eq!(
        serde_json::to_value(quote).unwrap(),
        json!({
            "x402Version": 1,
            "error": "a payment is required",
            "accepts": [{
                "scheme": "exact",
                "network": "base-sepolia",
                "maxAmountRequired": "1000000",
                "resource": "http://127.0.0.1:4020/api/external/credits/purchase",
                "description": "100 credits",
                "mimeType": "application/json",
                "payTo": "0x209693bc6afc0c5328ba36faf03c514ef312287c",
                "maxTimeoutSeconds": 300,
                "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
                "extra": { "name": "USDC", "version": "2" },
            }],
        })
    );
}

#[test]
fn what_version_1_cannot_say_is_left_out() {
    let mut upto = offer(BASE_SEPOLIA);
    upto.scheme = "upto".into();
    let mut permit2 = offer(BASE_SEPOLIA);
    permit2.extra.asset_transfer_method = Some("permit2".into());
    let some = quote("pay", &[offer(LOCAL), upto, permit2, offer(BASE_SEPOLIA)]);
    assert_eq!(some, quote("pay", &[offer(BASE_SEPOLIA)]));
}

#[test]
fn nothing_left_is_explained_and_nothing_for_sale_is_not() {
    let none = quote("insufficient_funds", &[offer(LOCAL)]);
    assert_eq!(none.accepts, []);
    assert_eq!(none.error, format!("insufficient_funds: {NO_NETWORK}"));
    let credits_only = quote("buy credits", &[]);
    assert_eq!(credits_only.error, "buy credits");
}

#[test]
fn a_settlement_names_its_network_and_no_amount() {
    let network = NetworkId::from_chain_id(BASE_SEPOLIA);
    let payer = address!("19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A");
    let settled = SettlementV2::settled(network, "0xab", payer, Some(U256::ONE));
    let written = |settled: &SettlementV2| serde_json::to_value(SettleResponse::from(settled));
    assert_eq!(
        written(&settled).unwrap(),
        json!({
            "success": true,
            "transaction": "0xab",
            "network": "base-sepolia",
            "payer": "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a",
        })
    );
    let refused = SettlementV2::refused(network, Some(payer), "insufficient_funds");
    assert_eq!(
        written(&refused).unwrap(),
        json!({
            "success": false,
            "errorReason": "insufficient_funds",
            "transaction": "",
            "network": "base-sepolia",
            "payer": "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a",
        })
    );
}
