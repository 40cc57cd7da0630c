//! Permit2 beside the watcher: its transfers look plain, and each is one payment all the same.

use std::sync::Arc;

use alloy::primitives::U256;
use serde_json::{Value, json};

use crate::support::{
    Chain, House, Payment, Setup, Wallet,
    client::{PURCHASE, purchase},
    onchain::pull_step,
    permit2::permit2_step,
    run, until,
};

async fn house(chain: Arc<Chain>) -> House {
    chain.with_permit2().await;
    let setup = Setup::on(chain).with(
        "eip712_version = \"2\"",
        "eip712_version = \"2\"\ntransfer_method = \"permit2\"",
    );
    let credit = "[purchase]\nplain_transfers = \"credit\"";
    House::with(setup.with("[purchase]", credit)).await
}

fn sponsored(payer: &Wallet, agent: &Wallet, payment: &Payment) -> Value {
    let mut body = purchase(agent, 100);
    body["sponsor_signature"] = json!(payer.sponsor(agent, 100, payment.nonce()));
    body
}

async fn all_is_booked(house: &House) {
    house.caught_up().await;
    let books = house.books().await;
    assert_eq!(U256::from(books.cash()), house.received().await);
}

#[test]
fn the_watcher_leaves_a_purchase_to_the_one_it_is_for() {
    run(async {
        let house = house(Chain::shared().await).await;
        let (payer, agent) = (house.permit2_payer(200).await, Wallet::random());
        for units in [1_000_000, 2_000_000] {
            let payment = house.quote(&payer, 100).await;
            let body = sponsored(&payer, &agent, &payment);
            house.pay_for(&body, &payment).await.expect(200);
            all_is_booked(&house).await;
            let books = house.books().await;
            assert_eq!((books.units(&agent), books.units(&payer)), (units, 0));
        }
    });
}

/// The settlement is mined while the service is down: the watcher and the reconciler find it at once.
#[test]
fn after_a_crash_too() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let mut house = house(chain.clone()).await;
        house.configure("settle_wait_seconds = 20", "settle_wait_seconds = 0");
        house.restart().await;
        let (payer, agent) = (house.permit2_payer(300).await, Wallet::random());
        let payment = house.quote(&payer, 100).await;
        chain.set_automine(false).await.unwrap();
        let body = sponsored(&payer, &agent, &payment);
        house.pay_for(&body, &payment).await.expect(202);
        until("nothing was sent", async || {
            let pool: Value = chain.rpc("txpool_status", json!([])).await.unwrap();
            pool["pending"] == "0x1"
        })
        .await;
        house.kill_9().await;
        chain.mine(1).await.unwrap();
        chain.set_automine(true).await.unwrap();
        // An equal transfer that is a plain one.
        chain
            .transfer(payer.address(), house.pay_to, 1_000_000)
            .await;
        house.start().await;
        until("it is not credited", async || {
            let books = house.books().await;
            (books.units(&agent), books.units(&payer)) == (1_000_000, 1_000_000)
        })
        .await;
        all_is_booked(&house).await;
    });
}

/// Nobody told the service of the authorization, so its payer is credited; telling it later is too
/// late to change that, and buys nothing twice.
#[test]
fn what_was_watched_first_is_known_when_its_authorization_comes() {
    run(async {
        let house = house(Chain::shared().await).await;
        let (payer, agent) = (house.permit2_payer(100).await, Wallet::random());
        let payment = house.quote(&payer, 100).await;
        house.chain.settle_permit2(&payment).await;
        house.caught_up().await;
        assert_eq!(house.books().await.units(&payer), 1_000_000);

        for body in [purchase(&payer, 100), sponsored(&payer, &agent, &payment)] {
            let known = house.pay_for(&body, &payment).await.expect(200);
            assert_eq!(known.json["credits_purchased"], 100);
        }
        let books = house.books().await;
        assert_eq!((books.units(&payer), books.units(&agent)), (1_000_000, 0));
        assert_eq!(books.payments("purchase credited"), 0);
        all_is_booked(&house).await;
    });
}

/// A claim of what a purchase brought buys nothing, whoever sends it.
#[test]
fn a_purchase_cannot_be_claimed_as_a_transfer() {
    run(async {
        let house = house(Chain::shared().await).await;
        let (payer, agent) = (house.permit2_payer(100).await, Wallet::random());
        let payment = house.quote(&payer, 100).await;
        let body = sponsored(&payer, &agent, &payment);
        let bought = house.pay_for(&body, &payment).await.expect(200);
        let claim = |wallet: &Wallet| {
            json!({
                "wallet_address": wallet.name(),
                "transaction_hash": bought.json["transaction"],
                "payment_method": "x402",
            })
        };
        house.post(PURCHASE, &claim(&payer)).await.expect(409);
        house.post(PURCHASE, &claim(&agent)).await.expect(402);
        let books = house.books().await;
        assert_eq!((books.units(&agent), books.units(&payer)), (1_000_000, 0));
        all_is_booked(&house).await;
    });
}

/// Two settlements and an equal plain transfer in one transaction are three payments.
#[test]
fn equal_transfers_of_one_transaction_are_told_apart() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let mut house = house(chain.clone()).await;
        let payer = house.permit2_payer(300).await;
        let [one, other] = [
            house.quote(&payer, 100).await,
            house.quote(&payer, 100).await,
        ];
        house.kill_9().await;
        chain
            .batch(async |batch| {
                chain.approve(payer.address(), batch, 1_000_000).await;
                vec![
                    permit2_step(&one),
                    pull_step(payer.address(), house.pay_to, 1_000_000),
                    permit2_step(&other),
                ]
            })
            .await;
        house.configure(
            "plain_transfers = \"credit\"",
            "plain_transfers = \"claim\"",
        );
        house.start().await;
        for (payment, units) in [(&one, 1_000_000), (&other, 2_000_000), (&one, 2_000_000)] {
            house.pay(&payer, 100, payment).await.expect(200);
            assert_eq!(house.books().await.units(&payer), units);
        }
        assert_eq!(house.books().await.payments("purchase credited"), 2);
        assert_eq!(house.received().await, U256::from(3_000_000));
    });
}
