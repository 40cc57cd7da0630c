//! What the demo shows, in order. Each step verifies what it claims, or fails.

mod books;
mod failed_call;
mod many_calls;
mod paid_call;
mod payment;
mod purchase;
mod replay;
mod signed_call;
mod unpaid_call;

use std::time::Instant;

use alloy::primitives::{Address, U256};
use serde_json::{Value, json};

use super::{
    agent::Agent,
    failure::{Failure, broken, claim},
    narrator::{Heading, Narrator, Proof, Told},
    paint,
    stage::Stage,
    wire::{Answer, Wire},
};
use crate::{auth::accepted_paths, base::Credits};

const TOOL: &str = "weather";
const FORECAST: &str = "forecast";
const FAIL: &str = "fail";

/// The walk so far.
pub(super) struct Walk<'s> {
    stage: &'s Stage,
    agent: Agent,
    wire: Wire,
    /// What the agent should have left.
    balance: Credits,
    /// What its calls were charged.
    charged: Credits,
    /// What was paid for a call by itself.
    paid_directly: Option<Credits>,
    /// The signed call that is sent a second time, and its answer.
    signed_call: Option<(String, Answer)>,
}

/// Walks through every step, until one does not hold. Whether all did.
pub(super) async fn walk(stage: &Stage, agent: Agent, narrator: &mut Narrator) -> bool {
    let wire = match Wire::new(stage.url()) {
        Ok(wire) => wire,
        Err(failure) => return narrator.end(unpaid_call::HEADING, Instant::now(), Err(failure)),
    };
    let mut walk = Walk {
        stage,
        agent,
        wire,
        balance: Credits::ZERO,
        charged: Credits::ZERO,
        paid_directly: None,
        signed_call: None,
    };
    let walk = &mut walk;
    step(walk, narrator, unpaid_call::HEADING, unpaid_call::run).await
        && step(walk, narrator, purchase::HEADING, purchase::run).await
        && step(walk, narrator, signed_call::HEADING, signed_call::run).await
        && step(walk, narrator, replay::HEADING, replay::run).await
        && step(walk, narrator, failed_call::HEADING, failed_call::run).await
        && step(walk, narrator, many_calls::HEADING, many_calls::run).await
        && step(walk, narrator, paid_call::HEADING, paid_call::run).await
        && step(walk, narrator, books::HEADING, books::run).await
}

async fn step<'s>(
    walk: &mut Walk<'s>,
    narrator: &mut Narrator,
    heading: Heading,
    run: impl AsyncFnOnce(&mut Walk<'s>, &mut Narrator) -> Result<Proof, Failure>,
) -> bool {
    let began = Instant::now();
    narrator.begin(heading);
    let outcome = run(walk, narrator).await;
    narrator.end(heading, began, outcome)
}

impl Walk<'_> {
    /// Sends and tells, in words for what was sent and for what came back.
    async fn post(
        &self,
        narrator: &mut Narrator,
        path: &str,
        body: &str,
        sent: &str,
        received: impl FnOnce(&Answer) -> String,
    ) -> Result<Answer, Failure> {
        let answer = self.wire.post(path, body, None).await?;
        let mut told = received(&answer);
        if told.is_empty() {
            told = answer.text(&["code"]).unwrap_or_default();
        }
        narrator.tell(&Told {
            request: &format!("POST {path}"),
            sent,
            status: answer.status,
            received: &told,
        });
        Ok(answer)
    }

    /// Takes a charge into account.
    fn charge(&mut self, amount: Credits) -> Result<(), Failure> {
        let overflow = || broken("the amounts are out of range");
        self.charged = self.charged.checked_add(amount).ok_or_else(overflow)?;
        self.balance = self.balance.checked_sub(amount).ok_or_else(overflow)?;
        Ok(())
    }

    /// Asks for the balance and claims that it is what it should be, with nothing held.
    async fn check_balance(&mut self, narrator: &mut Narrator) -> Result<(), Failure> {
        let body = self.agent.signed_balance()?;
        let path = "/api/external/credits/balance";
        let answer = self.post(narrator, path, &body, "", balance_of).await?;
        let answer = answer.expect(200)?;
        claim(
            "the balance",
            answer.credits("balance_credits")?,
            self.balance,
        )?;
        claim(
            "what is held",
            answer.credits("held_credits")?,
            Credits::ZERO,
        )
    }

    /// What an account holds of USDC.
    async fn usdc_of(&self, account: Address) -> Result<U256, Failure> {
        Ok(self.stage.devnet.balance_of(account).await?)
    }
}

fn balance_of(answer: &Answer) -> String {
    match answer.credits("balance_credits") {
        Ok(balance) => format!("balance {}", paint::credits(balance)),
        Err(_) => String::new(),
    }
}

/// The URL path of an action.
fn invoke_path(action: &str) -> String {
    let [path, ..] = accepted_paths(TOOL, action);
    format!("/api{path}")
}

fn parameters() -> Value {
    json!({ "place": "Lisbon" })
}
