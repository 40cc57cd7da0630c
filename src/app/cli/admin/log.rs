//! `counterfoil admin log`

use reqwest::Method;
use serde_json::Value;

use super::{
    door::{Ask, DoorArgs},
    suspense::text,
};
use crate::app::cli::outcome::{Done, Failed, rows};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  counterfoil admin log --config counterfoil.toml")]
pub(super) struct Args {
    #[command(flatten)]
    door: DoorArgs,
    /// Go on before this action: the number that the log has for it
    #[arg(long, value_name = "ACTION", value_parser = number)]
    before: Option<i64>,
}

fn number(text: &str) -> Result<i64, &'static str> {
    text.parse()
        .map_err(|_| "is not the number of an action, such as 17")
}

pub(super) async fn run(args: &Args) -> Result<Done, Failed> {
    let path = match args.before {
        Some(before) => format!("/log?before={before}"),
        None => "/log".to_owned(),
    };
    let ask = Ask {
        method: Method::GET,
        path: &path,
        body: None,
    };
    let found = args.door.ask(ask).await?;
    let actions = found["actions"].as_array();
    let actions: Vec<String> = actions.into_iter().flatten().map(action).collect();
    Ok(Done {
        human: if actions.is_empty() {
            "Nothing was done by hand.".to_owned()
        } else {
            actions.join("\n\n")
        },
        json: found.to_string(),
    })
}

fn action(action: &Value) -> String {
    let text = |name: &str| text(&action[name]);
    rows(&[
        ("action", text("id")),
        ("at", text("at")),
        ("verb", text("verb")),
        ("arguments", text("arguments")),
        ("note", text("note")),
    ])
}
