//! What a claim may not take, and what it may not cost.

use std::sync::Arc;

use alloy::primitives::{Address, B256, U256};
use serde_json::{Value, json};

use crate::support::{
    Chain, House, Proxy, Reply, Setup, Wallet, client::PURCHASE, onchain::pull_step, run, until,
};

fn body(wallet: Address, transaction: B256) -> Value {
    json!({
        "wallet_address": format!("{wallet:#x}"),
        "transaction_hash": format!("{transaction:#x}"),
        "payment_method": "x402",
    })
}

async fn claim(house: &House, wallet: Address, transaction: B256) -> Reply {
    house.post(PURCHASE, &body(wallet, transaction)).await
}

/// A house with a node of its own, that does not run yet.
async fn own_house() -> House {
    House::prepare(Setup::on(Arc::new(Chain::own().await))).await
}

async fn wired_house() -> (House, Proxy) {
    let chain = Chain::shared().await;
    let proxy = Proxy::start(&chain).await;
    let url = chain.rpc_url().to_string();
    let setup = Setup::on(chain).with(&url, &proxy.url);
    (House::with(setup).await, proxy)
}

#[test]
fn what_was_paid_before_the_service_began_buys_nothing() {
    run(async {
        let mut house = own_house().await;
        let (wallet, old) = house.chain.paid_plainly(house.pay_to, 70_000).await;
        house.chain.mine(200).await.unwrap();
        let (late, recent) = house.chain.paid_plainly(house.pay_to, 50_000).await;
        house.start().await;
        let reply = claim(&house, wallet.address(), old).await;
        reply.problem(409, "PAYMENT_TOO_OLD");
        assert!(house.books().await.payments.is_empty());
        // A moment before the very first start was through.
        claim(&house, late.address(), recent).await.expect(200);

        let from = "confirmations = 1\nwatch_from_block = 1";
        house.configure("confirmations = 1", from);
        house.restart().await;
        claim(&house, wallet.address(), old).await.expect(200);
        let books = house.books().await;
        assert_eq!((books.units(&wallet), books.units(&late)), (70_000, 50_000));
    });
}

#[test]
fn an_authorization_that_was_settled_before_the_service_began_buys_nothing() {
    run(async {
        let mut house = own_house().await;
        house.start().await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let payment = house.quote(&wallet, 100).await;
        house.chain.front_run(&payment).await;
        house.chain.mine(200).await.unwrap();
        house.terminate().await;
        // As if this database were new.
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(house.path(&format!("books.db{end}")));
        }
        house.start().await;
        let reply = house.pay(&wallet, 100, &payment).await;
        reply.problem(409, "PAYMENT_TOO_OLD");
        assert_eq!(house.books().await.units(&wallet), 0);
    });
}

#[test]
fn another_amount_at_the_same_place_is_another_transfer() {
    run(async {
        let mut house = own_house().await;
        house.start().await;
        let sender = Wallet::random().address();
        let payer = sender.create(0);
        house.chain.mint(payer, U256::from(1_000_000_000)).await;
        let snapshot = house.chain.snapshot().await.unwrap();
        let hash = house.chain.pay_by_height(sender, house.pay_to).await;
        let first = claim(&house, payer, hash).await.expect(200);
        house.chain.revert(snapshot).await.unwrap();
        house.chain.mine(7).await.unwrap();
        assert_eq!(house.chain.pay_by_height(sender, house.pay_to).await, hash);
        until("it is not taken back", async || {
            house.books().await.payments("claim broadcast") == 1
        })
        .await;
        let second = claim(&house, payer, hash).await.expect(200);
        assert_ne!(first.json["purchase_id"], second.json["purchase_id"]);
        assert_ne!(
            first.json["credits_purchased"],
            second.json["credits_purchased"]
        );
        let books = house.books().await;
        assert_eq!(U256::from(books.cash()), house.received().await);
    });
}

#[test]
fn whoever_claims_what_an_exchange_sent_only_shows_it_to_the_operator() {
    run(async {
        let exchange = Wallet::random();
        let senders = format!("[purchase]\nomnibus_senders = [\"{}\"]", exchange.name());
        let house = House::with(Setup::default().with("[purchase]", &senders)).await;
        let (chain, from) = (&house.chain, exchange.address());
        for claimant in [from, Wallet::random().address()] {
            chain.mint(from, U256::from(70_000)).await;
            let hash = chain.transfer(from, house.pay_to, 70_000).await;
            for _ in 0..2 {
                let reply = claim(&house, claimant, hash).await;
                reply.problem(409, "PAYMENT_IN_SUSPENSE");
            }
        }
        let books = house.books().await;
        assert_eq!((books.suspense(), books.units(&exchange)), (140_000, 0));
        assert_eq!(U256::from(books.cash()), house.received().await);
    });
}

#[test]
fn a_transaction_that_no_node_knows_is_asked_for_twice() {
    run(async {
        let (house, proxy) = wired_house().await;
        let method = "eth_getTransactionByHash";
        let before = proxy.count(method);
        let unknown = B256::repeat_byte(7);
        let reply = claim(&house, Wallet::random().address(), unknown).await;
        assert_eq!(reply.expect(402).json["x402Version"], 2);
        assert_eq!(proxy.count(method) - before, 2);
    });
}

#[test]
fn one_claim_asks_few_consents() {
    run(async {
        let (house, proxy) = wired_house().await;
        let payer = Wallet::random();
        house.chain_dollars(&payer, 100).await;
        let pay_to = house.pay_to;
        let hash = house
            .chain
            .batch(async |caller| {
                house.chain.approve(payer.address(), caller, 900_000).await;
                let step = |credits: u64| pull_step(payer.address(), pay_to, credits * 10_000);
                (1..9).chain(1..9).map(step).collect()
            })
            .await;
        let mut body = body(Wallet::random().address(), hash);
        body["payer_wallet_address"] = json!(payer.name());
        body["sponsor_signature"] = json!(format!("0x{}", "07".repeat(66)));
        let before = proxy.count("eth_call");
        house.post(PURCHASE, &body).await.expect(402);
        let asked = proxy.count("eth_call") - before;
        assert!((1..=4).contains(&asked), "{asked}");
        // Neither is any, of what is not worth what the claim says.
        body["credits"] = json!(77);
        let before = proxy.count("eth_call");
        house.post(PURCHASE, &body).await.expect(402);
        assert_eq!(proxy.count("eth_call"), before);
    });
}
