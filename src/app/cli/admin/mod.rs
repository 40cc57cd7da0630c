//! `counterfoil admin`: what an operator does beside the running service. One file a verb.

mod door;
mod suspense;

use super::outcome::{Done, Failed};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    counterfoil admin suspense list --config counterfoil.toml")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// What arrived and is nobody's yet
    Suspense(suspense::Args),
}

pub(super) async fn run(args: &Args) -> Result<Done, Failed> {
    match &args.verb {
        Verb::Suspense(args) => suspense::run(args).await,
    }
}
