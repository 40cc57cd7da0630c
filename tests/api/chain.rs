//! The chain is the judge: authorizations that are cancelled, spent elsewhere, settled by strangers
//! or left lying, and nodes that are away.

use std::{sync::Arc, time::Duration};

use alloy::primitives::{B256, U256};
use serde_json::{Value, json};

use crate::support::{
    Call, Chain, Fault, House, Payment, Proxy, Reply, Request, Setup, Wallet,
    client::{PURCHASE, purchase},
    now, run, until,
};

const FORECAST: &str = "/api/external/tools/weather/actions/forecast/invoke";
const SOON: (&str, &str) = ("settle_wait_seconds = 20", "settle_wait_seconds = 1");

/// A house whose node is its own, with a payer who can afford `credits` and its payment.
async fn own_house(credits: u64) -> (House, Wallet, Payment) {
    let chain = Arc::new(Chain::own().await);
    let house = House::with(Setup::on(chain).with(SOON.0, SOON.1)).await;
    let (wallet, payment) = payer(&house, credits).await;
    (house, wallet, payment)
}

/// A house that sees the node only over a line that can fail.
async fn wired_house() -> (House, Proxy) {
    let chain = Chain::shared().await;
    let proxy = Proxy::start(&chain).await;
    let setup = Setup::on(chain.clone()).with(SOON.0, SOON.1);
    let setup = setup.with(chain.rpc_url().as_str(), &proxy.url);
    (House::with(setup).await, proxy)
}

async fn payer(house: &House, credits: u64) -> (Wallet, Payment) {
    let wallet = Wallet::random();
    house.chain_dollars(&wallet, credits).await;
    let payment = house.quote(&wallet, credits).await;
    (wallet, payment)
}

fn same_hash(json: &Value, hash: B256) {
    assert_eq!(json["transaction"], format!("{hash:#x}"), "{json}");
}

#[track_caller]
fn refused(reply: Reply, reason: &str) -> Reply {
    let reply = reply.expect(402);
    let response = reply.payment_response().expect("PAYMENT-RESPONSE");
    assert_eq!(response["success"], false);
    assert_eq!(response["errorReason"], reason, "{response}");
    assert_eq!(reply.json, reply.payment_required());
    reply
}

/// That the books have exactly what arrived, and this much of it.
async fn arrived(house: &House, credits: u64) {
    let books = house.settled_books().await;
    assert_eq!(U256::from(books.cash()), house.received().await);
    assert_eq!(books.cash(), i64::try_from(credits * 10_000).unwrap());
}

#[test]
fn a_cancelled_authorization_is_refused_and_nothing_is_written() {
    run(async {
        let house = House::new().await;
        let (wallet, payment) = payer(&house, 100).await;
        house.chain.cancel(&payment, &wallet).await;
        let before = house.books().await;
        let reply = house.pay(&wallet, 100, &payment).await;
        refused(reply, "authorization_cancelled");
        assert_eq!(house.books().await, before);
        arrived(&house, 0).await;
    });
}

#[test]
fn an_authorization_cancelled_on_the_way_fails() {
    run(async {
        let (house, wallet, payment) = own_house(100).await;
        house.chain.set_automine(false).await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        let id = &reply.json["purchase_id"];
        let cancelled = house.chain.cancel(&payment, &wallet).await;
        house.chain.mine(1).await.unwrap();
        assert_eq!(house.chain.succeeded(cancelled).await, Some(true));

        let status = house.becomes(id, "failed").await;
        assert_eq!(status["reason"], "authorization_cancelled");
        let reply = house.pay(&wallet, 100, &payment).await;
        refused(reply, "authorization_cancelled");
        let left = house.chain.balance_of(wallet.address()).await.unwrap();
        assert_eq!(left, payment.amount());
        arrived(&house, 0).await;

        // The relayer's next transaction is not held up by the one that came to nothing.
        house.chain.set_automine(true).await.unwrap();
        house.rich(100).await;
        arrived(&house, 100).await;
    });
}

/// Another payment under the same nonce.
fn twin(payment: &Payment, wallet: &Wallet, change: impl FnOnce(&mut Payment)) -> Payment {
    let mut twin = payment.clone();
    change(&mut twin);
    twin.sign(wallet);
    twin
}

#[test]
fn an_authorization_spent_elsewhere_is_credited_to_nobody() {
    run(async {
        let house = House::new().await;
        let (wallet, payment) = payer(&house, 100).await;
        let elsewhere = twin(&payment, &wallet, |twin| {
            twin.authorization.to = Wallet::random().address();
        });
        house.chain.front_run(&elsewhere).await;
        let reply = house.pay(&wallet, 100, &payment).await;
        refused(reply, "authorization_spent_elsewhere");
        arrived(&house, 0).await;
    });
}

#[test]
fn an_authorization_spent_elsewhere_on_the_way_fails() {
    run(async {
        let (house, wallet, payment) = own_house(100).await;
        house.chain.set_automine(false).await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        let elsewhere = twin(&payment, &wallet, |twin| {
            twin.authorization.to = Wallet::random().address();
        });
        house.chain.front_run(&elsewhere).await;
        house.chain.mine(1).await.unwrap();
        let status = house.becomes(&reply.json["purchase_id"], "failed").await;
        assert_eq!(status["reason"], "authorization_spent_elsewhere");
        arrived(&house, 0).await;
    });
}

#[test]
fn a_payment_that_a_stranger_settled_before_it_came_is_credited() {
    run(async {
        let house = House::new().await;
        let (wallet, payment) = payer(&house, 100).await;
        let settled = house.chain.front_run(&payment).await;
        // The money is here, so its amount counts and not what the body says.
        let reply = house.pay(&wallet, 300, &payment).await.expect(200);
        assert_eq!(reply.json["credits_purchased"], 100);
        same_hash(&reply.json, settled);
        assert_eq!(house.relayed().await, []);
        arrived(&house, 100).await;
    });
}

#[test]
fn the_recipient_may_pull_the_payment_by_other_means() {
    run(async {
        let house = House::new().await;
        let (wallet, payment) = payer(&house, 100).await;
        let pulled = house.chain.receive(&payment, &wallet).await;
        let reply = house.pay(&wallet, 100, &payment).await.expect(200);
        same_hash(&reply.json, pulled);
        arrived(&house, 100).await;
    });
}

#[test]
fn a_payment_that_a_stranger_settles_first_is_credited_once() {
    run(async {
        let (house, wallet, payment) = own_house(100).await;
        house.chain.set_automine(false).await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        assert_eq!(reply.payment_response(), None);
        let ours = house.relayed().await[0].hash;
        let theirs = house.chain.front_run(&payment).await;
        house.chain.mine(1).await.unwrap();
        assert_eq!(house.chain.succeeded(theirs).await, Some(true));
        assert_eq!(house.chain.succeeded(ours).await, Some(false));

        let status = house.becomes(&reply.json["purchase_id"], "credited").await;
        same_hash(&status, theirs);
        let again = house.pay(&wallet, 100, &payment).await.expect(200);
        assert_eq!(again.json["purchase_id"], reply.json["purchase_id"]);
        arrived(&house, 100).await;
        house.chain.set_automine(true).await.unwrap();
        house.rich(100).await;
        arrived(&house, 200).await;
    });
}

#[test]
fn a_payment_that_a_stranger_settles_between_two_looks_is_credited() {
    run(async {
        for look in [1, 2] {
            let (house, proxy) = wired_house().await;
            let (wallet, payment) = payer(&house, 100).await;
            proxy.fail("eth_estimateGas", Fault::Slow(Duration::from_millis(300)));
            let request = Request::purchase(&wallet, 100, &payment);
            let sender = house.sender();
            let paying = tokio::spawn(async move { sender.send(&request).await.unwrap() });
            until("no look", async || proxy.count("eth_estimateGas") == look).await;
            let settled = house.chain.front_run(&payment).await;
            let reply = paying.await.unwrap().expect(200);
            same_hash(&reply.json, settled);
            arrived(&house, 100).await;
        }
    });
}

#[test]
fn one_authorization_sent_thirty_times_at_once_is_one_purchase() {
    run(async {
        for _ in 0..3 {
            let house = House::new().await;
            let (wallet, payment) = payer(&house, 100).await;
            let requests = vec![Request::purchase(&wallet, 100, &payment); 30];
            let replies = house.sender().send_all(&requests).await;
            let mut with_balance = 0;
            let mut ids = Vec::new();
            for reply in replies {
                let reply = reply.unwrap().expect(200);
                with_balance += usize::from(reply.json.get("balance_credits").is_some());
                ids.push(reply.json["purchase_id"].to_string());
            }
            ids.dedup();
            assert_eq!(ids.len(), 1, "{ids:?}");
            assert_eq!(with_balance, 1);
            assert_eq!(house.relayed().await.len(), 1);
            assert_eq!(house.books().await.units(&wallet), 1_000_000);
            arrived(&house, 100).await;
        }
    });
}

/// The price of the weather, as a purchase: so that one authorization fits both.
const STEP: [(&str, &str); 1] = [(
    "[purchase]",
    "[purchase]\nstep_credits = 5\nmin_credits = 5",
)];

#[test]
fn one_authorization_sent_to_a_purchase_and_a_call_at_once_is_one_of_them() {
    run(async {
        let house = House::with(Setup::default().with(STEP[0].0, STEP[0].1)).await;
        for _ in 0..5 {
            let before = house.books().await;
            let (wallet, payment) = payer(&house, 5).await;
            let mut requests = vec![Request::purchase(&wallet, 5, &payment); 4];
            let parameters = json!({ "place": "Bern" });
            for _ in 0..4 {
                requests.push(Request::direct(FORECAST, &parameters, &payment));
            }
            requests.swap(1, 5);
            let replies = house.sender().send_all(&requests).await;
            let ok = |path: &str| {
                let replies = requests.iter().zip(&replies);
                let replies = replies.filter(|(request, _)| request.path == path);
                let statuses = replies.map(|(_, reply)| reply.as_ref().unwrap().status);
                statuses.filter(|status| *status == 200).count()
            };
            let (bought, called) = (ok(PURCHASE), ok(FORECAST));
            assert!(
                matches!((bought, called), (4, 0) | (0, 1)),
                "{bought} {called} {replies:#?}"
            );
            for reply in replies.iter().flatten() {
                assert!(matches!(reply.status, 200 | 409), "{}", reply.text());
            }
            let books = house.settled_books().await;
            assert_eq!(books.cash() - before.cash(), 50_000);
            assert_eq!(books.units(&wallet), if bought > 0 { 50_000 } else { 0 });
            assert_eq!(U256::from(books.cash()), house.received().await);
        }
    });
}

#[test]
fn a_credited_authorization_tells_a_stranger_nothing() {
    run(async {
        let house = House::new().await;
        let (wallet, payment) = payer(&house, 100).await;
        let first = house.pay(&wallet, 100, &payment).await.expect(200);
        assert_eq!(first.json["balance_credits"], 100);
        assert_eq!(first.json["wallet_address"], wallet.name());
        let stranger = Wallet::random();
        for (wallet, credits) in [(&wallet, 100), (&stranger, 100), (&stranger, 300)] {
            let again = house.pay(wallet, credits, &payment).await.expect(200);
            for name in ["purchase_id", "status", "credits_purchased", "transaction"] {
                assert_eq!(again.json[name], first.json[name]);
            }
            for name in ["wallet_address", "balance_credits", "balance_usd"] {
                assert_eq!(again.json.get(name), None, "{name}");
            }
            assert_eq!(again.payment_response(), first.payment_response());
        }
        arrived(&house, 100).await;
        assert_eq!(house.books().await.units(&stranger), 0);
    });
}

#[test]
fn an_authorization_that_runs_out_unmined_expires() {
    run(async {
        let (house, wallet, mut payment) = own_house(100).await;
        payment.authorization.valid_before = now() + 60;
        payment.sign(&wallet);
        house.chain.set_automine(false).await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        let id = &reply.json["purchase_id"];
        let again = house.pay(&wallet, 100, &payment).await.expect(202);
        assert_eq!(&again.json["purchase_id"], id);
        assert_eq!(house.status(id).await["status"], "broadcast");
        // The transaction is mined in a block that is too late for it, and reverts.
        house.chain.increase_time(120).await.unwrap();
        house.becomes(id, "expired").await;
        let reply = house.pay(&wallet, 100, &payment).await;
        refused(
            reply,
            "invalid_exact_evm_payload_authorization_valid_before",
        );
        arrived(&house, 0).await;
        let left = house.chain.balance_of(wallet.address()).await.unwrap();
        assert_eq!(left, payment.amount());
    });
}

#[test]
fn whoever_pays_for_another_says_so() {
    run(async {
        let house = House::new().await;
        let (payer, payment) = payer(&house, 100).await;
        let friend = Wallet::random();
        let header = payment.header();
        let pay = async |body: &Value| {
            let reply = house.pay_header(body, "payment-signature", &header);
            reply.await
        };
        let mut body = purchase(&friend, 100);
        refused(pay(&body).await, "sponsor_signature_missing");
        for wrong in [
            payer.sponsor(&friend, 200, payment.nonce()),
            payer.sponsor(&friend, 100, B256::repeat_byte(7)),
            payer.sponsor(&Wallet::random(), 100, payment.nonce()),
            friend.sponsor(&friend, 100, payment.nonce()),
        ] {
            body["sponsor_signature"] = wrong.into();
            refused(pay(&body).await, "sponsor_signature_invalid");
        }
        body["sponsor_signature"] = payer.sponsor(&friend, 100, payment.nonce()).into();
        body["payer_wallet_address"] = friend.name().into();
        refused(pay(&body).await, "payer_mismatch");
        body["payer_wallet_address"] = payer.name().into();
        let reply = pay(&body).await.expect(200);
        assert_eq!(reply.json["wallet_address"], friend.name());
        assert_eq!(reply.json["balance_credits"], 100);
        let books = house.books().await;
        assert_eq!(books.units(&friend), 1_000_000);
        assert_eq!(books.units(&payer), 0);
        arrived(&house, 100).await;
    });
}

#[test]
fn a_payment_is_credited_only_at_its_depth() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let setup = Setup::on(chain)
            .with(SOON.0, SOON.1)
            .with("confirmations = 1", "confirmations = 3");
        let house = House::with(setup).await;
        let (wallet, payment) = payer(&house, 100).await;
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        let id = &reply.json["purchase_id"];
        let hash = house.relayed().await[0].hash;
        assert_eq!(house.chain.succeeded(hash).await, Some(true));
        for _ in 0..2 {
            assert_eq!(house.books().await.cash(), 0);
            house.pay(&wallet, 100, &payment).await.expect(202);
            house.chain.mine(1).await.unwrap();
        }
        house.becomes(id, "credited").await;
        arrived(&house, 100).await;
    });
}

#[test]
fn a_payment_that_a_reorganization_undoes_is_not_credited_and_comes_again() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let setup = Setup::on(chain)
            .with(SOON.0, SOON.1)
            .with("confirmations = 1", "confirmations = 3");
        let house = House::with(setup).await;
        let (wallet, payment) = payer(&house, 100).await;
        let snapshot = house.chain.snapshot().await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        let id = &reply.json["purchase_id"];
        let relayed = house.relayed().await;
        assert_eq!(house.chain.succeeded(relayed[0].hash).await, Some(true));
        house.chain.revert(snapshot).await.unwrap();
        assert!(!house.chain.knows(relayed[0].hash).await);
        until("not sent again", async || {
            house.chain.mine(1).await.unwrap();
            house.status(id).await["status"] == "credited"
        })
        .await;
        let now = house.relayed().await;
        assert_eq!((now.len(), &now[0].raw), (1, &relayed[0].raw));
        arrived(&house, 100).await;
    });
}

#[test]
fn a_reorganization_of_what_was_credited_holds_up_nobody() {
    run(async {
        let (house, wallet, payment) = own_house(100).await;
        let (other, another) = payer(&house, 100).await;
        let snapshot = house.chain.snapshot().await.unwrap();
        house.pay(&wallet, 100, &payment).await.expect(200);
        until("it is not ticked off", async || {
            house.open_relayed().await == 0
        })
        .await;
        let first = house.relayed().await;
        house.chain.revert(snapshot).await.unwrap();
        assert!(!house.chain.knows(first[0].hash).await);
        let reply = house.pay(&other, 100, &another).await;
        house.becomes(&reply.json["purchase_id"], "credited").await;
        // What was undone has been sent again.
        assert_eq!(house.chain.succeeded(first[0].hash).await, Some(true));
        arrived(&house, 200).await;
    });
}

#[test]
fn without_a_node_nothing_is_bought_and_all_else_goes_on() {
    run(async {
        let (house, proxy) = wired_house().await;
        let rich = house.rich(100).await;
        let (wallet, payment) = payer(&house, 100).await;
        let before = house.books().await;
        proxy.cut();
        let reply = house.pay(&wallet, 100, &payment).await;
        let reply = reply.problem(503, "UNAVAILABLE");
        assert!(reply.header("retry-after").is_some());
        assert_eq!(house.books().await, before);
        // Quotes and spends need no node.
        house.quote(&wallet, 100).await;
        let session = house.session(&rich).await;
        let call = Call::forecast(&rich, &session, "in-the-dark");
        house.call(&call).await.expect(200);
        proxy.mend();
        house.pay(&wallet, 100, &payment).await.expect(200);
        arrived(&house, 200).await;
    });
}

#[test]
fn a_node_that_comes_back_after_a_restart_is_enough() {
    run(async {
        let (mut house, proxy) = wired_house().await;
        let rich = house.rich(100).await;
        proxy.cut();
        house.kill_9().await;
        house.start().await;
        let session = house.session(&rich).await;
        let call = Call::forecast(&rich, &session, "in-the-dark");
        house.call(&call).await.expect(200);
        proxy.mend();
        house.rich(100).await;
        arrived(&house, 200).await;
    });
}

/// What fails, and whether the relayer has signed by then.
const FAULTS: [(&str, Fault, bool); 4] = [
    ("eth_feeHistory", Fault::Lost, false),
    ("eth_getTransactionCount", Fault::Lost, false),
    ("eth_sendRawTransaction", Fault::Lost, true),
    ("eth_sendRawTransaction", Fault::Unheard, true),
];

#[test]
fn a_settlement_that_breaks_off_anywhere_ends_credited_once() {
    run(async {
        for (method, fault, signed) in FAULTS {
            for killed in [false, true] {
                let (mut house, proxy) = wired_house().await;
                let (wallet, payment) = payer(&house, 100).await;
                proxy.fail(method, fault);
                let reply = house.pay(&wallet, 100, &payment).await;
                let unheard = fault == Fault::Unheard;
                // What the node was given, it may have mined, whatever it said.
                let reply = reply.expect(if unheard { 200 } else { 202 });
                let id = &reply.json["purchase_id"];
                let relayed = house.relayed().await;
                assert_eq!(relayed.len(), usize::from(signed), "{method}");
                if killed {
                    house.kill_9().await;
                    house.start().await;
                    let again = house.pay(&wallet, 100, &payment).await;
                    let again = again.expect(if unheard { 200 } else { 202 });
                    assert_eq!(&again.json["purchase_id"], id);
                }
                proxy.mend();
                house.becomes(id, "credited").await;
                let now = house.relayed().await;
                assert_eq!(now.len(), 1);
                if signed {
                    assert_eq!(now[0].raw, relayed[0].raw);
                }
                arrived(&house, 100).await;
            }
        }
    });
}

#[test]
fn a_kill_while_the_node_does_not_mine_costs_nothing() {
    run(async {
        let (mut house, wallet, payment) = own_house(100).await;
        house.chain.set_automine(false).await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        let id = &reply.json["purchase_id"];
        let relayed = house.relayed().await;
        house.kill_9().await;
        house.start().await;
        let again = house.pay(&wallet, 100, &payment).await.expect(202);
        assert_eq!(&again.json["purchase_id"], id);
        house.chain.mine(1).await.unwrap();
        let status = house.becomes(id, "credited").await;
        same_hash(&status, relayed[0].hash);
        assert_eq!(house.relayed().await.len(), 1);
        arrived(&house, 100).await;
    });
}

#[test]
fn a_transaction_that_the_node_forgot_is_sent_again_byte_for_byte() {
    run(async {
        let (mut house, wallet, payment) = own_house(100).await;
        house.chain.set_automine(false).await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        let id = &reply.json["purchase_id"];
        let relayed = house.relayed().await;
        let hash = relayed[0].hash;
        for killed in [false, true] {
            if killed {
                house.kill_9().await;
            }
            let dropped = house.chain.rpc("anvil_dropTransaction", json!([hash]));
            let _: Value = dropped.await.unwrap();
            if killed {
                assert!(!house.chain.knows(hash).await);
                house.start().await;
            }
            until("not sent again", async || house.chain.knows(hash).await).await;
        }
        house.chain.mine(1).await.unwrap();
        house.becomes(id, "credited").await;
        let now = house.relayed().await;
        assert_eq!(now.len(), 1);
        assert_eq!(now[0].raw, relayed[0].raw);
        arrived(&house, 100).await;
    });
}

#[test]
fn a_relayer_without_gas_settles_once_it_has_some() {
    run(async {
        let house = House::with(Setup::default().with(SOON.0, SOON.1)).await;
        let (wallet, payment) = payer(&house, 100).await;
        let relayer = house.relayer();
        let set = house.chain.rpc("anvil_setBalance", json!([relayer, "0x0"]));
        let () = set.await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        let id = &reply.json["purchase_id"];
        house.pay(&wallet, 100, &payment).await.expect(202);
        // What could not be paid for is not even signed.
        assert_eq!(house.relayed().await, []);
        house.chain.fund_gas(relayer).await.unwrap();
        house.becomes(id, "credited").await;
        assert_eq!(house.relayed().await.len(), 1);
        arrived(&house, 100).await;
    });
}

#[test]
fn fees_that_rise_and_fall_again_delay_a_payment_only() {
    run(async {
        let (house, wallet, payment) = own_house(100).await;
        house.chain.set_automine(false).await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        let id = &reply.json["purchase_id"];
        let dear = 1_000_000_000_000;
        house.chain.set_next_base_fee(dear).await.unwrap();
        house.chain.mine(1).await.unwrap();
        assert_eq!(house.status(id).await["status"], "broadcast");
        until("not mined", async || {
            house.chain.set_next_base_fee(1_000).await.unwrap();
            house.chain.mine(1).await.unwrap();
            house.status(id).await["status"] == "credited"
        })
        .await;
        assert_eq!(house.relayed().await.len(), 1);
        arrived(&house, 100).await;
    });
}

#[test]
fn a_payer_who_moves_its_funds_away_gets_nothing_and_may_come_again() {
    run(async {
        let (house, wallet, payment) = own_house(100).await;
        house.chain.set_automine(false).await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        let id = &reply.json["purchase_id"];
        house.chain.move_away(&wallet, payment.amount()).await;
        house.chain.mine(1).await.unwrap();
        let ours = house.relayed().await[0].hash;
        assert_eq!(house.chain.succeeded(ours).await, Some(false));
        // The authorization is still good, so nobody may say that it failed.
        house.pay(&wallet, 100, &payment).await.expect(202);
        house.chain.set_automine(true).await.unwrap();
        house.chain_dollars(&wallet, 100).await;
        house.becomes(id, "credited").await;
        arrived(&house, 100).await;
    });
}

const GWEI: u64 = 1_000_000_000;

#[test]
fn a_settlement_that_fees_overtook_is_signed_again_under_its_account_nonce() {
    run(async {
        let (mut house, wallet, payment) = own_house(100).await;
        house.chain.set_automine(false).await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        let id = &reply.json["purchase_id"];
        let first = house.relayed().await;
        house.chain.set_next_base_fee(20 * GWEI).await.unwrap();
        house.chain.mine(1).await.unwrap();
        assert_eq!(house.chain.succeeded(first[0].hash).await, None);

        until("not signed again", async || house.relayed().await != first).await;
        house.kill_9().await;
        let second = house.relayed().await;
        assert_eq!(second.len(), 1);
        assert_eq!(house.replaced().await, [first[0].hash]);
        let dropped = house
            .chain
            .rpc("anvil_dropTransaction", json!([second[0].hash]));
        let _: Option<B256> = dropped.await.unwrap();
        house.start().await;
        until("not sent", async || house.chain.knows(second[0].hash).await).await;
        house.chain.mine(1).await.unwrap();
        let status = house.becomes(id, "credited").await;
        same_hash(&status, second[0].hash);
        assert_eq!(house.relayed().await, second);
        arrived(&house, 100).await;

        // The next one takes the next account nonce.
        house.chain.set_automine(true).await.unwrap();
        house.rich(100).await;
        arrived(&house, 200).await;
    });
}

#[test]
fn a_settlement_that_was_replaced_may_be_the_one_that_is_mined() {
    run(async {
        let (mut house, wallet, payment) = own_house(100).await;
        house.chain.set_automine(false).await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        let id = &reply.json["purchase_id"];
        let first = house.relayed().await;
        house.chain.set_next_base_fee(20 * GWEI).await.unwrap();
        house.chain.mine(1).await.unwrap();
        until("not signed again", async || house.relayed().await != first).await;

        // A miner who had the first one only, while the service was away.
        house.kill_9().await;
        let second = house.relayed().await[0].hash;
        let dropped = house.chain.rpc("anvil_dropTransaction", json!([second]));
        let _: Option<B256> = dropped.await.unwrap();
        house.chain.set_next_base_fee(1_000).await.unwrap();
        let raw = format!("0x{}", hex::encode(&first[0].raw));
        let sent = house.chain.rpc("eth_sendRawTransaction", json!([raw]));
        let sent: B256 = sent.await.unwrap();
        house.chain.mine(1).await.unwrap();
        assert_eq!(house.chain.succeeded(sent).await, Some(true));
        house.start().await;
        let status = house.becomes(id, "credited").await;
        same_hash(&status, first[0].hash);
        arrived(&house, 100).await;
        house.chain.set_automine(true).await.unwrap();
        house.rich(100).await;
        arrived(&house, 200).await;
    });
}

#[test]
fn while_gas_costs_more_than_the_operator_allows_nothing_is_signed() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let setup = Setup::on(chain).with(SOON.0, SOON.1);
        let cap = ("confirmations = 1", "confirmations = 1\nmax_fee_gwei = 10");
        let house = House::with(setup.with(cap.0, cap.1)).await;
        let (wallet, payment) = payer(&house, 100).await;
        house.chain.set_next_base_fee(20 * GWEI).await.unwrap();
        house.chain.mine(1).await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        let id = &reply.json["purchase_id"];
        assert_eq!(house.relayed().await, []);
        house.chain.set_next_base_fee(1_000).await.unwrap();
        house.chain.mine(1).await.unwrap();
        house.becomes(id, "credited").await;
        arrived(&house, 100).await;
    });
}

#[test]
fn account_nonces_that_nothing_is_stored_for_are_filled() {
    run(async {
        let (house, proxy) = wired_house().await;
        let (wallet, payment) = payer(&house, 100).await;
        // A node that is wrong about the relayer.
        proxy.fail("eth_getTransactionCount", Fault::Says("0x2"));
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        let id = &reply.json["purchase_id"];
        let stuck = house.relayed().await;
        assert_eq!(stuck.len(), 1);
        proxy.mend();
        let status = house.becomes(id, "credited").await;
        same_hash(&status, stuck[0].hash);
        let relayed = house.relayed().await;
        assert_eq!(relayed.len(), 3);
        assert_eq!(relayed[2], stuck[0]);
        let log = house.stderr();
        assert!(log.contains("wait for account nonces"), "{log}");
        arrived(&house, 100).await;
    });
}

#[test]
fn readiness_asks_the_node_each_time() {
    run(async {
        let (house, proxy) = wired_house().await;
        house.get("/readyz").await.expect(200);
        proxy.cut();
        house.get("/readyz").await.problem(503, "UNAVAILABLE");
        proxy.mend();
        house.get("/readyz").await.expect(200);
        proxy.fail("eth_chainId", Fault::Says("0x1"));
        house.get("/readyz").await.problem(503, "UNAVAILABLE");
        // What is on another chain now is asked nothing else.
        let (wallet, payment) = payer(&house, 100).await;
        let reply = house.pay(&wallet, 100, &payment).await;
        reply.problem(503, "UNAVAILABLE");
        proxy.mend();
        house.get("/readyz").await.expect(200);
        house.pay(&wallet, 100, &payment).await.expect(200);
        arrived(&house, 100).await;
    });
}

#[test]
fn a_token_with_another_domain_refuses_the_start() {
    run(async {
        let setup = Setup::default();
        let wrong = ("eip712_version = \"2\"", "eip712_version = \"1\"");
        let house = House::prepare(setup.with(wrong.0, wrong.1)).await;
        let (status, told) = house.refused().await;
        assert!(!status.success());
        for named in ["eip155:84532", "USDC", "\"1\"", "DOMAIN_SEPARATOR 0x"] {
            assert!(told.contains(named), "{named} is not in {told}");
        }
    });
}

#[test]
fn a_token_whose_node_is_away_does_not_refuse_the_start() {
    run(async {
        let chain = Chain::shared().await;
        let proxy = Proxy::start(&chain).await;
        proxy.fail("eth_call", Fault::Lost);
        let setup = Setup::on(chain.clone()).with(SOON.0, SOON.1);
        let house = House::with(setup.with(chain.rpc_url().as_str(), &proxy.url)).await;
        assert!(house.stderr().contains("domain is not checked"));
        proxy.mend();
        house.rich(100).await;
        arrived(&house, 100).await;
    });
}

#[test]
fn a_transaction_that_a_deep_reorganization_drops_is_sent_again() {
    run(async {
        let (house, wallet, payment) = own_house(100).await;
        let (other, other_payment) = payer(&house, 100).await;
        let snapshot = house.chain.snapshot().await.unwrap();
        house.pay(&wallet, 100, &payment).await.expect(200);
        let first = house.relayed().await;
        until("not closed", async || house.open_relayed().await == 0).await;
        house.chain.revert(snapshot).await.unwrap();
        assert_eq!(house.received().await, U256::ZERO);

        // Credited before, and to be paid again: all that comes later waits for it.
        let reply = house.pay(&other, 100, &other_payment).await.expect(202);
        house.becomes(&reply.json["purchase_id"], "credited").await;
        let relayed = house.relayed().await;
        assert_eq!(relayed.len(), 2);
        assert_eq!(relayed[0], first[0]);
        arrived(&house, 200).await;
        until("not closed", async || house.open_relayed().await == 0).await;
    });
}

#[test]
fn a_transaction_of_a_former_relayer_is_followed_to_its_end() {
    run(async {
        let (mut house, wallet, payment) = own_house(100).await;
        house.chain.set_automine(false).await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        let id = &reply.json["purchase_id"];
        let hash = house.relayed().await[0].hash;
        house.kill_9().await;
        let dropped = house.chain.rpc("anvil_dropTransaction", json!([hash]));
        let _: Option<B256> = dropped.await.unwrap();

        // The new account has a history of its own.
        std::fs::write(house.path("relayer.key"), "22".repeat(32)).unwrap();
        let relayer = house.relayer();
        house.chain.fund_gas(relayer).await.unwrap();
        let set = house.chain.rpc("anvil_setNonce", json!([relayer, "0x9"]));
        let () = set.await.unwrap();
        house.start().await;
        until("not sent", async || house.chain.knows(hash).await).await;
        assert_eq!(house.open_relayed().await, 1);
        house.chain.mine(1).await.unwrap();
        let status = house.becomes(id, "credited").await;
        same_hash(&status, hash);
        house.chain.set_automine(true).await.unwrap();
        house.rich(100).await;
        arrived(&house, 200).await;
    });
}
