//! `counterfoil admin`: what an operator does beside the running service. One file a verb.

mod deploy;
mod door;
mod log;
mod place;
mod refund;
mod suspense;

use super::outcome::{Done, Failed};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    counterfoil admin deploy --config counterfoil.toml --network eip155:84532 --key-file deployer.key\n  \
    counterfoil admin suspense list --config counterfoil.toml\n  \
    counterfoil admin refund pur_… --config counterfoil.toml")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// What arrived and is nobody's yet
    Suspense(suspense::Args),
    /// What operators did by hand, the newest first
    Log(log::Args),
    /// Pay what is unspent of a purchase back to its payer
    Refund(refund::Args),
    /// Deploy the contracts, at the same address on every chain
    Deploy(deploy::Args),
}

pub(super) async fn run(args: &Args) -> Result<Done, Failed> {
    match &args.verb {
        Verb::Suspense(args) => suspense::run(args).await,
        Verb::Log(args) => log::run(args).await,
        Verb::Refund(args) => refund::run(args).await,
        Verb::Deploy(args) => deploy::run(args).await,
    }
}
