//! `counterfoil demo`: everything on this machine, in one process tree.
//!
//! Starts a chain with the real USDC contract, an example tool and the service as it runs in
//! production, and walks an agent through what they do together. In reading order: `stage` is
//! what is started, `steps` what is shown and verified, `narrator` how it is told. What the
//! agent signs by hand is in `agent`, what goes over the wire in `wire`.
//!
//! Nothing outlives it but the agent's key: node, database and directory end with the stage.

mod agent;
mod directory;
mod failure;
mod narrator;
mod paint;
mod settings;
mod signals;
mod spinner;
mod stage;
mod steps;
mod table;
mod tool;
mod wire;

use std::{path::PathBuf, process::ExitCode};

use serde_json::json;
use tokio::select;

use self::{
    agent::Agent,
    narrator::{Manner, Narrator},
    signals::Signals,
    stage::{Stage, StageError, StageOptions},
};
use crate::{app::telemetry, client::Wallet};

/// Where the examples look for a key.
const KEY_FILE: &str = ".demo/agent.key";
/// The steps tell what happens; the log is for what should not.
const LOG_FILTER: &str = "warn";

/// How the demonstration runs.
#[derive(Clone, Copy, Debug)]
pub struct DemoOptions {
    /// Tell each step as one JSON object a line.
    pub json: bool,
    /// End when every step held, or one did not.
    pub once: bool,
}

/// Walks through everything, then stays up until it is told to end. Fails when a step did not
/// hold, or when it was ended before the last one.
pub async fn run(options: DemoOptions) -> ExitCode {
    if let Err(error) = telemetry::init(LOG_FILTER) {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    let no_color = variable("NO_COLOR").is_some() || variable("TERM").as_deref() == Some("dumb");
    let mut narrator = Narrator::new(Manner::of(options.json, no_color));
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("error: cannot listen for signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Dropping the work, wherever it is, takes down what it started.
    let stage = select! {
        stage = start(options, &mut narrator) => stage,
        () = signals.next() => return ExitCode::FAILURE,
    };
    let Ok((stage, agent)) = stage else {
        return ExitCode::FAILURE;
    };
    let held = select! {
        held = steps::walk(&stage, agent, &mut narrator) => held,
        () = signals.next() => false,
    };
    if held {
        narrator.sum_up();
        if !options.once {
            invite(&stage, &narrator);
            signals.next().await;
            narrator.say("\nThe demo ends; the chain and the books go with it.");
        }
    }
    stage.stop().await;
    if held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn start(options: DemoOptions, narrator: &mut Narrator) -> Result<(Stage, Agent), ()> {
    let title = narrator.paint().bold("Counterfoil demo");
    narrator.say(format_args!(
        "{title}: a local chain, the real USDC contract, a tool, the service and an agent.\n"
    ));
    let usual = (!options.once).then(|| PathBuf::from(KEY_FILE));
    let stage_options = StageOptions {
        once: options.once,
        key_file: variable("COUNTERFOIL_KEY_FILE")
            .map(PathBuf::from)
            .or(usual),
    };
    let stage = async {
        let stage = Stage::start(stage_options, narrator).await?;
        let wallet = Wallet::read(&stage.key_file)?;
        Ok::<_, StageError>((stage, Agent::new(wallet)))
    };
    match stage.await {
        Ok((stage, agent)) => {
            narrator.object(&json!({
                "step": "start",
                "ok": true,
                "url": stage.url(),
                "rpc_url": stage.devnet.rpc_url().as_str(),
                "config": stage.config,
                "key_file": stage.key_file,
                "wallet": format!("{:#x}", agent.address()),
            }));
            Ok((stage, agent))
        }
        Err(error) => {
            let text = error.to_string();
            narrator.object(&json!({ "step": "start", "ok": false, "error": text }));
            eprintln!("error: {text}");
            Err(())
        }
    }
}

/// What to try while everything is up.
fn invite(stage: &Stage, narrator: &Narrator) {
    let paint = narrator.paint();
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "counterfoil".into());
    let url = stage.url();
    narrator.say(format_args!(
        "\n{}, in another terminal:

   export COUNTERFOIL_URL={url} COUNTERFOIL_KEY_FILE={}
   {program} tools
   {program} call weather forecast '{{\"place\":\"Oslo\"}}'
   {program} balance
   (cd examples/typescript && npm ci && npm start)    # also python, curl; see examples/README.md

   {url}/docs    every endpoint
   {}    this service's configuration

Running until Ctrl-C.",
        paint.bold("Try it"),
        absolute(&stage.key_file).display(),
        stage.config.display(),
    ));
}

/// The examples run in directories of their own.
fn absolute(path: &std::path::Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "how to tell, and where the key is, are asked of the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}
