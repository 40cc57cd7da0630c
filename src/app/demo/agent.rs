//! The agent of the demo: a wallet, and what it signs.

use alloy::primitives::{Address, B256, U256};
use serde_json::{Value, json};

use super::failure::{Failure, broken};
use crate::{
    app::clock,
    auth::{Caller, accepted_paths, json, payload_hashes},
    base::{AssetId, RequestId},
    client::Wallet,
    payment::{Authorization, TokenDomain, TransferMethod},
    x402::{PaymentPayload, PaymentRequirements, encode_header},
};

/// Signs by hand what the client would sign unseen.
pub(super) struct Agent {
    wallet: Wallet,
    /// Empty until a session is opened.
    pub(super) session_nonce: String,
    requests: u32,
}

/// A payment, ready to be sent.
pub(super) struct Payment {
    /// The value of `PAYMENT-SIGNATURE`.
    pub(super) header: String,
    pub(super) value: U256,
    pub(super) nonce: B256,
}

impl Agent {
    pub(super) const fn new(wallet: Wallet) -> Self {
        Self {
            wallet,
            session_nonce: String::new(),
            requests: 0,
        }
    }

    pub(super) fn address(&self) -> Address {
        self.wallet.address().address()
    }

    /// The body of a signed call: the wallet's signature covers the path and the parameters.
    pub(super) fn signed_call(
        &mut self,
        tool: &str,
        action: &str,
        parameters: &Value,
    ) -> Result<String, Failure> {
        let text = parameters.to_string();
        let node = json::parse(text.as_bytes())
            .map_err(|error| broken(format!("the parameters cannot be signed: {error}")))?;
        let hashes = payload_hashes(Some(&node), None);
        let (_, hash) = hashes
            .first()
            .ok_or_else(|| broken("the parameters have no hash"))?;
        let [path, ..] = accepted_paths(tool, action);
        self.signed(Some(parameters), |caller| caller.path_bound(&path, hash))
    }

    /// The body of a signed request for the balance.
    pub(super) fn signed_balance(&mut self) -> Result<String, Failure> {
        self.signed(None, |caller| caller.scoped("balance", "-", None))
    }

    fn signed(
        &mut self,
        parameters: Option<&Value>,
        message: impl FnOnce(Caller<'_>) -> String,
    ) -> Result<String, Failure> {
        self.requests += 1;
        let id = format!("demo-{}", self.requests);
        let request_id: RequestId = id
            .parse()
            .map_err(|error| broken(format!("the request id {error}")))?;
        let message = message(Caller {
            wallet: self.wallet.address(),
            session_nonce: &self.session_nonce,
            request_id: &request_id,
        });
        let signature = self.wallet.sign_message(&message).to_bytes();
        let mut body = json!({
            "wallet_address": self.wallet.address().to_string(),
            "session_nonce": self.session_nonce,
            "request_id": id,
            "signature": format!("0x{}", hex::encode(signature)),
        });
        if let Some(parameters) = parameters {
            body["parameters"] = parameters.clone();
        }
        Ok(body.to_string())
    }

    /// Signs the transfer that an offer asks for (EIP-3009). Whoever sends it pays the gas.
    pub(super) fn pay(&self, offer: &PaymentRequirements) -> Result<Payment, Failure> {
        let unreadable = |what: &str| broken(format!("the offer has no readable {what}"));
        let domain = TokenDomain {
            asset: AssetId {
                network: offer.network.parse().map_err(|_| unreadable("network"))?,
                token: offer.asset.parse().map_err(|_| unreadable("asset"))?,
            },
            name: offer.extra.name.clone(),
            version: offer.extra.version.clone(),
        };
        let mut nonce = B256::ZERO;
        getrandom::fill(nonce.as_mut_slice())
            .map_err(|_| broken("the system gives no random bytes"))?;
        let now = u64::try_from(clock::now().seconds()).unwrap_or_default();
        let terms = Authorization {
            method: TransferMethod::Eip3009,
            from: self.address(),
            to: offer.pay_to.parse().map_err(|_| unreadable("payTo"))?,
            value: offer.amount.parse().map_err(|_| unreadable("amount"))?,
            valid_after: 0,
            valid_before: now + offer.max_timeout_seconds,
            nonce,
        };
        let signature = self.wallet.sign_digest(terms.digest(&domain).0).to_bytes();
        let payload = PaymentPayload::new(offer.clone(), &terms, &signature);
        let header = encode_header(&payload).map_err(|error| broken(error.to_string()))?;
        Ok(Payment {
            header,
            value: terms.value,
            nonce,
        })
    }
}
