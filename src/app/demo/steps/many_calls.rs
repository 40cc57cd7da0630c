//! Calls at one time spend from one balance, each once.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::json;
use tokio::task::JoinSet;

use super::{FORECAST, TOOL, Walk, invoke_path};
use crate::{
    app::{
        clock,
        demo::{
            failure::{Failure, broken, claim},
            narrator::{Heading, Narrator, Proof, Told},
            paint,
        },
    },
    base::Credits,
    client::{CallReply, Client, ClientError, Wallet},
};

pub(super) const HEADING: Heading = Heading {
    name: "many_calls",
    title: "Ten calls at once, each charged once",
};

const CALLS: usize = 10;

pub(super) async fn run(walk: &mut Walk<'_>, narrator: &mut Narrator) -> Result<Proof, Failure> {
    let runs = walk.stage.tool.runs();
    let wallet = Wallet::read(&walk.stage.key_file).map_err(ClientError::from)?;
    let client = Client::new(&walk.stage.url(), Some(wallet), clock::now)?;
    let replies = call_at_once(Arc::new(client)).await?;
    let mut ids = BTreeSet::new();
    let mut sum = Credits::ZERO;
    for reply in replies {
        ids.insert(reply.charge_id);
        sum = sum
            .checked_add(reply.charged)
            .ok_or_else(|| broken("the charges are out of range"))?;
    }
    narrator.tell(&Told {
        request: &format!("{CALLS} × POST {}", invoke_path(FORECAST)),
        sent: "signed and sent by the client of this crate, all at one time",
        status: 200,
        received: &format!("{} charges: {}", ids.len(), paint::credits(sum)),
    });
    claim("distinct charges", ids.len(), CALLS)?;
    claim(
        "runs of the tool",
        walk.stage.tool.runs(),
        runs + CALLS as u64,
    )?;
    walk.charge(sum)?;
    walk.check_balance(narrator).await?;
    Ok(Proof {
        shown: vec![format!(
            "{CALLS} runs, {CALLS} charges, one balance: nothing lost, nothing twice."
        )],
        summary: [
            format!("{CALLS}×200"),
            sum.to_string(),
            walk.balance.to_string(),
        ],
        detail: json!({ "calls": CALLS, "charged_units": sum.units(), "charge_ids": ids }),
    })
}

async fn call_at_once(client: Arc<Client>) -> Result<Vec<CallReply>, Failure> {
    let mut calls = JoinSet::new();
    for number in 1..=CALLS {
        let client = client.clone();
        let parameters = json!({ "place": format!("Place {number}") });
        calls.spawn(async move { client.call(TOOL, FORECAST, &parameters).await });
    }
    let mut replies = Vec::new();
    while let Some(call) = calls.join_next().await {
        let reply = call.map_err(|error| broken(format!("a call was broken off: {error}")))?;
        replies.push(reply?);
    }
    Ok(replies)
}
