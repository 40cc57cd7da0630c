//! Transfers that nobody announced, and that the chain drops after they counted.

use alloy::primitives::{B256, U256};
use serde_json::{Value, json};

use crate::support::{
    Paid, Payment, Scene, Wallet, client::PURCHASE, client::purchase, run, until,
};

const CREDIT: (&str, &str) = ("[purchase]", "[purchase]\nplain_transfers = \"credit\"");
const SUSPEND: (&str, &str) = ("[purchase]", "[purchase]\nplain_transfers = \"suspense\"");
const UNITS: u64 = 1_000_000;

/// A wallet that is about to pay, and the chain before it does.
async fn before(scene: &Scene) -> Paid {
    let wallet = Wallet::random();
    scene
        .house
        .chain
        .mint(wallet.address(), U256::from(UNITS))
        .await;
    let quote = scene.house.post(PURCHASE, &purchase(&wallet, 100)).await;
    Paid {
        payment: Payment::of(&quote.expect(402), &wallet),
        wallet,
        id: Value::Null,
        before: scene.house.chain.snapshot().await.unwrap(),
    }
}

async fn transfer(scene: &Scene, paid: &Paid) -> B256 {
    let (chain, pay_to) = (&scene.house.chain, scene.house.pay_to);
    chain.transfer(paid.wallet.address(), pay_to, UNITS).await
}

async fn until_cash(scene: &Scene, units: i64) {
    until("the books have something else", async || {
        scene.house.books().await.cash() == units
    })
    .await;
}

#[test]
fn a_plain_transfer_is_taken_back_and_credited_again_with_its_loss_first() {
    run(async {
        for confirmations in [1, 3] {
            let scene = Scene::with(confirmations, &[CREDIT]).await;
            let paid = before(&scene).await;
            transfer(&scene, &paid).await;
            scene.mine(confirmations).await;
            until_cash(&scene, 1_000_000).await;
            scene.spend(&paid.wallet, 2).await;
            scene.undo(&paid).await;
            scene.show().await;
            until_cash(&scene, 0).await;
            let books = scene.house.books().await;
            assert_eq!((books.units(&paid.wallet), books.lost()), (0, 100_000));
            assert_eq!(books.payments("transfer broadcast"), 1);

            transfer(&scene, &paid).await;
            scene.mine(confirmations + 1).await;
            let books = scene.books().await;
            assert_eq!((books.units(&paid.wallet), books.lost()), (900_000, 0));
            assert_eq!((books.cash(), books.reversals), (1_000_000, 1));
            assert_eq!(books.payments("transfer credited"), 1);
        }
    });
}

#[test]
fn a_claim_is_taken_back_and_credited_again_to_whom_it_was() {
    run(async {
        let scene = Scene::new(1).await;
        let paid = before(&scene).await;
        let transaction = transfer(&scene, &paid).await;
        let body = json!({
            "wallet_address": paid.wallet.name(),
            "transaction_hash": format!("{transaction:#x}"),
            "payment_method": "x402",
        });
        let claimed = scene.house.post(PURCHASE, &body).await.expect(200);
        scene.spend(&paid.wallet, 1).await;
        scene.undo(&paid).await;
        scene.show().await;
        let id = &claimed.json["purchase_id"];
        scene.house.becomes(id, "broadcast").await;
        let books = scene.house.books().await;
        assert_eq!((books.cash(), books.units(&paid.wallet)), (0, 0));
        assert_eq!(books.lost(), 50_000);

        assert_eq!(transfer(&scene, &paid).await, transaction);
        scene.mine(2).await;
        scene.house.becomes(id, "credited").await;
        let books = scene.books().await;
        assert_eq!((books.units(&paid.wallet), books.lost()), (950_000, 0));
    });
}

#[test]
fn what_was_in_suspense_is_taken_back_from_there_and_comes_back_there() {
    run(async {
        let scene = Scene::with(1, &[SUSPEND]).await;
        let paid = before(&scene).await;
        transfer(&scene, &paid).await;
        until_cash(&scene, 1_000_000).await;
        assert_eq!(scene.house.books().await.suspense(), 1_000_000);
        scene.undo(&paid).await;
        scene.show().await;
        until_cash(&scene, 0).await;
        let books = scene.house.books().await;
        assert_eq!((books.suspense(), books.lost()), (0, 0));
        transfer(&scene, &paid).await;
        scene.mine(2).await;
        assert_eq!(scene.books().await.suspense(), 1_000_000);
    });
}

#[test]
fn what_was_moved_out_of_suspense_is_its_new_owners_when_it_comes_again() {
    run(async {
        let scene = Scene::with(1, &[SUSPEND]).await;
        let (paid, owner) = (before(&scene).await, Wallet::random());
        transfer(&scene, &paid).await;
        until_cash(&scene, 1_000_000).await;
        let config = scene.house.config_path().display().to_string();
        let list = ["admin", "suspense", "list", "--json", "--config", &config];
        let listed = scene.house.run(&list).await.expect(0);
        let id = listed.json["suspense"][0]["payment"].as_str().unwrap();
        let to = owner.name();
        let moved = ["admin", "suspense", "move", id, "--to", &to];
        let moved = [&moved[..], &["--config", &config]].concat();
        scene.house.run(&moved).await.expect(0);
        scene.spend(&owner, 1).await;

        scene.undo(&paid).await;
        scene.show().await;
        until_cash(&scene, 0).await;
        let books = scene.house.books().await;
        assert_eq!((books.units(&owner), books.lost()), (0, 50_000));
        transfer(&scene, &paid).await;
        scene.mine(2).await;
        let books = scene.books().await;
        assert_eq!((books.units(&owner), books.lost()), (950_000, 0));
        assert_eq!(books.suspense(), 0);
    });
}

#[test]
fn a_transfer_in_another_block_is_followed_and_nothing_is_posted() {
    run(async {
        let scene = Scene::with(1, &[CREDIT]).await;
        let paid = before(&scene).await;
        transfer(&scene, &paid).await;
        until_cash(&scene, 1_000_000).await;
        let before = scene.books().await;
        scene.undo(&paid).await;
        scene.mine(2).await;
        transfer(&scene, &paid).await;
        scene.show().await;
        until("it is not followed", async || {
            let log = scene.house.stderr();
            log.contains("a credited payment is in another block")
        })
        .await;
        assert_eq!(scene.books().await, before);
    });
}

#[test]
fn a_transfer_under_an_authorization_is_followed_to_another_transaction() {
    run(async {
        let scene = Scene::with(1, &[CREDIT]).await;
        let mut paid = before(&scene).await;
        scene.house.chain.front_run(&paid.payment).await;
        until_cash(&scene, 1_000_000).await;
        let before = scene.books().await;
        assert_eq!(before.payments("transfer credited"), 1);
        scene.undo(&paid).await;
        paid.before = scene.house.chain.snapshot().await.unwrap();
        scene.house.chain.front_run(&paid.payment).await;
        scene.show().await;
        until("it is not followed", async || {
            let log = scene.house.stderr();
            log.contains("a credited payment is in another block")
        })
        .await;
        assert_eq!(scene.books().await, before);

        // And given up when its payer cancels it on yet another branch.
        scene.undo(&paid).await;
        scene.house.chain.cancel(&paid.payment, &paid.wallet).await;
        scene.mine(60).await;
        scene.line.mend();
        until_cash(&scene, 0).await;
        assert_eq!(scene.house.received().await, U256::ZERO);
    });
}

#[test]
fn credits_bought_at_the_contract_are_taken_back_from_their_agent() {
    run(async {
        let mut scene = Scene::prepare(1, &[]).await;
        let shop = scene.house.chain.open_shop(scene.house.pay_to).await;
        let sells = format!(
            "confirmations = 1\npurchase_contract = \"{:#x}\"",
            shop.address
        );
        scene.house.configure("confirmations = 1", &sells);
        scene.house.start().await;
        let agent = Wallet::random();
        let paid = before(&scene).await;
        let chain = &scene.house.chain;
        shop.buy(chain, &paid.wallet, agent.address(), UNITS).await;
        until_cash(&scene, 1_000_000).await;
        assert_eq!(scene.house.books().await.units(&agent), 1_000_000);
        scene.spend(&agent, 1).await;
        scene.undo(&paid).await;
        scene.show().await;
        until_cash(&scene, 0).await;
        let books = scene.house.books().await;
        assert_eq!((books.units(&agent), books.lost()), (0, 50_000));
        chain.set_automine(true).await.unwrap();
        shop.buy(chain, &paid.wallet, agent.address(), UNITS).await;
        until_cash(&scene, 1_000_000).await;
        // The same transaction: the same payment.
        let books = scene.books().await;
        assert_eq!((books.units(&agent), books.lost()), (950_000, 0));
        assert_eq!(books.payments("event credited"), 1);
    });
}
