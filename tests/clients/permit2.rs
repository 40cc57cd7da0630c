//! The foundation's TypeScript client, unmodified, with every default, pays an asset that is moved by
//! Permit2.

use alloy::primitives::U256;

use crate::{
    money::{fund, paid},
    script::Language,
    support::{House, Setup, Wallet, run},
};

async fn house() -> House {
    let setup = Setup::default().with("settle_wait_seconds = 20\n", "");
    let method = "eip712_version = \"2\"\ntransfer_method = \"permit2\"";
    let house = House::with(setup.with("eip712_version = \"2\"", method)).await;
    house.chain.with_permit2().await;
    house
}

async fn payer(house: &House, credits: u64) -> Wallet {
    let wallet = fund(house, credits).await;
    house
        .chain
        .approve_permit2(wallet.address(), U256::MAX)
        .await;
    wallet
}

#[test]
fn credits_are_bought() {
    run(async {
        let house = house().await;
        let wallet = payer(&house, 150).await;
        let script = Language::TypeScript.script("buy", &house, &wallet);
        let result = script.run().await.result();
        let transaction = paid(&house, &wallet, &[100], 50).await;
        assert_eq!(result["payment_response"]["transaction"], transaction);
        assert_eq!(result["body"]["credits_purchased"], 100);
        assert_eq!(house.books().await.payments("purchase credited"), 1);
    });
}

#[test]
fn a_call_is_paid() {
    run(async {
        let house = house().await;
        let wallet = payer(&house, 8).await;
        let script = Language::TypeScript.script("pay_per_call", &house, &wallet);
        let called = script.run().await.result();
        let transaction = paid(&house, &wallet, &[5], 3).await;
        assert_eq!(called["body"]["x402"]["transaction"], transaction);
        assert_eq!(house.books().await.payments("direct credited"), 1);
    });
}
