//! A call that brings nothing is answered with its price.

use serde_json::json;

use super::{
    FORECAST, Walk, invoke_path, parameters,
    payment::{self, Order},
};
use crate::app::demo::{
    failure::{Failure, claim},
    narrator::{Heading, Narrator, Proof},
};

pub(super) const HEADING: Heading = Heading {
    name: "unpaid_call",
    title: "An unpaid call is told its price",
};

pub(super) async fn run(walk: &mut Walk<'_>, narrator: &mut Narrator) -> Result<Proof, Failure> {
    let runs = walk.stage.tool.runs();
    let body = parameters().to_string();
    let order = Order {
        path: &invoke_path(FORECAST),
        body: &body,
        told: &body,
    };
    let offer = payment::offer(walk, narrator, &order).await?;
    claim("runs of the tool", walk.stage.tool.runs(), runs)?;
    let pay_to = format!("{:#x}", walk.stage.pay_to);
    claim("the receiver", &offer.pay_to, &pay_to)?;
    Ok(Proof {
        shown: vec!["The tool did not run. Any x402 client can read this offer.".into()],
        summary: ["402".into(), "-".into(), walk.balance.to_string()],
        detail: json!({ "offer": offer }),
    })
}
