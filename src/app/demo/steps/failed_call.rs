//! A tool that fails is not paid for.

use serde_json::json;

use super::{FAIL, TOOL, Walk, invoke_path};
use crate::{
    app::demo::{
        failure::{Failure, claim},
        narrator::{Heading, Narrator, Proof},
        wire::Answer,
    },
    base::Credits,
};

pub(super) const HEADING: Heading = Heading {
    name: "failed_call",
    title: "A tool that fails is not charged",
};

pub(super) async fn run(walk: &mut Walk<'_>, narrator: &mut Narrator) -> Result<Proof, Failure> {
    let runs = walk.stage.tool.runs();
    let body = walk.agent.signed_call(TOOL, FAIL, &json!({}))?;
    let path = invoke_path(FAIL);
    let sent = "signed; the tool answers it with a 500";
    let answer = walk
        .post(narrator, &path, &body, sent, problem)
        .await?
        .expect(502)?;
    claim("runs of the tool", walk.stage.tool.runs(), runs + 1)?;
    claim("the code", answer.text(&["code"])?.as_str(), "TOOL_FAILED")?;
    claim(
        "the charge",
        answer.text(&["charge_status"])?.as_str(),
        "voided",
    )?;
    claim(
        "the charge",
        answer.credits("charged_credits")?,
        Credits::ZERO,
    )?;
    walk.check_balance(narrator).await?;
    Ok(Proof {
        shown: vec!["The price was held, and given back: the balance is what it was.".into()],
        summary: ["502".into(), "0".into(), walk.balance.to_string()],
        detail: json!({ "charge_id": answer.text(&["charge_id"])? }),
    })
}

fn problem(answer: &Answer) -> String {
    let read = || {
        let (code, status) = (answer.text(&["code"])?, answer.text(&["charge_status"])?);
        Ok::<_, Failure>(format!("{code}; charge {status}"))
    };
    read().unwrap_or_default()
}
