//! The command line: what each command is called, takes and answers.
//!
//! The client's commands stand in one file each. All of them end in `outcome::Done` or
//! `outcome::Failed`, which are told here and nowhere else: in words, or as one JSON document
//! on standard output. Exit status: 0 done, 1 refused, 2 bad usage, 3 cannot reach the service.

mod admin;
mod balance;
mod buy;
mod call;
mod connection;
mod hint;
mod keygen;
mod outcome;
mod progress;
mod spending;
mod tools;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use super::{
    demo::{self, DemoOptions},
    serve,
};
use outcome::{Failed, report};

#[derive(Debug, Parser)]
#[command(
    name = "counterfoil",
    version,
    about = "Prepaid credits for autonomous agents: bought over x402, spent one wallet signature a call",
    after_help = "First steps, beside a running `counterfoil demo`:\n  \
        export COUNTERFOIL_KEY_FILE=.demo/agent.key\n  \
        counterfoil buy 100\n  \
        counterfoil call weather forecast '{\"place\":\"Lisbon\"}'\n  \
        counterfoil balance\n\n\
        Exit status: 0 done, 1 refused or not verified, 2 bad usage, 3 cannot reach the service."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Answer with one JSON document on standard output, errors too
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    #[command(after_help = "Example:\n  counterfoil serve --config counterfoil.toml")]
    Serve {
        /// The configuration (TOML); `COUNTERFOIL__SECTION__KEY` overrides one key of it
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Show everything on this machine: a node, a token, a tool, the service and an agent
    #[command(after_help = "Example:\n  counterfoil demo --once")]
    Demo {
        /// Exit with 0 when every step held, instead of staying up until Ctrl-C
        #[arg(long)]
        once: bool,
    },
    /// Make a wallet: a new key in a file that only you may read
    Keygen(keygen::Args),
    /// Buy credits in USDC, over x402
    Buy(buy::Args),
    /// Show what the wallet has
    Balance(balance::Args),
    /// Call a tool and pay with credits, or over x402 for this call alone
    Call(call::Args),
    /// List what is for sale, or show one tool
    Tools(tools::Args),
    /// Do an operator's work: deploy, refund, look after suspense
    Admin(admin::Args),
}

/// Parses the command line and does what it says. Bad usage exits with 2 from here.
pub async fn run() -> ExitCode {
    let Cli { command, json } = Cli::parse();
    let outcome = match command {
        Command::Serve { config } => return serve_until_stopped(&config, json).await,
        Command::Demo { once } => return demo::run(DemoOptions { json, once }).await,
        Command::Keygen(args) => keygen::run(&args),
        Command::Buy(args) => buy::run(&args).await,
        Command::Balance(args) => balance::run(&args).await,
        Command::Call(args) => call::run(&args).await,
        Command::Tools(args) => tools::run(&args).await,
        Command::Admin(args) => admin::run(&args).await,
    };
    report(outcome, json)
}

async fn serve_until_stopped(config: &Path, json: bool) -> ExitCode {
    match serve::run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if json => report(Err(Failed::refused("NOT_STARTED", error.to_string())), json),
        Err(error) => {
            eprintln!("counterfoil: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    const HASH: &str = "0x9f2c5e0d1c6b4a3f8e7d6c5b4a39281706f5e4d3c2b1a0998877665544332211";
    const WALLET: &str = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed";

    fn exit_of(args: &[&str]) -> Option<i32> {
        let args = ["counterfoil"].iter().chain(args);
        Cli::try_parse_from(args)
            .err()
            .map(|error| error.exit_code())
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_gives_an_example() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string);
            let name = command.get_name();
            let example = format!("counterfoil {name}");
            assert!(help.is_some_and(|help| help.contains(&example)), "{name}");
        }
    }

    #[test]
    fn every_verb_of_the_operator_gives_an_example() {
        let mut below = vec![(Cli::command(), "counterfoil".to_owned())];
        while let Some((command, path)) = below.pop() {
            for command in command.get_subcommands() {
                let path = format!("{path} {}", command.get_name());
                let help = command.get_after_help().map(ToString::to_string);
                assert!(help.is_some_and(|help| help.contains(&path)), "{path}");
                below.push((command.clone(), path));
            }
        }
    }

    #[test]
    fn takes_json_on_every_command() {
        for args in [
            &["keygen", "--json"][..],
            &["--json", "buy", "100"],
            &["buy", "--transaction-hash", HASH, "--json"],
            &["buy", "7.5", "--transaction-hash", HASH, "--for", WALLET],
            &["balance", "--json"],
            &["call", "weather", "forecast", "{}", "--json"],
            &["call", "weather", "forecast", "-"],
            &["tools", "weather", "--json"],
            &["demo", "--json", "--once"],
            &["serve", "--config", "x.toml", "--json"],
            &[
                "admin",
                "deploy",
                "--config",
                "x.toml",
                "--network",
                "eip155:1",
                "--contract",
                "checkpoint-anchor",
                "--json",
            ],
        ] {
            assert_eq!(exit_of(args), None, "{args:?}");
        }
    }

    #[test]
    fn bad_usage_is_2() {
        for args in [
            &[][..],
            &["serve"],
            &["buy"],
            &["buy", "--transaction-hash", "0x12"],
            &["buy", "--transaction-hash", HASH, "--max-usd", "1"],
            &["buy", "--transaction-hash", HASH, "--for", WALLET],
            &["buy", "-5"],
            &["buy", "1e3"],
            &["buy", "100", "--for", "me"],
            &["buy", "100", "--max-usd", "0.0000001"],
            &["call", "weather"],
            &["call", "Weather", "forecast"],
            &["call", "weather", "forecast", "{}", "--max-usd", "1"],
            &[
                "call",
                "weather",
                "forecast",
                "{}",
                "--pay",
                "--request-id",
                "1",
            ],
            &["call", "weather", "forecast", "{}", "--request-id", "a b"],
            &["balance", "--private-key", "x"],
            &["admin"],
            &["admin", "deploy", "--config", "x.toml"],
            &["admin", "deploy", "--config", "x", "--network", "base"],
        ] {
            assert_eq!(exit_of(args), Some(2), "{args:?}");
        }
    }
}
