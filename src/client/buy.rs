//! Buying credits over x402.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Client, ClientError, Purchase, Spending,
    answer::{PurchaseStatus, read_json},
    body::encode,
    deliver::{Delivered, Failure},
    offer::Quote,
    payment::{Making, SignedPayment},
    random,
    transport::{Outgoing, Reply},
};
use crate::{
    auth::{SponsorMessage, SponsorReference},
    base::{AgentAddress, Credits, NetworkId, PurchaseId},
    x402::{HEADER_BYTES_MAX, SettleResponse, decode_header},
};

pub(super) const PATH: &str = "/api/external/credits/purchase";
const FOLLOW_PAUSE: Duration = Duration::from_secs(1);

/// How credits are bought.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuyOptions {
    /// The wallet to be credited; the payer's own unless given.
    pub for_wallet: Option<AgentAddress>,
    /// Unless a limit is given, the most to pay is what credits are worth: a dollar for 100.
    pub spending: Spending,
}

#[derive(Serialize)]
struct Order {
    wallet_address: String,
    credits: Box<RawValue>,
    payment_method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payer_wallet_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sponsor_signature: Option<String>,
}

impl Order {
    fn new(recipient: AgentAddress, credits: Credits, network: Option<NetworkId>) -> Self {
        let credits = RawValue::from_string(credits.to_string());
        Self {
            wallet_address: recipient.to_string(),
            credits: credits.expect("an amount of credits is a JSON number"),
            payment_method: "x402",
            network: network.map(|network| network.to_string()),
            payer_wallet_address: None,
            sponsor_signature: None,
        }
    }

    fn request(&self) -> Outgoing {
        Outgoing::post(PATH.into(), encode(self))
    }
}

impl Client {
    /// Buys credits: asks for an offer, pays it, and waits until the credits are there.
    ///
    /// One payment is signed. What is lost on the way is sent again with the same payment, so it
    /// is paid once at most.
    ///
    /// # Errors
    /// [`ClientError::Offer`] when nothing was signed, [`ClientError::PaymentRefused`] when the
    /// payment was not taken, [`ClientError::PaymentUnknown`] and [`ClientError::Settling`] when
    /// it may be or is, and whatever keeps a purchase from being made.
    pub async fn buy(
        &self,
        credits: Credits,
        options: &BuyOptions,
    ) -> Result<Purchase, ClientError> {
        let wallet = self.wallet()?;
        let payer = wallet.address();
        let recipient = options.for_wallet.unwrap_or(payer);
        let mut order = Order::new(recipient, credits, options.spending.network);
        let reply = self.read(&order.request()).await?;
        if reply.status != 402 {
            return Err(reply.into_error());
        }
        let chosen = Quote::read(&reply)?.choose(&options.spending, credits)?;
        let payment = SignedPayment::sign(wallet, chosen, self.making()?)?;
        if recipient != payer {
            let consent = SponsorMessage {
                payer,
                recipient,
                credits,
                reference: SponsorReference::Nonce(payment.nonce),
            };
            order.payer_wallet_address = Some(payer.to_string());
            order.sponsor_signature = Some(wallet.sign_message(&consent.to_string()).to_string());
        }
        // From here on the payment may be taken. Whatever happens, no other is signed.
        let paid = order.request().with_payment(payment.header);
        let outcome = self.deliver(&paid).await;
        let reply = answered(outcome, payment.valid_before)?;
        match reply.status {
            200 => Purchase::read(&reply.body, None, credits),
            202 => self.follow(reply, credits).await,
            _ => Err(refusal(reply)),
        }
    }

    /// What makes the next payment one of its kind.
    pub(super) fn making(&self) -> Result<Making, ClientError> {
        Ok(Making {
            now: (self.clock)(),
            nonce: random()?,
            identifier: random()?,
        })
    }

    /// Asks for a purchase that is under way until it has come to its end.
    ///
    /// The id is asked for at the service that the client was given, wherever `status_url` points.
    pub(super) async fn follow(
        &self,
        reply: Reply,
        credits: Credits,
    ) -> Result<Purchase, ClientError> {
        let first: PurchaseStatus = read_json(&reply.body)?;
        let id = first.purchase_id.unwrap_or_default();
        if id.parse::<PurchaseId>().is_err() {
            return Err(reply.unexpected("The service gave no id to follow the purchase by"));
        }
        let request = Outgoing::get(format!("/api/external/credits/purchases/{id}"));
        let started = Instant::now();
        let (mut attempts, mut status) = (0, first.status);
        let mut retry_after = reply.retry_after;
        loop {
            attempts += 1;
            let after = retry_after.unwrap_or(FOLLOW_PAUSE);
            let pause = self
                .patience
                .pause(attempts, Some(after), started.elapsed());
            let Some(pause) = pause else {
                let purchase_id = id;
                return Err(ClientError::Settling {
                    purchase_id,
                    status,
                });
            };
            tokio::time::sleep(pause).await;
            let Ok(Delivered { reply, .. }) = self.deliver(&request).await else {
                // The payment goes on without us; the next look may find the service again.
                continue;
            };
            retry_after = reply.retry_after;
            if !matches!(reply.status, 200 | 202) {
                return Err(reply.into_error());
            }
            let now: PurchaseStatus = read_json(&reply.body)?;
            match now.status.as_str() {
                "credited" => return Purchase::read(&reply.body, Some(&id), credits),
                "refused" | "failed" | "expired" => {
                    let reason = now.reason.unwrap_or(now.status);
                    return Err(ClientError::PaymentRefused { reason });
                }
                _ => status = now.status,
            }
        }
    }
}

/// The answer to a payment, or what is known of the payment without one.
pub(super) fn answered(
    outcome: Result<Delivered, Failure>,
    valid_before: u64,
) -> Result<Reply, ClientError> {
    let unknown = |cause| ClientError::PaymentUnknown {
        valid_before,
        cause: Box::new(cause),
    };
    match outcome {
        // Something broke while it had the payment in hand.
        Ok(Delivered { reply, .. })
            if reply.status == 500 || (reply.status > 500 && reply.problem().is_none()) =>
        {
            Err(unknown(reply.into_error()))
        }
        Ok(Delivered { reply, .. }) => Ok(reply),
        Err(failure) if failure.uncertain => Err(unknown(failure.cause)),
        Err(failure) => Err(failure.cause),
    }
}

/// An answer that is not success. A 402 to a payment says why it was not taken.
pub(super) fn refusal(reply: Reply) -> ClientError {
    if reply.status != 402 {
        return reply.into_error();
    }
    let settled = reply.header("payment-response");
    let settled = settled.and_then(|header| decode_header(header, HEADER_BYTES_MAX).ok());
    let reason = settled.and_then(|settled: SettleResponse| settled.error_reason);
    match reason {
        Some(reason) => ClientError::PaymentRefused { reason },
        None => reply.into_error(),
    }
}
