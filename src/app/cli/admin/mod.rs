//! `counterfoil admin`: what an operator does beside the running service. One file a verb.

mod deploy;
mod place;

use super::outcome::{Done, Failed};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    counterfoil admin deploy --config counterfoil.toml --network eip155:84532 --key-file deployer.key")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Deploy the contracts, at the same address on every chain
    Deploy(deploy::Args),
}

pub(super) async fn run(args: &Args) -> Result<Done, Failed> {
    match &args.verb {
        Verb::Deploy(args) => deploy::run(args).await,
    }
}
