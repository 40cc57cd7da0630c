//! Credits are bought once, with one signature.

use serde_json::json;

use super::{
    Walk,
    payment::{self, Order},
};
use crate::{
    app::demo::{
        failure::{Failure, broken, claim},
        narrator::{Heading, Narrator, Proof},
        paint,
    },
    base::Credits,
};

pub(super) const HEADING: Heading = Heading {
    name: "purchase",
    title: "100 credits are bought over x402",
};

const CREDITS: i64 = 100;

pub(super) async fn run(walk: &mut Walk<'_>, narrator: &mut Narrator) -> Result<Proof, Failure> {
    let ordered = Credits::from_whole(CREDITS).ok_or_else(|| broken("too many credits"))?;
    let order = json!({
        "wallet_address": format!("{:#x}", walk.agent.address()),
        "credits": CREDITS,
        "payment_method": "x402",
    });
    let wallet = paint::short(walk.agent.address().to_checksum(None));
    let order = Order {
        path: "/api/external/credits/purchase",
        body: &order.to_string(),
        told: &format!("{CREDITS} credits for wallet {wallet}"),
    };
    let paid = payment::pay(walk, narrator, &order).await?;
    claim(
        "credits bought",
        paid.answer.credits("credits_purchased")?,
        ordered,
    )?;
    claim("what was paid for", paint::worth(paid.value), Some(ordered))?;
    walk.balance = paid.answer.credits("balance_credits")?;
    claim("the balance", walk.balance, ordered)?;
    Ok(Proof {
        shown: vec![
            paid.shown(walk),
            format!(
                "The agent has {}. The service paid the gas.",
                paint::credits(walk.balance)
            ),
        ],
        summary: [
            "200".into(),
            paint::usdc(paid.value),
            walk.balance.to_string(),
        ],
        detail: json!({
            "credits": CREDITS,
            "purchase_id": paid.answer.text(&["purchase_id"])?,
            "payment": paid.detail(),
        }),
    })
}
