//! `counterfoil buy`

use alloy::primitives::B256;

use super::{
    connection::WalletArgs,
    outcome::{Done, Failed, amount, rows},
    progress::waiting,
    spending::SpendingArgs,
};
use crate::{
    base::{AgentAddress, Credits},
    client::{BuyOptions, ClaimOptions, Client, ClientError, Purchase, Spending},
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "A credit is 0.01 USD. No more is paid than that, unless --max-usd says so.\n\n\
    Examples:\n  \
    counterfoil buy 100\n  \
    counterfoil buy 500 --network eip155:8453 --for 0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed\n  \
    counterfoil buy --transaction-hash 0x9f2c5e0d1c6b4a3f8e7d6c5b4a39281706f5e4d3c2b1a0998877665544332211"
)]
pub(super) struct Args {
    /// How many credits to buy. With --transaction-hash, what that transfer is worth; to be left out unless --for is given
    #[arg(required_unless_present = "transaction_hash")]
    credits: Option<Credits>,
    /// Pay nothing, but claim a transfer that this wallet sent to the service itself
    #[arg(long, value_name = "HASH", value_parser = transaction_hash, conflicts_with_all = ["max_usd", "dollar_token"])]
    transaction_hash: Option<B256>,
    /// The wallet to be credited, if it is not the one that pays. With --transaction-hash, it needs CREDITS
    #[arg(long = "for", value_name = "ADDRESS", requires = "credits")]
    for_wallet: Option<AgentAddress>,
    #[command(flatten)]
    spending: SpendingArgs,
    #[command(flatten)]
    wallet: WalletArgs,
}

fn transaction_hash(text: &str) -> Result<B256, &'static str> {
    let hash = text.strip_prefix("0x").and_then(|_| text.parse().ok());
    hash.ok_or("is not a transaction's hash: 0x and 64 hexadecimal digits")
}

pub(super) async fn run(args: &Args) -> Result<Done, Failed> {
    let client = args.wallet.client()?;
    let purchase = match (args.transaction_hash, args.credits) {
        (Some(hash), _) => waiting("claiming", claim(&client, args, hash)).await?,
        (None, Some(credits)) => {
            let options = BuyOptions {
                for_wallet: args.for_wallet,
                spending: Spending::from(&args.spending),
            };
            waiting("buying", client.buy(credits, &options)).await?
        }
        (None, None) => return Err(Failed::usage("BAD_USAGE", "Say how many credits to buy.")),
    };
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

async fn claim(client: &Client, args: &Args, hash: B256) -> Result<Purchase, ClientError> {
    let Spending { network, .. } = Spending::from(&args.spending);
    match (args.for_wallet, args.credits) {
        (Some(wallet), Some(credits)) => client.claim_for(wallet, credits, hash, network).await,
        (_, credits) => {
            let options = ClaimOptions { network, credits };
            client.claim(hash, &options).await
        }
    }
}
