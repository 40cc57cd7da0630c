//! Claiming credits for a transfer that the wallet sent itself.

use alloy::primitives::B256;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Client, ClientError, Purchase,
    body::encode,
    buy::{PATH, refusal},
    transport::Outgoing,
};
use crate::{
    auth::{SponsorMessage, SponsorReference},
    base::{AgentAddress, Credits, NetworkId},
};

/// How a transfer is claimed.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClaimOptions {
    /// The network of the transaction; the service looks on all of its networks unless given.
    pub network: Option<NetworkId>,
    /// What the transfer must be worth.
    pub credits: Option<Credits>,
}

#[derive(Serialize)]
struct Claim {
    wallet_address: String,
    transaction_hash: String,
    payment_method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    credits: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payer_wallet_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sponsor_signature: Option<String>,
}

impl Claim {
    fn new(wallet: AgentAddress, transaction: B256, options: &ClaimOptions) -> Self {
        let number = |credits: Credits| RawValue::from_string(credits.to_string());
        let credits = options.credits.map(number);
        Self {
            wallet_address: wallet.to_string(),
            transaction_hash: format!("{transaction:#x}"),
            payment_method: "x402",
            credits: credits.map(|credits| credits.expect("an amount of credits is a JSON number")),
            network: options.network.map(|network| network.to_string()),
            payer_wallet_address: None,
            sponsor_signature: None,
        }
    }
}

impl Client {
    /// Claims the credits of a transfer that this wallet sent to the service's address, and waits
    /// until they are there. The same claim again is answered with the same purchase.
    ///
    /// # Errors
    /// [`ClientError::PaymentRefused`] when there is no such transfer of this wallet's,
    /// [`ClientError::Settling`] when it still waits for its confirmations, and whatever keeps a
    /// claim from being made.
    pub async fn claim(
        &self,
        transaction: B256,
        options: &ClaimOptions,
    ) -> Result<Purchase, ClientError> {
        let claim = Claim::new(self.wallet()?.address(), transaction, options);
        self.send_claim(&claim, options).await
    }

    /// The same for another wallet, with this one's consent to a transfer worth so many credits.
    ///
    /// # Errors
    /// As [`Client::claim`].
    pub async fn claim_for(
        &self,
        recipient: AgentAddress,
        credits: Credits,
        transaction: B256,
        network: Option<NetworkId>,
    ) -> Result<Purchase, ClientError> {
        let wallet = self.wallet()?;
        let payer = wallet.address();
        let consent = SponsorMessage {
            payer,
            recipient,
            credits,
            reference: SponsorReference::Transaction(transaction),
        };
        let credits = Some(credits);
        let options = ClaimOptions { network, credits };
        let mut claim = Claim::new(recipient, transaction, &options);
        if recipient != payer {
            claim.payer_wallet_address = Some(payer.to_string());
            claim.sponsor_signature = Some(wallet.sign_message(&consent.to_string()).to_string());
        }
        self.send_claim(&claim, &options).await
    }

    async fn send_claim(
        &self,
        claim: &Claim,
        options: &ClaimOptions,
    ) -> Result<Purchase, ClientError> {
        let reply = self
            .read(&Outgoing::post(PATH.into(), encode(claim)))
            .await?;
        let credits = options.credits.unwrap_or(Credits::ZERO);
        match reply.status {
            200 => Purchase::read(&reply.body, None, credits),
            202 => self.follow(reply, credits).await,
            _ => Err(refusal(reply)),
        }
    }
}
