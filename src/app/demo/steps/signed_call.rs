//! A call is one request, signed by the wallet.

use serde_json::json;

use super::{FORECAST, TOOL, Walk, invoke_path, parameters};
use crate::app::demo::{
    failure::{Failure, claim},
    narrator::{Heading, Narrator, Proof},
    paint::{self, short},
    wire::Answer,
};

pub(super) const HEADING: Heading = Heading {
    name: "signed_call",
    title: "One signed request, one charge",
};

pub(super) async fn run(walk: &mut Walk<'_>, narrator: &mut Narrator) -> Result<Proof, Failure> {
    let order = json!({ "wallet_address": format!("{:#x}", walk.agent.address()) }).to_string();
    let path = "/api/external/auth/session";
    let session = walk
        .post(narrator, path, &order, "", session)
        .await?
        .expect(200)?;
    walk.agent.session_nonce = session.text(&["session_nonce"])?;

    let runs = walk.stage.tool.runs();
    let body = walk.agent.signed_call(TOOL, FORECAST, &parameters())?;
    let sent = format!(
        "{} and an EIP-191 signature over path and parameters",
        parameters()
    );
    let path = invoke_path(FORECAST);
    let answer = walk
        .post(narrator, &path, &body, &sent, charge)
        .await?
        .expect(200)?;
    claim("runs of the tool", walk.stage.tool.runs(), runs + 1)?;
    claim(
        "the charge",
        answer.text(&["charge_status"])?.as_str(),
        "captured",
    )?;
    claim(
        "the tool's answer",
        answer.text(&["response", "data", "place"])?.as_str(),
        "Lisbon",
    )?;
    let charged = answer.credits("charged_credits")?;
    claim("the charge", charged, answer.credits("price_credits")?)?;
    claim("whether something was charged", charged.is_positive(), true)?;
    walk.charge(charged)?;
    claim(
        "the balance",
        answer.credits("balance_credits")?,
        walk.balance,
    )?;
    let charge_id = answer.text(&["charge_id"])?;
    walk.signed_call = Some((body, answer));
    Ok(Proof {
        shown: vec![format!(
            "The tool ran once, for {}; {} are left.",
            paint::credits(charged),
            paint::credits(walk.balance),
        )],
        summary: ["200".into(), charged.to_string(), walk.balance.to_string()],
        detail: json!({ "charge_id": charge_id, "charged_units": charged.units() }),
    })
}

fn session(answer: &Answer) -> String {
    match answer.text(&["session_nonce"]) {
        Ok(nonce) => format!("session_nonce {}", short(nonce)),
        Err(_) => String::new(),
    }
}

/// The charge that an answer tells of.
pub(super) fn charge(answer: &Answer) -> String {
    let read = || {
        let id = answer.text(&["charge_id"])?;
        let status = answer.text(&["charge_status"])?;
        let amount = answer.credits("charged_credits")?;
        let replayed = match answer.header("Idempotent-Replayed") {
            Some(value) => format!("Idempotent-Replayed: {value}; "),
            None => String::new(),
        };
        let amount = paint::credits(amount);
        Ok::<_, Failure>(format!("{replayed}charge {} {status}: {amount}", short(id)))
    };
    read().unwrap_or_default()
}
