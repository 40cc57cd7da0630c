//! Paying over x402: the offer, the signature, and what the chain says of it.

use alloy::primitives::{Address, U64, U256};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Walk;
use crate::{
    app::demo::{
        failure::{Failure, broken, claim},
        narrator::{Narrator, Told},
        paint::{self, short},
        wire::Answer,
    },
    x402::{PaymentRequired, PaymentRequirements, SettleResponse},
};

/// A payment that arrived.
pub(super) struct Paid {
    pub(super) answer: Answer,
    pub(super) value: U256,
    pub(super) transaction: String,
    pub(super) block: u64,
}

/// The part of a transaction's receipt that is looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    block_number: U64,
    from: Address,
    status: U64,
}

impl Paid {
    /// Where the money went, as the chain says it.
    pub(super) fn shown(&self, walk: &Walk<'_>) -> String {
        format!(
            "On chain, block {}: {} from {} to {}.",
            self.block,
            paint::usdc(self.value),
            short(walk.agent.address().to_checksum(None)),
            short(walk.stage.pay_to.to_checksum(None)),
        )
    }

    pub(super) fn detail(&self) -> Value {
        json!({
            "transaction": self.transaction,
            "block": self.block,
            "amount_base_units": self.value.to_string(),
        })
    }
}

/// A request that is to be paid for.
pub(super) struct Order<'a> {
    pub(super) path: &'a str,
    pub(super) body: &'a str,
    /// What of the body is told.
    pub(super) told: &'a str,
}

/// Sends a request without payment, for its 402.
pub(super) async fn offer(
    walk: &Walk<'_>,
    narrator: &mut Narrator,
    order: &Order<'_>,
) -> Result<PaymentRequirements, Failure> {
    let answer = walk.post(narrator, order.path, order.body, order.told, price);
    let answer = answer.await?.expect(402)?;
    let required: PaymentRequired = answer.document("PAYMENT-REQUIRED")?;
    let same: PaymentRequired = serde_json::from_slice(&answer.body)
        .map_err(|error| broken(format!("the body of the 402 is no offer: {error}")))?;
    claim("header and body of the 402", &required, &same)?;
    let mut accepts = required.accepts.into_iter();
    accepts
        .next()
        .ok_or_else(|| broken("the 402 offers nothing"))
}

/// Takes the offer that a request gets, signs, and sends the request with its payment.
pub(super) async fn pay(
    walk: &Walk<'_>,
    narrator: &mut Narrator,
    order: &Order<'_>,
) -> Result<Paid, Failure> {
    let (payer, pay_to) = (walk.agent.address(), walk.stage.pay_to);
    let before = (walk.usdc_of(payer).await?, walk.usdc_of(pay_to).await?);
    let offer = offer(walk, narrator, order).await?;
    let payment = walk.agent.pay(&offer)?;
    let sending = walk
        .wire
        .post(order.path, order.body, Some(&payment.header));
    let answer = narrator.wait("settling on the chain", sending).await?;
    let settled = answer.document::<SettleResponse>("PAYMENT-RESPONSE").ok();
    let transaction = settled
        .map(|settled| settled.transaction)
        .unwrap_or_default();
    narrator.tell(&Told {
        request: "the same, with PAYMENT-SIGNATURE",
        sent: &format!(
            "EIP-3009: {}, nonce {}, signed by {}",
            paint::usdc(payment.value),
            short(payment.nonce),
            short(payer.to_checksum(None))
        ),
        status: answer.status,
        received: &format!("PAYMENT-RESPONSE: transaction {}", short(&transaction)),
    });
    let answer = answer.expect(200)?;

    let receipt = walk
        .stage
        .devnet
        .rpc("eth_getTransactionReceipt", json!([transaction]));
    let receipt: Receipt = receipt.await?;
    claim("status of the transaction", receipt.status, U64::from(1))?;
    claim(
        "sender of the transaction",
        receipt.from,
        walk.stage.relayer,
    )?;
    let after = (walk.usdc_of(payer).await?, walk.usdc_of(pay_to).await?);
    let moved = (before.0.checked_sub(after.0), after.1.checked_sub(before.1));
    let value = Some(payment.value);
    claim(
        "what the payer paid and the receiver got",
        moved,
        (value, value),
    )?;
    Ok(Paid {
        answer,
        value: payment.value,
        transaction,
        block: receipt.block_number.to(),
    })
}

fn price(answer: &Answer) -> String {
    let Ok(required) = answer.document::<PaymentRequired>("PAYMENT-REQUIRED") else {
        return String::new();
    };
    let offers = required.accepts.iter().map(|offer| {
        let amount = offer.amount.parse().map(paint::usdc).unwrap_or_default();
        format!("{amount} on {} to {}", offer.network, short(&offer.pay_to))
    });
    let offers: Vec<_> = offers.collect();
    format!("PAYMENT-REQUIRED: {}", offers.join(", or "))
}
