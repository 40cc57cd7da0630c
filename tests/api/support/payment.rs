//! What a payer sends over x402, and every way to send something else.

use alloy::primitives::{Address, B256, U256};
use base64::{Engine, engine::general_purpose::STANDARD};
use counterfoil::{
    base::AssetId,
    payment::{Authorization, TokenDomain, TransferMethod},
};
use serde_json::{Value, json};

use super::{Reply, Wallet, now, random};

/// A payment of one entry of `accepts`. Change what it says, and [`Payment::sign`] it again or not.
#[derive(Clone)]
pub(crate) struct Payment {
    pub(crate) accepted: Value,
    pub(crate) authorization: Authorization,
    pub(crate) signature: Vec<u8>,
    pub(crate) extensions: Option<Value>,
}

impl Payment {
    /// Pays the first offer of a 402, as the foundation's clients do.
    pub(crate) fn of(reply: &Reply, wallet: &Wallet) -> Self {
        let required = reply.payment_required();
        Self::accept(&required["accepts"][0], wallet)
    }

    pub(crate) fn accept(accepted: &Value, wallet: &Wallet) -> Self {
        let text = |name: &str| accepted[name].as_str().unwrap();
        let seconds = accepted["maxTimeoutSeconds"].as_u64().unwrap();
        let method = match accepted["extra"]["assetTransferMethod"].as_str() {
            None => TransferMethod::Eip3009,
            Some(method) => TransferMethod::parse(method).unwrap(),
        };
        let authorization = Authorization {
            method,
            from: wallet.address(),
            to: text("payTo").parse().unwrap(),
            value: text("amount").parse().unwrap(),
            valid_after: now() - 600,
            valid_before: now() + seconds,
            nonce: random().into(),
        };
        let mut payment = Self {
            accepted: accepted.clone(),
            authorization,
            signature: Vec::new(),
            extensions: None,
        };
        payment.sign(wallet);
        payment
    }

    /// Signs what the payment says now.
    pub(crate) fn sign(&mut self, wallet: &Wallet) {
        self.signature = wallet.sign_digest(self.digest());
    }

    /// What is signed.
    pub(crate) fn digest(&self) -> B256 {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let domain = TokenDomain {
            asset: AssetId {
                network: text(&self.accepted["network"]).parse().unwrap(),
                token: text(&self.accepted["asset"]).parse::<Address>().unwrap(),
            },
            name: text(&self.accepted["extra"]["name"]),
            version: text(&self.accepted["extra"]["version"]),
        };
        self.authorization.digest(&domain)
    }

    /// Names the payment, by x402's extension.
    pub(crate) fn identify(&mut self, id: &str) {
        let extension = json!({ "info": { "required": false, "id": id } });
        self.extensions = Some(json!({ "payment-identifier": extension }));
    }

    pub(crate) fn nonce(&self) -> B256 {
        self.authorization.nonce
    }

    pub(crate) fn amount(&self) -> U256 {
        self.authorization.value
    }

    /// `payload`, with the authorization and its signature.
    pub(crate) fn proof(&self) -> Value {
        let Authorization {
            method,
            from,
            to,
            value,
            valid_after,
            valid_before,
            nonce,
        } = &self.authorization;
        if *method == TransferMethod::Permit2 {
            return self.permit2_proof();
        }
        json!({
            "authorization": {
                "from": from.to_checksum(None),
                "to": to.to_checksum(None),
                "value": value.to_string(),
                "validAfter": valid_after.to_string(),
                "validBefore": valid_before.to_string(),
                "nonce": format!("{nonce:#x}"),
            },
            "signature": format!("0x{}", hex::encode(&self.signature)),
        })
    }

    fn permit2_proof(&self) -> Value {
        let terms = &self.authorization;
        json!({
            "permit2Authorization": {
                "permitted": { "token": self.accepted["asset"], "amount": terms.value.to_string() },
                "from": terms.from.to_checksum(None),
                "spender": "0x402085c248EeA27D92E8b30b2C58ed07f9E20001",
                "nonce": U256::from_be_bytes(terms.nonce.0).to_string(),
                "deadline": terms.valid_before.to_string(),
                "witness": {
                    "to": terms.to.to_checksum(None),
                    "validAfter": terms.valid_after.to_string(),
                },
            },
            "signature": format!("0x{}", hex::encode(&self.signature)),
        })
    }

    /// The document of x402 version 2.
    pub(crate) fn document(&self) -> Value {
        let mut document = json!({
            "x402Version": 2,
            "payload": self.proof(),
            "accepted": self.accepted,
        });
        if let Some(extensions) = &self.extensions {
            document["extensions"] = extensions.clone();
        }
        document
    }

    /// The value of `PAYMENT-SIGNATURE`.
    pub(crate) fn header(&self) -> String {
        encode(&self.document())
    }
}

/// A document as a header carries it.
pub(crate) fn encode(document: &Value) -> String {
    STANDARD.encode(document.to_string())
}
