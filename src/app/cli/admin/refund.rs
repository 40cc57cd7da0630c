//! `counterfoil admin refund`

use reqwest::Method;
use serde_json::{Value, json};

use super::door::{Ask, DoorArgs};
use crate::{
    app::cli::outcome::{Done, Failed, rows},
    base::PurchaseId,
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "What is unspent of the purchase is taken from its wallet and paid to its payer, from \
    the account of refund_key_file. The same command again shows how far the refund has come.\n\n\
    Example:\n  counterfoil admin refund pur_… --config counterfoil.toml"
)]
pub(super) struct Args {
    /// The purchase, as its buyer was told
    #[arg(value_name = "PURCHASE")]
    purchase: PurchaseId,
    #[command(flatten)]
    door: DoorArgs,
}

pub(super) async fn run(args: &Args) -> Result<Done, Failed> {
    let ask = Ask {
        method: Method::POST,
        path: "/refunds",
        body: Some(json!({ "payment": args.purchase.to_string() })),
    };
    let refund = args.door.ask(ask).await?;
    Ok(Done {
        human: table(&refund),
        json: refund.to_string(),
    })
}

fn table(refund: &Value) -> String {
    let text = |name: &str| match &refund[name] {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let state = match text("state").as_str() {
        "paid" => "paid".to_owned(),
        open => format!("{open}: on its way; run the same command again to see it through"),
    };
    rows(&[
        ("refund", text("refund")),
        ("payment", text("payment")),
        ("state", state),
        ("credits", text("credits")),
        ("network", text("network")),
        ("asset", format!("{} {}", text("asset"), text("symbol"))),
        ("amount", format!("{} base units", text("amount"))),
        ("payer", text("payer")),
        ("float", text("float")),
        ("transaction", text("transaction")),
    ])
}
