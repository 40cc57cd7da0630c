//! Calls that are paid for one by one, over x402, without credits.

use serde::Serialize;

use super::{
    Client, ClientError, DirectReply, Spending,
    body::Parameters,
    buy::{answered, refusal},
    deliver::{Judgement, judge},
    offer::Quote,
    payment::SignedPayment,
    signed_path,
    transport::{Outgoing, Reply},
};
use crate::base::Credits;

/// The most that one call may cost unless the caller says otherwise: a dollar.
const LIMIT: Credits = Credits::from_units(1_000_000);

impl Client {
    /// Calls a tool and pays for this call alone; no credits are touched.
    ///
    /// One payment is signed. What is lost on the way is sent again with the same payment, and a
    /// service that knows the "payment-identifier" extension then answers with the stored result.
    /// Unless `spending` has a limit, a call may cost one dollar at most.
    ///
    /// # Errors
    /// As [`Client::buy`]; a tool that failed is not paid for.
    pub async fn pay_per_call(
        &self,
        tool: &str,
        action: &str,
        parameters: &(impl Serialize + ?Sized),
        spending: &Spending,
    ) -> Result<DirectReply, ClientError> {
        let wallet = self.wallet()?;
        let path = format!("/api{}", signed_path(tool, action)?);
        let body = Parameters::of(parameters)?.json.get().as_bytes().to_vec();
        let request = Outgoing::post(path, body);
        let reply = self.read(&request).await?;
        if reply.status != 402 {
            return Err(reply.into_error());
        }
        let chosen = Quote::read(&reply)?.choose(spending, LIMIT)?;
        let price = chosen.offer.price;
        let payment = SignedPayment::sign(wallet, chosen, self.making()?)?;
        // From here on the payment may be taken. Whatever happens, no other is signed.
        let paid = request.with_payment(payment.header);
        let outcome = self.deliver_until(&paid, judge_paid).await;
        let reply = answered(outcome, payment.valid_before)?;
        match reply.status {
            200 => DirectReply::read(&reply.body, price),
            _ => Err(refusal(reply)),
        }
    }
}

/// While a payment settles, the same request is the way to ask for the result.
fn judge_paid(reply: &Reply) -> Judgement {
    match reply.status {
        202 => Judgement::AgainUncertain,
        _ => judge(reply),
    }
}
