//! What the chain undoes after it had counted: the books follow the chain, to the unit.

use alloy::primitives::B256;
use serde_json::json;

use crate::support::{Call, Facilitator, Fault, Request, Scene, Wallet, now, run, until};

const ALERT: &str = "alert: the chain dropped a credited payment";

#[test]
fn a_payment_that_is_dropped_after_its_credit_is_taken_back_sent_again_and_credited_again() {
    run(async {
        for confirmations in [1, 3] {
            let scene = Scene::new(confirmations).await;
            let paid = scene.buy().await;
            assert_eq!(scene.books().await.units(&paid.wallet), 1_000_000);
            let first = scene.house.relayed().await;
            scene.undo(&paid).await;
            scene.show().await;

            let books = scene.taken_back(&paid).await;
            assert_eq!((books.cash(), books.lost()), (0, 0));
            assert_eq!(books.units(&paid.wallet), 0);
            assert!(scene.house.stderr().contains(ALERT));
            let again = scene.house.pay(&paid.wallet, 100, &paid.payment).await;
            let again = again.expect(202);
            assert_eq!(again.json["status"], "settling");
            assert_eq!(again.json["purchase_id"], paid.id);

            let books = scene.comes_again(&paid).await;
            assert_eq!(books.units(&paid.wallet), 1_000_000);
            assert_eq!((books.cash(), books.reversals), (1_000_000, 1));
            // The same bytes, under the same account nonce.
            assert_eq!(scene.house.relayed().await, first);
        }
    });
}

#[test]
fn a_payment_that_another_block_holds_is_followed_and_nothing_is_posted() {
    run(async {
        for confirmations in [1, 3] {
            let scene = Scene::new(confirmations).await;
            let paid = scene.buy().await;
            let before = scene.books().await;
            let relayed = scene.house.relayed().await;
            scene.undo(&paid).await;
            scene.mine(2).await;
            let raw = alloy::hex::encode_prefixed(&relayed[0].raw);
            let sent = scene
                .house
                .chain
                .rpc("eth_sendRawTransaction", json!([raw]));
            let _: B256 = sent.await.unwrap();
            scene.show().await;
            until("it is not followed", async || {
                let log = scene.house.stderr();
                log.contains("a credited payment is in another block")
            })
            .await;
            assert_eq!(scene.books().await, before);
            assert_eq!(scene.house.status(&paid.id).await["status"], "credited");
            assert!(!scene.house.stderr().contains(ALERT));
        }
    });
}

#[test]
fn a_payment_that_a_stranger_settles_on_the_new_branch_is_followed() {
    run(async {
        for confirmations in [1, 3] {
            let scene = Scene::new(confirmations).await;
            let paid = scene.buy().await;
            let before = scene.books().await;
            scene.undo(&paid).await;
            let theirs = scene.house.chain.front_run(&paid.payment).await;
            scene.show().await;
            until("it is not followed", async || {
                let status = scene.house.status(&paid.id).await;
                status["transaction"] == format!("{theirs:#x}")
            })
            .await;
            assert_eq!(scene.books().await, before);
            assert_eq!(before.units(&paid.wallet), 1_000_000);
        }
    });
}

#[test]
fn a_payment_that_its_payer_cancels_on_the_new_branch_is_taken_back_for_good() {
    run(async {
        for confirmations in [1, 3] {
            let scene = Scene::new(confirmations).await;
            let paid = scene.buy().await;
            scene.spend(&paid.wallet, 3).await;
            scene.undo(&paid).await;
            scene.house.chain.cancel(&paid.payment, &paid.wallet).await;
            scene.show().await;
            let status = scene.house.becomes(&paid.id, "failed").await;
            assert_eq!(status["reason"], "authorization_cancelled");
            let books = scene.books().await;
            assert_eq!((books.cash(), books.units(&paid.wallet)), (0, 0));
            assert_eq!((books.lost(), books.revenue()), (150_000, 150_000));

            // The relayer is held up by nothing.
            scene.house.chain.set_automine(true).await.unwrap();
            let other = scene.buy().await;
            let books = scene.books().await;
            assert_eq!(books.units(&other.wallet), 1_000_000);
        }
    });
}

#[test]
fn a_payment_that_runs_out_on_the_new_branch_expires() {
    run(async {
        let scene = Scene::new(1).await;
        let (wallet, mut payment) = scene.payer().await;
        payment.authorization.valid_before = now() + 60;
        payment.sign(&wallet);
        let paid = scene.pay(wallet, payment).await;
        scene.undo(&paid).await;
        scene.house.chain.increase_time(120).await.unwrap();
        scene.show().await;
        scene.house.becomes(&paid.id, "expired").await;
        let books = scene.books().await;
        assert_eq!((books.cash(), books.lost()), (0, 0));
        assert_eq!(books.units(&paid.wallet), 0);
    });
}

#[test]
fn what_was_spent_of_a_dropped_payment_is_lost_and_comes_back_first() {
    run(async {
        for (calls, spent) in [(1, 50_000), (20, 1_000_000)] {
            let scene = Scene::new(1).await;
            let paid = scene.buy().await;
            scene.spend(&paid.wallet, calls).await;
            scene.undo(&paid).await;
            scene.show().await;
            let books = scene.taken_back(&paid).await;
            assert_eq!((books.cash(), books.lost()), (0, spent));
            assert_eq!((books.units(&paid.wallet), books.revenue()), (0, spent));

            let books = scene.comes_again(&paid).await;
            assert_eq!((books.lost(), books.revenue()), (0, spent));
            assert_eq!(books.units(&paid.wallet), 1_000_000 - spent);
        }
    });
}

#[test]
fn one_wallets_other_purchases_pay_for_the_dropped_one() {
    run(async {
        let scene = Scene::new(1).await;
        let wallet = Wallet::random();
        scene.house.buy(&wallet, 100).await.expect(200);
        scene.house.chain_dollars(&wallet, 100).await;
        let payment = scene.house.quote(&wallet, 100).await;
        let paid = scene.pay(wallet, payment).await;
        scene.spend(&paid.wallet, 20).await;
        scene.undo(&paid).await;
        scene.show().await;
        let books = scene.taken_back(&paid).await;
        assert_eq!((books.units(&paid.wallet), books.lost()), (0, 0));
        let books = scene.comes_again(&paid).await;
        assert_eq!(books.units(&paid.wallet), 1_000_000);
    });
}

#[test]
fn what_a_running_call_holds_stays_with_it() {
    run(async {
        let scene = Scene::new(1).await;
        let paid = scene.buy().await;
        let session = scene.house.session(&paid.wallet).await;
        let call = Call::of(&paid.wallet, &session, "held", "trouble", "gate");
        let (sender, request) = (scene.house.sender(), Request::signed(&call));
        let running = tokio::spawn(async move { sender.send(&request).await.unwrap() });
        scene.house.tools.asked(1).await;
        scene.undo(&paid).await;
        scene.show().await;
        let books = scene.taken_back(&paid).await;
        assert_eq!((books.units(&paid.wallet), books.lost()), (30_000, 30_000));
        scene.house.tools.open_gate();
        running.await.unwrap().expect(200);
        let books = scene.comes_again(&paid).await;
        assert_eq!((books.units(&paid.wallet), books.lost()), (970_000, 0));
        assert_eq!(books.revenue(), 30_000);
    });
}

#[test]
fn a_payment_may_be_dropped_again_and_again() {
    run(async {
        let scene = Scene::new(1).await;
        let mut paid = scene.buy().await;
        for round in 1..=3_i64 {
            scene.spend(&paid.wallet, 1).await;
            scene.undo(&paid).await;
            // A snapshot is good for one reorganization.
            paid.before = scene.house.chain.snapshot().await.unwrap();
            scene.mine(10 * round.unsigned_abs()).await;
            scene.line.mend();
            let books = scene.taken_back(&paid).await;
            assert_eq!((books.cash(), books.lost()), (0, 50_000 * round));
            let books = scene.comes_again(&paid).await;
            assert_eq!(books.units(&paid.wallet), 1_000_000 - 50_000 * round);
            assert_eq!((books.lost(), books.reversals), (0, round));
        }
    });
}

#[test]
fn a_chain_that_is_behind_says_nothing_of_what_was_credited() {
    run(async {
        let scene = Scene::new(1).await;
        let paid = scene.buy().await;
        let before = scene.books().await;
        // Shorter than it was: as a node shows it that is behind others.
        scene.undo(&paid).await;
        scene.line.mend();
        scene.looks().await;
        assert_eq!(scene.house.books().await, before);

        // Nor does one whose state cannot be read.
        scene.line.fail("eth_call", Fault::Lost);
        scene.mine(3).await;
        scene.looks().await;
        assert_eq!(scene.house.books().await, before);
        scene.line.mend();
        scene.taken_back(&paid).await;
        scene.comes_again(&paid).await;
    });
}

#[test]
fn a_payment_is_looked_at_until_its_block_is_deep_and_never_again() {
    run(async {
        let bound = (
            "confirmations = 1",
            "confirmations = 1\nreorg_blocks_max = 4",
        );
        let scene = Scene::with(1, &[bound]).await;
        let paid = scene.buy().await;
        scene.mine(4).await;
        scene.looks().await;
        assert_eq!(scene.house.books().await.finals, 0);
        scene.mine(1).await;
        let is_final = async || scene.house.books().await.finals == 1;
        until("it is not final", is_final).await;
        let before = scene.books().await;

        // What comes later is still looked at.
        let other = scene.buy().await;
        scene.undo(&paid).await;
        scene.mine(10).await;
        scene.line.mend();
        until("it is not seen", async || {
            scene
                .house
                .stderr()
                .contains("went deeper than reorg_blocks_max")
        })
        .await;
        let books = scene.taken_back(&other).await;
        assert_eq!(books.cash(), before.cash());
        assert_eq!(books.units(&paid.wallet), 1_000_000);
        assert_eq!(scene.house.status(&paid.id).await["status"], "credited");
    });
}

#[test]
fn a_reorganization_while_the_service_is_away_is_found_at_its_start() {
    run(async {
        for blocks in [2, 80] {
            let mut scene = Scene::new(1).await;
            let paid = scene.buy().await;
            scene.spend(&paid.wallet, 2).await;
            scene.house.kill_9().await;
            scene.undo(&paid).await;
            scene.mine(blocks).await;
            scene.line.mend();
            scene.house.start().await;
            let books = scene.taken_back(&paid).await;
            assert_eq!((books.cash(), books.lost()), (0, 100_000));
            let books = scene.comes_again(&paid).await;
            assert_eq!((books.units(&paid.wallet), books.lost()), (900_000, 0));
        }
    });
}

#[test]
fn a_kill_after_the_payment_is_taken_back_changes_nothing() {
    run(async {
        let mut scene = Scene::new(1).await;
        let paid = scene.buy().await;
        scene.spend(&paid.wallet, 1).await;
        scene.undo(&paid).await;
        // The node takes nothing, so the payment can only wait.
        scene.show().await;
        scene.line.fail("eth_sendRawTransaction", Fault::Lost);
        let books = scene.taken_back(&paid).await;
        scene.house.kill_9().await;
        assert_eq!(scene.house.books().await, books);
        scene.line.mend();
        scene.house.start().await;
        let books = scene.comes_again(&paid).await;
        assert_eq!((books.units(&paid.wallet), books.lost()), (950_000, 0));
        assert_eq!(books.reversals, 1);
    });
}

#[test]
fn what_a_facilitator_settled_is_asked_for_again() {
    run(async {
        let mut scene = Scene::prepare(1, &[]).await;
        let facilitator = Facilitator::start(&scene.house.chain).await;
        let elsewhere = format!("facilitator = {:?}\n# no relayer_key_file", facilitator.url);
        let usual = "facilitator = \"local\"\nrelayer_key_file";
        scene.house.configure(usual, &elsewhere);
        scene.house.start().await;
        let paid = scene.buy().await;
        scene.spend(&paid.wallet, 1).await;
        assert_eq!(facilitator.requests().len(), 1);
        scene.undo(&paid).await;
        scene.show().await;
        let books = scene.taken_back(&paid).await;
        assert_eq!((books.cash(), books.lost()), (0, 50_000));
        let books = scene.comes_again(&paid).await;
        assert_eq!((books.units(&paid.wallet), books.lost()), (950_000, 0));
        let asked = facilitator.requests();
        assert!(asked.len() >= 2, "{}", asked.len());
        assert_eq!(asked[0].body, asked[1].body);
    });
}

#[test]
fn many_payments_of_many_blocks_are_followed() {
    run(async {
        let scene = Scene::new(1).await;
        // Before anything is undone, so that all can pay again.
        let mut payers = Vec::new();
        for _ in 0..12 {
            payers.push(scene.payer().await);
        }
        let mut paid = Vec::new();
        for (wallet, payment) in payers {
            paid.push(scene.pay(wallet, payment).await);
        }
        scene.closed().await;
        scene.spend(&paid[4].wallet, 1).await;
        scene.undo(&paid[3]).await;
        scene.show().await;
        until("not taken back", async || {
            scene.house.books().await.reversals == 9
        })
        .await;
        let books = scene.house.books().await;
        assert_eq!((books.cash(), books.lost()), (3_000_000, 50_000));
        scene.house.chain.set_automine(true).await.unwrap();
        let books = scene.books().await;
        assert_eq!((books.cash(), books.lost()), (12_000_000, 0));
        for (index, paid) in paid.iter().enumerate() {
            let spent = if index == 4 { 50_000 } else { 0 };
            assert_eq!(books.units(&paid.wallet), 1_000_000 - spent);
        }
    });
}

/// A free port, for a moment at least.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A line without its colours.
fn plain(line: &str) -> String {
    let parts = line.split('\u{1b}');
    let parts = parts.map(|part| part.split_once('m').filter(|_| part.starts_with('[')));
    let parts = parts.zip(line.split('\u{1b}'));
    parts
        .map(|(cut, whole)| cut.map_or(whole, |(_, rest)| rest))
        .collect()
}

#[test]
fn an_operator_is_told_of_what_was_dropped_and_what_it_cost() {
    run(async {
        let listen = format!("127.0.0.1:{}", free_port());
        let metrics = format!("[server]\nmetrics_listen = \"{listen}\"");
        let scene = Scene::with(1, &[("[server]", &metrics)]).await;
        let paid = scene.buy().await;
        scene.spend(&paid.wallet, 1).await;
        scene.undo(&paid).await;
        scene.show().await;
        scene.taken_back(&paid).await;
        let url = format!("http://{listen}/metrics");
        let told = scene.house.http.get(url).send().await.unwrap();
        let told = told.text().await.unwrap();
        for line in [
            "payments_reversed_total 1",
            "reversal_lost_units_total 50000",
        ] {
            assert!(told.contains(line), "{line} is not in\n{told}");
        }
        let log = scene.house.stderr();
        let alert = log.lines().find(|line| line.contains(ALERT));
        let alert = plain(alert.expect("an alert"));
        for part in [" ERROR ", " credits=100 ", " taken=95 ", " lost=5"] {
            assert!(alert.contains(part), "{part} is not in {alert}");
        }
        scene.comes_again(&paid).await;
    });
}
