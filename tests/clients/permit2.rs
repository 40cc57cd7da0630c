//! Clients nobody here wrote, with every default, pay an asset that is moved by Permit2.

use alloy::primitives::U256;
use serde_json::Value;

use crate::{
    client::Client,
    money::{fund, paid},
    support::{House, Setup, Wallet, run},
};

/// A house whose asset is moved by Permit2.
pub(crate) async fn house(setup: Setup) -> House {
    let method = "eip712_version = \"2\"\ntransfer_method = \"permit2\"";
    let house = House::with(setup.with("eip712_version = \"2\"", method)).await;
    house.chain.with_permit2().await;
    house
}

async fn hasty_house() -> House {
    house(Setup::default().with("settle_wait_seconds = 20\n", "")).await
}

/// A wallet that lets Permit2 move what it has.
pub(crate) async fn payer(house: &House, credits: u64) -> Wallet {
    let wallet = fund(house, credits).await;
    let payer = wallet.address();
    house.chain.approve_permit2(payer, U256::MAX).await;
    wallet
}

async fn buys(client: Client) {
    let house = hasty_house().await;
    let wallet = payer(&house, 150).await;
    let result = run_script(client, "buy", &house, &wallet).await;
    let transaction = paid(&house, &wallet, &[100], 50).await;
    assert_eq!(result["payment_response"]["transaction"], transaction);
    assert_eq!(result["body"]["credits_purchased"], 100);
    assert_eq!(house.books().await.payments("purchase credited"), 1);
}

async fn pays_per_call(client: Client) {
    let house = hasty_house().await;
    let wallet = payer(&house, 8).await;
    let called = run_script(client, "pay_per_call", &house, &wallet).await;
    let transaction = paid(&house, &wallet, &[5], 3).await;
    assert_eq!(called["body"]["x402"]["transaction"], transaction);
    assert_eq!(house.books().await.payments("direct credited"), 1);
}

async fn run_script(client: Client, name: &str, house: &House, wallet: &Wallet) -> Value {
    let script = client.script(name, house, wallet).await;
    script.run().await.result()
}

mod credits_are_bought {
    use super::*;

    #[test]
    fn typescript() {
        run(buys(Client::TypeScript));
    }

    #[test]
    fn python() {
        run(buys(Client::Httpx));
    }

    #[test]
    fn rust() {
        run(buys(Client::Rust));
    }
}

/// Not in Python: there, a 402 with an extension and Permit2 needs more than `x402[evm]`.
mod a_call_is_paid {
    use super::*;

    #[test]
    fn typescript() {
        run(pays_per_call(Client::TypeScript));
    }

    #[test]
    fn rust() {
        run(pays_per_call(Client::Rust));
    }
}
