//! `counterfoil admin suspense`

use reqwest::Method;
use serde_json::{Value, json};

use super::door::{Ask, DoorArgs};
use crate::{
    app::cli::outcome::{Done, Failed, rows},
    base::{AgentAddress, PurchaseId},
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
    /// Give a payment in suspense to a wallet
    Move(MoveArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    counterfoil admin suspense move pur_0123456789abcdef0123456789abcdef \\\n    \
    --to 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --note \"ticket 17\" --config counterfoil.toml")]
struct MoveArgs {
    #[command(flatten)]
    door: DoorArgs,
    /// The payment, as `admin suspense list` names it
    payment: PurchaseId,
    /// Whose it is
    #[arg(long, value_name = "WALLET")]
    to: AgentAddress,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
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
        Verb::Move(args) => move_out(args).await,
    }
}

async fn move_out(args: &MoveArgs) -> Result<Done, Failed> {
    let ask = Ask {
        method: Method::POST,
        path: &format!("/suspense/{}/move", args.payment),
        body: Some(json!({ "to": args.to.to_string(), "note": args.note })),
    };
    let moved = args.door.ask(ask).await?;
    let what = if moved["already_moved"] == true {
        "It was moved before; nothing is changed."
    } else {
        "Moved out of suspense."
    };
    let table = rows(&[
        ("payment", text(&moved["payment"])),
        ("wallet", text(&moved["wallet"])),
        ("credits", text(&moved["credits"])),
    ]);
    Ok(Done {
        human: format!("{what}\n{table}"),
        json: moved.to_string(),
    })
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
    let text = |name: &str| text(&entry[name]);
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

pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}
