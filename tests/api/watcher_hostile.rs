//! The watcher, where what it reads was made to be hard to read.

use alloy::primitives::U256;

use crate::support::{Chain, Fault, House, Proxy, Setup, Wallet, run, until};

const CREDIT: (&str, &str) = ("[purchase]", "[purchase]\nplain_transfers = \"credit\"");

async fn wired_house() -> (House, Proxy) {
    let chain = Chain::shared().await;
    let proxy = Proxy::start(&chain).await;
    let url = chain.rpc_url().to_string();
    let setup = Setup::on(chain).with(CREDIT.0, CREDIT.1);
    (House::with(setup.with(&url, &proxy.url)).await, proxy)
}

async fn paid(house: &House, credits: u64) -> Wallet {
    let paid = house.chain.paid_plainly(house.pay_to, credits * 10_000);
    paid.await.0
}

async fn has(house: &House, wallet: &Wallet, credits: i64) {
    until("it is not credited", async || {
        house.books().await.units(wallet) == credits * 10_000
    })
    .await;
}

async fn all_is_booked(house: &House) {
    let books = house.books().await;
    assert_eq!(U256::from(books.cash()), house.received().await);
}

#[test]
fn one_block_that_is_too_much_for_one_answer_is_asked_for_in_parts() {
    run(async {
        let (house, proxy) = wired_house().await;
        proxy.fail("eth_getLogs", Fault::Crowded);
        let wallet = paid(&house, 2).await;
        has(&house, &wallet, 2).await;
        all_is_booked(&house).await;
    });
}

#[test]
fn a_receipt_that_cannot_be_read_keeps_no_other_from_being_booked() {
    run(async {
        let (mut house, proxy) = wired_house().await;
        house.caught_up().await;
        house.kill_9().await;
        let first = house.chain.paid_plainly(house.pay_to, 20_000).await;
        let second = paid(&house, 3).await;
        proxy.fail("eth_getTransactionReceipt", Fault::LostOf(first.1));
        house.start().await;
        has(&house, &second, 3).await;
        assert_eq!(house.books().await.units(&first.0), 0);
        proxy.mend();
        has(&house, &first.0, 2).await;
        all_is_booked(&house).await;
    });
}
