//! `counterfoil balance`

use super::{
    connection::WalletArgs,
    outcome::{Done, Failed, amount, rows},
    progress::waiting,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  counterfoil balance --key-file agent.key")]
pub(super) struct Args {
    #[command(flatten)]
    wallet: WalletArgs,
}

pub(super) async fn run(args: &Args) -> Result<Done, Failed> {
    let client = args.wallet.client()?;
    let balance = waiting("asking", client.balance()).await?;
    let mut table = vec![
        ("wallet", balance.wallet.to_string()),
        ("available", amount(balance.available)),
    ];
    if balance.held.is_positive() {
        table.push(("held", amount(balance.held)));
        table.push(("in all", amount(balance.total)));
    }
    Ok(Done {
        json: balance.document.get().to_owned(),
        human: rows(&table),
    })
}
