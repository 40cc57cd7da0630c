//! `counterfoil admin suspense`

use reqwest::Method;
use serde_json::Value;

use super::door::{Ask, DoorArgs};
use crate::{
    app::cli::outcome::{Done, Failed, rows},
    base::PurchaseId,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    counterfoil admin suspense list --config counterfoil.toml")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List what is in suspense, the oldest first
    List(ListArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    counterfoil admin suspense list --config counterfoil.toml")]
struct ListArgs {
    #[command(flatten)]
    door: DoorArgs,
    /// Go on after this payment
    #[arg(long, value_name = "PAYMENT")]
    after: Option<PurchaseId>,
}

pub(super) async fn run(args: &Args) -> Result<Done, Failed> {
    match &args.verb {
        Verb::List(args) => list(args).await,
    }
}

async fn list(args: &ListArgs) -> Result<Done, Failed> {
    let path = match args.after {
        Some(after) => format!("/suspense?after={after}"),
        None => "/suspense".to_owned(),
    };
    let ask = Ask {
        method: Method::GET,
        path: &path,
        body: None,
    };
    let found = args.door.ask(ask).await?;
    Ok(Done {
        human: table(&found),
        json: found.to_string(),
    })
}

fn table(found: &Value) -> String {
    let entries = found["suspense"].as_array();
    let mut parts: Vec<String> = entries.into_iter().flatten().map(entry).collect();
    if parts.is_empty() {
        return "Nothing is in suspense.".to_owned();
    }
    if let Some(next) = found["next"].as_str() {
        parts.push(format!("There is more: go on with --after {next}"));
    }
    parts.join("\n\n")
}

fn entry(entry: &Value) -> String {
    let text = |name: &str| match &entry[name] {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    rows(&[
        ("payment", text("payment")),
        ("network", text("network")),
        ("asset", format!("{} {}", text("asset"), text("symbol"))),
        ("sender", text("sender")),
        ("amount", format!("{} base units", text("amount"))),
        ("credits", text("credits")),
        ("transaction", text("transaction")),
        ("since", text("since")),
        ("why", text("reason")),
    ])
}
