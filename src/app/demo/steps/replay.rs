//! A lost reply costs nothing: the same bytes get the same answer.

use serde_json::json;

use super::{FORECAST, Walk, invoke_path, signed_call::charge};
use crate::app::demo::{
    failure::{Failure, broken, claim},
    narrator::{Heading, Narrator, Proof},
};

pub(super) const HEADING: Heading = Heading {
    name: "replay",
    title: "The same bytes again cost nothing",
};

pub(super) async fn run(walk: &mut Walk<'_>, narrator: &mut Narrator) -> Result<Proof, Failure> {
    let (body, first) = walk
        .signed_call
        .take()
        .ok_or_else(|| broken("there is no earlier call"))?;
    let runs = walk.stage.tool.runs();
    let path = invoke_path(FORECAST);
    let sent = "the same bytes, as after a lost reply";
    let answer = walk
        .post(narrator, &path, &body, sent, charge)
        .await?
        .expect(200)?;
    claim(
        "Idempotent-Replayed",
        answer.header("Idempotent-Replayed"),
        Some("true"),
    )?;
    claim("the body", answer.body == first.body, true)?;
    claim("runs of the tool", walk.stage.tool.runs(), runs)?;
    walk.check_balance(narrator).await?;
    Ok(Proof {
        shown: vec!["The stored answer, byte by byte. The tool did not run again.".into()],
        summary: ["200".into(), "0".into(), walk.balance.to_string()],
        detail: json!({ "charge_id": answer.text(&["charge_id"])? }),
    })
}
