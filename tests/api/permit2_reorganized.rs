//! What Permit2 brought, and the chain undid: counted once on whichever branch it is in the end.

use alloy::primitives::{B256, U256};

use crate::support::{Scene, run, scene::Paid, until};

const EDITS: [(&str, &str); 2] = [
    (
        "eip712_version = \"2\"",
        "eip712_version = \"2\"\ntransfer_method = \"permit2\"",
    ),
    ("[purchase]", "[purchase]\nplain_transfers = \"credit\""),
];

/// A house that credits plain transfers, and a payment by Permit2 that is credited there.
async fn paid() -> (Scene, Paid) {
    let scene = Scene::with(1, &EDITS).await;
    scene.house.chain.with_permit2().await;
    let (wallet, payment) = scene.payer().await;
    let chain = &scene.house.chain;
    chain.approve_permit2(wallet.address(), U256::MAX).await;
    let paid = scene.pay(wallet, payment).await;
    scene.closed().await;
    assert_eq!(scene.books().await.units(&paid.wallet), 1_000_000);
    (scene, paid)
}

#[test]
fn a_dropped_payment_is_taken_back_and_credited_again() {
    run(async {
        let (scene, paid) = paid().await;
        scene.undo(&paid).await;
        scene.show().await;
        let books = scene.taken_back(&paid).await;
        assert_eq!((books.cash(), books.units(&paid.wallet)), (0, 0));
        let books = scene.comes_again(&paid).await;
        assert_eq!(books.units(&paid.wallet), 1_000_000);
        assert_eq!((books.cash(), books.reversals), (1_000_000, 1));
    });
}

/// Another transaction brings the same payment: its transfer looks like a new one to the watcher.
#[test]
fn a_payment_in_another_transaction_is_no_second_one() {
    run(async {
        let (scene, paid) = paid().await;
        scene.undo(&paid).await;
        let theirs = scene.house.chain.settle_permit2(&paid.payment).await;
        scene.show().await;
        follows(&scene, &paid, theirs).await;
        scene.house.caught_up().await;
        let books = scene.books().await;
        assert_eq!((books.cash(), books.reversals), (1_000_000, 0));
        assert_eq!(books.payments("transfer credited"), 0);
    });
}

#[test]
fn a_payment_whose_nonce_is_spent_on_the_new_branch_is_taken_back_for_good() {
    run(async {
        let (scene, paid) = paid().await;
        scene.undo(&paid).await;
        scene.house.chain.invalidate(&paid.payment).await;
        // The same amount, sent plainly: a payment of its own.
        scene.house.chain.plain_transfer(&paid.payment).await;
        scene.show().await;
        scene.house.becomes(&paid.id, "failed").await;
        until("the transfer is not credited", async || {
            scene.house.books().await.payments("transfer credited") == 1
        })
        .await;
        let books = scene.books().await;
        assert_eq!(books.units(&paid.wallet), 1_000_000);
        assert_eq!(books.cash(), 1_000_000);
    });
}

async fn follows(scene: &Scene, paid: &Paid, transaction: B256) {
    until("it is not followed", async || {
        let status = scene.house.status(&paid.id).await;
        status["transaction"] == format!("{transaction:#x}")
    })
    .await;
}
