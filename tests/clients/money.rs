//! Who paid whom, as the token's own events tell it.

use alloy::{
    primitives::U256,
    rpc::types::{Filter, Log},
    sol,
    sol_types::SolEvent,
};
use counterfoil::chain::devnet::USDC;
use serde_json::json;

use crate::support::{House, Wallet};

sol! {
    #[derive(Debug)]
    event Transfer(address indexed from, address indexed to, uint256 value);
}

/// A wallet with the USDC that so many credits cost.
pub(crate) async fn fund(house: &House, credits: u64) -> Wallet {
    let wallet = Wallet::random();
    house.chain_dollars(&wallet, credits).await;
    wallet
}

/// Every transfer to the house: nobody else is paid there.
async fn transfers(house: &House) -> Vec<Log<Transfer>> {
    let filter = Filter::new()
        .from_block(0)
        .address(USDC)
        .event_signature(Transfer::SIGNATURE_HASH)
        .topic2(house.pay_to.into_word());
    let logs: Vec<Log> = house
        .chain
        .rpc("eth_getLogs", json!([filter]))
        .await
        .unwrap();
    logs.iter().map(|log| log.log_decode().unwrap()).collect()
}

/// That the wallet paid the house these credits, one transfer after another, that nobody else did,
/// and what the wallet kept. Returns the last transaction's hash.
pub(crate) async fn paid(house: &House, wallet: &Wallet, credits: &[u64], kept: u64) -> String {
    let transfers = transfers(house).await;
    let told: Vec<_> = transfers
        .iter()
        .map(|log| (log.inner.data.from, log.inner.data.value))
        .collect();
    let expected: Vec<_> = credits
        .iter()
        .map(|credits| (wallet.address(), base_units(*credits)))
        .collect();
    assert_eq!(told, expected);
    let left = house.chain.balance_of(wallet.address()).await.unwrap();
    assert_eq!(left, base_units(kept));
    let last = transfers.last().and_then(|log| log.transaction_hash);
    format!("{:#x}", last.expect("a transfer"))
}

fn base_units(credits: u64) -> U256 {
    U256::from(credits * 10_000)
}

/// That the house was not paid.
pub(crate) async fn nothing_paid(house: &House) {
    let transfers = transfers(house).await;
    assert!(transfers.is_empty(), "{transfers:?}");
}
