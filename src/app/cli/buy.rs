//! `counterfoil buy`

use super::{
    connection::WalletArgs,
    outcome::{Done, Failed, amount, rows},
    progress::waiting,
    spending::SpendingArgs,
};
use crate::{
    base::{AgentAddress, Credits},
    client::{BuyOptions, Spending},
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "A credit is 0.01 USD. No more is paid than that, unless --max-usd says so.\n\n\
    Examples:\n  \
    counterfoil buy 100\n  \
    counterfoil buy 500 --network eip155:8453 --for 0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"
)]
pub(super) struct Args {
    /// How many credits
    credits: Credits,
    /// The wallet to be credited, if it is not the one that pays
    #[arg(long = "for", value_name = "ADDRESS")]
    for_wallet: Option<AgentAddress>,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    wallet: WalletArgs,
}

pub(super) async fn run(args: &Args) -> Result<Done, Failed> {
    let client = args.wallet.client()?;
    let options = BuyOptions {
        for_wallet: args.for_wallet,
        spending: Spending::from(&args.spending),
    };
    let buying = client.buy(args.credits, &options);
    let purchase = waiting("buying", buying).await?;
    let mut table = vec![("bought", amount(purchase.credits))];
    if let Some(wallet) = args.for_wallet {
        table.push(("for", wallet.to_string()));
    }
    if let Some(balance) = purchase.balance {
        table.push(("balance", amount(balance)));
    }
    if let Some(transaction) = purchase.transaction {
        table.push(("transaction", transaction));
    }
    table.push(("purchase", purchase.id));
    Ok(Done {
        json: purchase.document.get().to_owned(),
        human: rows(&table),
    })
}
