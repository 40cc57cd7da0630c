//! Without credits, a call can be paid for by itself.

use serde_json::json;

use super::{
    FORECAST, Walk, invoke_path, parameters,
    payment::{self, Order},
};
use crate::app::demo::{
    failure::{Failure, claim},
    narrator::{Heading, Narrator, Proof},
    paint,
};

pub(super) const HEADING: Heading = Heading {
    name: "paid_call",
    title: "One call is paid by itself, without credits",
};

pub(super) async fn run(walk: &mut Walk<'_>, narrator: &mut Narrator) -> Result<Proof, Failure> {
    let runs = walk.stage.tool.runs();
    let body = parameters().to_string();
    let order = Order {
        path: &invoke_path(FORECAST),
        body: &body,
        told: &body,
    };
    let paid = payment::pay(walk, narrator, &order).await?;
    claim("runs of the tool", walk.stage.tool.runs(), runs + 1)?;
    claim(
        "the tool's answer",
        paid.answer.text(&["response", "data", "place"])?.as_str(),
        "Lisbon",
    )?;
    claim(
        "the transaction",
        &paid.answer.text(&["x402", "transaction"])?,
        &paid.transaction,
    )?;
    let shown = paid.shown(walk);
    walk.paid_directly = paint::worth(paid.value);
    walk.check_balance(narrator).await?;
    Ok(Proof {
        shown: vec![
            shown,
            "No session, no balance: the credits are what they were.".into(),
        ],
        summary: [
            "200".into(),
            paint::usdc(paid.value),
            walk.balance.to_string(),
        ],
        detail: json!({ "payment": paid.detail() }),
    })
}
