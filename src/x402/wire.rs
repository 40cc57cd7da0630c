//! The documents of x402 version 2, as clients read and write them.

use alloy::primitives::{Address, U256};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{X402Version, proof::Proof};
use crate::{
    base::NetworkId,
    payment::{Authorization, TokenDomain, TransferMethod},
};

/// The scheme under which exactly the asked amount is paid.
pub const SCHEME_EXACT: &str = "exact";

/// What a 402 answers, as its JSON body and in its `PAYMENT-REQUIRED` header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequired {
    pub x402_version: u8,
    /// Why the request was not served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub resource: Resource,
    /// One entry for each network and asset; never empty, or the reference clients refuse it.
    pub accepts: Vec<PaymentRequirements>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Map<String, Value>>,
}

/// What is sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    pub url: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub mime_type: String,
}

/// One way to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequirements {
    pub scheme: String,
    /// CAIP-2, as `eip155:84532`.
    pub network: String,
    /// Base units of the asset, in decimal.
    pub amount: String,
    /// The token's address.
    pub asset: String,
    pub pay_to: String,
    /// How long a payment may take; clients set `validBefore` by it.
    pub max_timeout_seconds: u64,
    pub extra: DomainExtra,
}

/// The EIP-712 domain of the asset, as far as a client cannot know it, and how it is moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DomainExtra {
    /// Absent: EIP-3009.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset_transfer_method: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
}

/// What `PAYMENT-RESPONSE` carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettleResponse {
    pub success: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
    /// The transaction's hash; empty when there is none.
    pub transaction: String,
    pub network: String,
    /// Base units of the asset, in decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
}

/// What a client sends in `PAYMENT-SIGNATURE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentPayload {
    x402_version: u8,
    payload: Proof,
    accepted: PaymentRequirements,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<Resource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<Map<String, Value>>,
}

/// What a facilitator is asked at `/settle`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettleRequest {
    x402_version: u8,
    payment_payload: PaymentPayload,
    payment_requirements: PaymentRequirements,
}

impl PaymentRequired {
    #[must_use]
    pub fn new(error: &str, resource: Resource, accepts: Vec<PaymentRequirements>) -> Self {
        Self {
            x402_version: X402Version::Two.number(),
            error: Some(error.to_owned()),
            resource,
            accepts,
            extensions: None,
        }
    }
}

impl PaymentRequirements {
    /// A payment of exactly `amount` base units to `pay_to`.
    #[must_use]
    pub fn exact(
        token: &TokenDomain,
        method: TransferMethod,
        pay_to: Address,
        amount: U256,
        max_timeout_seconds: u64,
    ) -> Self {
        Self {
            scheme: SCHEME_EXACT.to_owned(),
            network: token.asset.network.to_string(),
            amount: amount.to_string(),
            asset: format!("{:#x}", token.asset.token),
            pay_to: format!("{pay_to:#x}"),
            max_timeout_seconds,
            extra: DomainExtra {
                asset_transfer_method: match method {
                    TransferMethod::Eip3009 => None,
                    TransferMethod::Permit2 => Some(method.as_str().to_owned()),
                },
                name: token.name.clone(),
                version: token.version.clone(),
            },
        }
    }
}

impl SettleResponse {
    /// The payment arrived.
    #[must_use]
    pub fn settled(
        network: NetworkId,
        transaction: &str,
        payer: Address,
        amount: Option<U256>,
    ) -> Self {
        Self {
            success: true,
            error_reason: None,
            payer: Some(format!("{payer:#x}")),
            transaction: transaction.to_owned(),
            network: network.to_string(),
            amount: amount.map(|amount| amount.to_string()),
        }
    }

    /// The payment was refused before anything was broadcast. `reason` is one of the error codes
    /// of the x402 specification.
    #[must_use]
    pub fn refused(network: NetworkId, payer: Option<Address>, reason: &str) -> Self {
        Self {
            success: false,
            error_reason: Some(reason.to_owned()),
            payer: payer.map(|payer| format!("{payer:#x}")),
            transaction: String::new(),
            network: network.to_string(),
            amount: None,
        }
    }
}

impl SettleRequest {
    /// The settlement of a payment that meets `requirements`.
    #[must_use]
    pub fn new(
        requirements: PaymentRequirements,
        authorization: &Authorization,
        signature: &[u8],
    ) -> Self {
        Self {
            x402_version: X402Version::Two.number(),
            payment_payload: PaymentPayload::new(requirements.clone(), authorization, signature),
            payment_requirements: requirements,
        }
    }
}

impl PaymentPayload {
    /// The payment of one entry of `accepts`.
    #[must_use]
    pub fn new(
        accepted: PaymentRequirements,
        authorization: &Authorization,
        signature: &[u8],
    ) -> Self {
        Self {
            x402_version: X402Version::Two.number(),
            payload: Proof::new(authorization, signature, &accepted.asset),
            accepted,
            resource: None,
            extensions: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::address;
    use serde_json::json;

    use super::*;
    use crate::base::AssetId;

    const NETWORK: NetworkId = NetworkId::from_chain_id(84532);

    fn requirements() -> PaymentRequirements {
        let token = TokenDomain {
            asset: AssetId {
                network: NETWORK,
                token: address!("036CbD53842c5426634e7929541eC2318f3dCF7e"),
            },
            name: "USDC".into(),
            version: "2".into(),
        };
        let pay_to = address!("209693Bc6afc0C5328bA36FaF03C514EF312287C");
        let method = TransferMethod::Eip3009;
        PaymentRequirements::exact(&token, method, pay_to, U256::from(1_000_000), 300)
    }

    #[test]
    fn a_402_reads_as_the_reference_clients_want_it() {
        let resource = Resource {
            url: "http://127.0.0.1:4020/api/external/credits/purchase".into(),
            description: "100 credits".into(),
            mime_type: "application/json".into(),
        };
        let offer = PaymentRequired::new("Payment required", resource, vec![requirements()]);
        let json = serde_json::to_value(&offer).unwrap();
        assert_eq!(
            json,
            json!({
                "x402Version": 2,
                "error": "Payment required",
                "resource": {
                    "url": "http://127.0.0.1:4020/api/external/credits/purchase",
                    "description": "100 credits",
                    "mimeType": "application/json",
                },
                "accepts": [{
                    "scheme": "exact",
                    "network": "eip155:84532",
                    "amount": "1000000",
                    "asset": "0x036cbd53842c5426634e7929541ec2318f3dcf7e",
                    "payTo": "0x209693bc6afc0c5328ba36faf03c514ef312287c",
                    "maxTimeoutSeconds": 300,
                    "extra": { "name": "USDC", "version": "2" },
                }],
            })
        );
        assert_eq!(
            serde_json::from_value::<PaymentRequired>(json).unwrap(),
            offer
        );
    }

    #[test]
    fn a_facilitator_is_asked_as_the_specification_writes_it() {
        let authorization = Authorization {
            method: TransferMethod::Eip3009,
            from: Address::repeat_byte(0xab),
            to: address!("209693Bc6afc0C5328bA36FaF03C514EF312287C"),
            value: U256::from(1_000_000),
            valid_after: 7,
            valid_before: 300,
            nonce: alloy::primitives::B256::repeat_byte(4),
        };
        let request = SettleRequest::new(requirements(), &authorization, &[0x1b; 65]);
        let requirements = serde_json::to_value(requirements()).unwrap();
        assert_eq!(
            serde_json::to_value(request).unwrap(),
            json!({
                "x402Version": 2,
                "paymentPayload": {
                    "x402Version": 2,
                    "payload": {
                        "authorization": {
                            "from": format!("0x{}", "ab".repeat(20)),
                            "to": "0x209693bc6afc0c5328ba36faf03c514ef312287c",
                            "value": "1000000",
                            "validAfter": "7",
                            "validBefore": "300",
                            "nonce": format!("0x{}", "04".repeat(32)),
                        },
                        "signature": format!("0x{}", "1b".repeat(65)),
                    },
                    "accepted": requirements,
                },
                "paymentRequirements": requirements,
            })
        );
    }

    #[test]
    fn a_settlement_names_its_transaction_and_a_refusal_its_reason() {
        let payer = address!("19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A");
        assert_eq!(
            serde_json::to_value(SettleResponse::settled(NETWORK, "0xab", payer, None)).unwrap(),
            json!({
                "success": true,
                "payer": "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a",
                "transaction": "0xab",
                "network": "eip155:84532",
            })
        );
        assert_eq!(
            serde_json::to_value(SettleResponse::refused(NETWORK, None, "insufficient_funds"))
                .unwrap(),
            json!({
                "success": false,
                "errorReason": "insufficient_funds",
                "transaction": "",
                "network": "eip155:84532",
            })
        );
    }
}
