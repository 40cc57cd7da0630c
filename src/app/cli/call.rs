//! `counterfoil call`

use std::io::{self, Read};

use serde_json::value::RawValue;

use super::{
    connection::WalletArgs,
    outcome::{Done, Failed, amount, rows},
    progress::waiting,
    spending::SpendingArgs,
};
use crate::{
    base::{RequestId, Slug},
    client::{CallOptions, CallReply, Client, DirectReply, Spending},
};

/// More is not read from standard input; a service takes less.
const PARAMETER_BYTES_MAX: u64 = 8 << 20;

#[derive(Debug, clap::Args)]
#[command(mut_group("SpendingArgs", |group| group.requires("pay")))]
#[command(after_help = "Examples:\n  \
    counterfoil call weather forecast '{\"place\":\"Lisbon\"}'\n  \
    counterfoil call weather forecast - < parameters.json\n  \
    counterfoil call weather forecast '{\"place\":\"Lisbon\"}' --pay --max-usd 0.05")]
pub(super) struct Args {
    tool: Slug,
    action: Slug,
    /// JSON, or - to read it from standard input
    #[arg(value_name = "PARAMETERS_JSON", default_value = "{}")]
    parameters: String,
    /// Your own name for the call. With the same session and parameters, it is the same call and
    /// charged once
    #[arg(long, value_name = "ID")]
    request_id: Option<RequestId>,
    /// The nonce of a session that this wallet opened before; a new one unless given
    #[arg(long, value_name = "NONCE")]
    session: Option<String>,
    /// Pay for this call alone, over x402, and touch no credits. One dollar at most, unless
    /// --max-usd says so
    #[arg(long, conflicts_with_all = ["request_id", "session"])]
    pay: bool,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    wallet: WalletArgs,
}

pub(super) async fn run(args: &Args) -> Result<Done, Failed> {
    let parameters = parameters(&args.parameters)?;
    let client = args.wallet.client()?;
    if args.pay {
        waiting("calling", direct(args, &client, &parameters)).await
    } else {
        waiting("calling", with_credits(args, &client, &parameters)).await
    }
}

async fn with_credits(args: &Args, client: &Client, parameters: &RawValue) -> Result<Done, Failed> {
    let options = CallOptions {
        request_id: args.request_id.clone(),
        session_nonce: args.session.clone(),
    };
    let (tool, action) = (args.tool.as_str(), args.action.as_str());
    let CallReply {
        data,
        charge_id,
        charged,
        balance,
        replayed,
        document,
    } = client.call_with(tool, action, parameters, &options).await?;
    let again = if replayed {
        ", by an earlier call: this is its answer"
    } else {
        ""
    };
    let table = [
        ("charged", format!("{}{again}", amount(charged))),
        ("balance", amount(balance)),
        ("charge", charge_id),
        ("answer", data.get().to_owned()),
    ];
    Ok(Done {
        json: document.get().to_owned(),
        human: rows(&table),
    })
}

async fn direct(args: &Args, client: &Client, parameters: &RawValue) -> Result<Done, Failed> {
    let spending = Spending::from(&args.spending);
    let (tool, action) = (args.tool.as_str(), args.action.as_str());
    let DirectReply {
        data,
        transaction,
        network,
        price,
        document,
    } = client
        .pay_per_call(tool, action, parameters, &spending)
        .await?;
    let table = [
        ("paid", format!("{} USD on {network}", price.usd())),
        ("transaction", transaction),
        ("answer", data.get().to_owned()),
    ];
    Ok(Done {
        json: document.get().to_owned(),
        human: rows(&table),
    })
}

fn parameters(argument: &str) -> Result<Box<RawValue>, Failed> {
    let mut text = argument.to_owned();
    if argument == "-" {
        text.clear();
        io::stdin()
            .take(PARAMETER_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|error| {
                let detail = format!("Standard input cannot be read: {error}.");
                Failed::usage("BAD_PARAMETERS", detail)
            })?;
    }
    let text = text.trim().to_owned();
    RawValue::from_string(text).map_err(|error| {
        Failed::usage(
            "BAD_PARAMETERS",
            format!("The parameters are not JSON: {error}."),
        )
        .next("give an object such as '{\"place\":\"Lisbon\"}', in single quotes")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_keep_their_bytes() {
        let text = r#" {"b": 1.0, "a": 1e3}"#;
        assert_eq!(parameters(text).unwrap().get(), text.trim());
        for text in ["", "place=Lisbon", "{} {}", "{'a':1}"] {
            assert!(parameters(text).is_err(), "{text}");
        }
    }
}
