//! Calls that are paid one by one: no credits, no output before the money, no money for a failure.

use std::{sync::Arc, time::Duration};

use alloy::primitives::U256;
use serde_json::{Value, json};

use crate::support::{
    Books, Call, Chain, Fault, House, Payment, Proxy, Reply, Request, Setup, Wallet, now, run,
    until,
};

const SOON: (&str, &str) = ("settle_wait_seconds = 20", "settle_wait_seconds = 1");
const REPLAY: &str = "EXTERNAL_SIGNATURE_REQUEST_REPLAY";

/// Actions whose payment settles before they run.
const SETTLE_FIRST: (&str, &str) = (
    "[[tool]]\nslug = \"echo\"",
    r#"[[tool]]
slug = "first"
base_url = "TOOLS"

[[tool.action]]
slug = "forecast"
path = "/forecast"
price_credits = "4"
settle_first = true

[[tool.action]]
slug = "fail"
path = "/fail"
price_credits = "4"
settle_first = true

[[tool.action]]
slug = "gate"
path = "/gate"
price_credits = "4"
settle_first = true

[[tool]]
slug = "echo""#,
);

fn path(product: &str, action: &str) -> String {
    format!("/api/external/tools/{product}/actions/{action}/invoke")
}

fn bern() -> Value {
    json!({ "place": "Bern" })
}

/// A house that has all actions of these tests. On a node of its own, it waits only briefly.
async fn house(chain: Option<Chain>) -> House {
    let setup = match chain {
        Some(chain) => Setup::on(Arc::new(chain)).with(SOON.0, SOON.1),
        None => Setup::default(),
    };
    let mut house = House::prepare(setup).await;
    let (from, to) = SETTLE_FIRST;
    house.configure(from, &to.replace("TOOLS", &house.tools.url));
    house.start().await;
    house
}

/// A payer with a payment for one call, and nothing else.
async fn paying(house: &House, product: &str, action: &str) -> (Wallet, Payment) {
    let wallet = Wallet::random();
    let payment = another(house, &wallet, product, action).await;
    (wallet, payment)
}

/// One more payment of a payer's, with the USDC for it.
async fn another(house: &House, wallet: &Wallet, product: &str, action: &str) -> Payment {
    let quote = house.post(&path(product, action), &bern()).await;
    let payment = Payment::of(&quote.expect(402), wallet);
    let minted = house.chain.mint(wallet.address(), payment.amount());
    minted.await;
    payment
}

fn request(product: &str, action: &str, payment: &Payment) -> Request {
    Request::direct(&path(product, action), &bern(), payment)
}

fn identified(mut payment: Payment) -> Payment {
    payment.identify("the-payers-own-name-for-it");
    payment
}

#[track_caller]
fn refused(reply: Reply, reason: &str) {
    let reply = reply.expect(402);
    let response = reply.payment_response().expect("PAYMENT-RESPONSE");
    assert_eq!(response["success"], false);
    assert_eq!(response["errorReason"], reason, "{response}");
    assert_eq!(reply.json, reply.payment_required());
    assert!(!reply.text().contains("sunny"));
}

/// The books, once every payment is at its end: they have what arrived.
async fn settled(house: &House) -> Books {
    let books = house.settled_books().await;
    assert_eq!(U256::from(books.cash()), house.received().await);
    books
}

async fn dollars(house: &House, wallet: &Wallet) -> U256 {
    house.chain.balance_of(wallet.address()).await.unwrap()
}

#[test]
fn a_call_is_paid_and_answered() {
    run(async {
        let house = house(None).await;
        let (wallet, payment) = paying(&house, "weather", "forecast").await;
        let reply = house.send(&request("weather", "forecast", &payment)).await;
        let reply = reply.expect(200);
        let transaction = reply.json["x402"]["transaction"].clone();
        assert_eq!(
            reply.json,
            json!({
                "success": true,
                "response": {
                    "success": true,
                    "status_code": 200,
                    "data": { "place": "Bern", "forecast": "sunny" },
                },
                "x402": {
                    "transaction": transaction,
                    "network": "eip155:84532",
                    "resource_url": format!("http://counterfoil.test{}", path("weather", "forecast")),
                    "payment": {
                        "token": "USDC",
                        "asset": "0x036cbd53842c5426634e7929541ec2318f3dcf7e",
                        "amount_base_units": "50000",
                        "amount_usd": 0.05,
                        "payer_wallet_address": wallet.name(),
                        "pay_to": format!("{:#x}", house.pay_to),
                    },
                },
            })
        );
        let response = reply.payment_response().expect("PAYMENT-RESPONSE");
        assert_eq!(response["success"], true);
        assert_eq!(response["transaction"], transaction);
        let hash = transaction.as_str().unwrap().parse().unwrap();
        assert_eq!(house.chain.succeeded(hash).await, Some(true));

        let asked = &house.tools.calls()[0];
        assert_eq!(asked.body, bern().to_string());
        assert_eq!(asked.headers.get("payment-signature"), None);
        assert_eq!(dollars(&house, &wallet).await, U256::ZERO);
        let books = settled(&house).await;
        assert_eq!(books.revenue(), 50_000);
        assert_eq!(books.units(&wallet), 0);
        assert_eq!((books.requests, books.charges.len()), (0, 0));
    });
}

#[test]
fn a_failed_tool_is_not_paid() {
    run(async {
        let house = house(None).await;
        for (product, action, status, code) in [
            ("trouble", "fail", 502, "TOOL_FAILED"),
            ("trouble", "stall", 504, "TOOL_TIMEOUT"),
            ("trouble", "huge", 502, "TOOL_FAILED"),
            ("trouble", "redirect", 502, "TOOL_FAILED"),
            ("breaking", "off", 502, "TOOL_FAILED"),
            ("closed", "door", 502, "TOOL_FAILED"),
        ] {
            let (wallet, payment) = paying(&house, product, action).await;
            let payment = identified(payment);
            let request = request(product, action, &payment);
            let reply = house.send(&request).await.problem(status, code);
            assert_eq!(reply.json["charge_status"], "voided");
            assert_eq!(reply.json["charged_credits"], 0);
            assert_eq!(reply.payment_response(), None);
            assert_eq!(dollars(&house, &wallet).await, payment.amount());
            let again = house.send(&request).await.problem(status, code);
            assert_eq!(again.text(), reply.text());
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
        }
        let books = settled(&house).await;
        assert_eq!(books.payments("direct refused"), 6);
        assert_eq!(books.postings, 0);
        assert_eq!(house.relayed().await, []);
    });
}

#[test]
fn output_waits_for_the_money() {
    run(async {
        let house = house(Some(Chain::own().await)).await;
        let (wallet, payment) = paying(&house, "weather", "forecast").await;
        let request = request("weather", "forecast", &identified(payment));
        house.chain.set_automine(false).await.unwrap();
        for _ in 0..2 {
            let reply = house.send(&request).await.expect(202);
            assert_eq!(reply.json["status"], "settling");
            assert!(!reply.text().contains("sunny"));
            assert_eq!(reply.payment_response(), None);
        }
        house.chain.mine(1).await.unwrap();
        let reply = house.outcome(&request).await.expect(200);
        assert_eq!(reply.json["response"]["data"]["forecast"], "sunny");
        assert_eq!(house.tools.count(), 1);
        let books = settled(&house).await;
        assert_eq!(books.revenue(), 50_000);
        assert_eq!(books.units(&wallet), 0);
    });
}

#[test]
fn a_payer_who_cannot_come_back_for_the_output_gets_credits() {
    run(async {
        for (product, units) in [("weather", 50_000), ("first", 40_000)] {
            let house = house(Some(Chain::own().await)).await;
            let (wallet, payment) = paying(&house, product, "forecast").await;
            let request = request(product, "forecast", &payment);
            house.chain.set_automine(false).await.unwrap();
            let reply = house.send(&request).await.expect(202);
            house.send(&request).await.problem(409, REPLAY);
            house.chain.mine(1).await.unwrap();
            house.becomes(&reply.json["purchase_id"], "credited").await;
            house.send(&request).await.problem(409, REPLAY);
            let books = settled(&house).await;
            assert_eq!(books.revenue(), 0);
            assert_eq!(books.units(&wallet), units);
        }
    });
}

#[test]
fn a_repeat_shows_the_output_only_to_who_knows_the_identifier() {
    run(async {
        let house = house(None).await;
        for product in ["weather", "first"] {
            let before = house.tools.count();
            let (_, payment) = paying(&house, product, "forecast").await;
            let payment = identified(payment);
            let request = request(product, "forecast", &payment);
            let first = house.send(&request).await.expect(200);
            assert_eq!(first.header("idempotent-replayed"), None);
            let again = house.send(&request).await.expect(200);
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
            assert_eq!(again.text(), first.text());
            assert_eq!(again.payment_response(), first.payment_response());

            let mut strangers = Vec::new();
            let mut bare = payment.clone();
            bare.extensions = None;
            strangers.push(Request::direct(&request.path, &bern(), &bare));
            let mut other = payment.clone();
            other.identify("a-guess-of-the-identifier");
            strangers.push(Request::direct(&request.path, &bern(), &other));
            let thun = json!({ "place": "Thun" });
            strangers.push(Request::direct(&request.path, &thun, &payment));
            let elsewhere = path("trouble", "gate");
            strangers.push(Request::direct(&elsewhere, &bern(), &payment));
            for stranger in strangers {
                let reply = house.send(&stranger).await.problem(409, REPLAY);
                assert_eq!(reply.json["charge_status"], "credited");
                assert!(reply.json["charge_id"].is_string());
                assert!(!reply.text().contains("sunny"));
            }
            assert_eq!(house.tools.count(), before + 1);
        }
        let books = settled(&house).await;
        assert_eq!(books.revenue(), 90_000);
    });
}

#[test]
fn a_call_without_an_identifier_is_not_answered_twice() {
    run(async {
        let house = house(None).await;
        let (_, payment) = paying(&house, "weather", "forecast").await;
        let requests = vec![request("weather", "forecast", &payment); 12];
        let replies = house.sender().send_all(&requests).await;
        let mut statuses: Vec<u16> = replies.into_iter().map(|it| it.unwrap().status).collect();
        statuses.sort_unstable();
        assert_eq!((statuses[0], statuses[1]), (200, 409), "{statuses:?}");
        assert_eq!((statuses[11], house.tools.count()), (409, 1));
        assert_eq!(settled(&house).await.revenue(), 50_000);
    });
}

#[test]
fn equal_calls_at_once_are_one_call() {
    run(async {
        let house = house(None).await;
        for product in ["weather", "first"] {
            let before = house.tools.count();
            let (_, payment) = paying(&house, product, "forecast").await;
            let requests = vec![request(product, "forecast", &identified(payment)); 12];
            let replies = house.sender().send_all(&requests).await;
            let mut answers = Vec::new();
            for reply in replies {
                let mut reply = reply.unwrap();
                if reply.status == 202 {
                    reply = house.outcome(&requests[0]).await;
                } else if reply.status == 409 {
                    let code = "EXTERNAL_SIGNATURE_REQUEST_IN_FLIGHT";
                    assert!(reply.header("retry-after").is_some());
                    reply.problem(409, code);
                    reply = house.outcome(&requests[0]).await;
                }
                answers.push(reply.expect(200).text().to_owned());
            }
            answers.dedup();
            assert_eq!(answers.len(), 1);
            assert_eq!(house.tools.count(), before + 1);
        }
        assert_eq!(settled(&house).await.revenue(), 90_000);
    });
}

#[test]
fn a_payer_has_one_unsettled_call() {
    run(async {
        let house = house(None).await;
        let (wallet, payment) = paying(&house, "trouble", "gate").await;
        let second = another(&house, &wallet, "weather", "forecast").await;
        let sender = house.sender();
        let first = request("trouble", "gate", &payment);
        let first = tokio::spawn(async move { sender.send(&first).await.unwrap() });
        house.tools.asked(1).await;
        let second = request("weather", "forecast", &second);
        refused(house.send(&second).await, "payer_has_an_unsettled_call");
        // Nobody else waits for it.
        let (_, payment) = paying(&house, "weather", "forecast").await;
        let other = request("weather", "forecast", &payment);
        house.send(&other).await.expect(200);
        house.tools.open_gate();
        first.await.unwrap().expect(200);
        house.send(&second).await.expect(200);
        assert_eq!(settled(&house).await.revenue(), 130_000);
    });
}

#[test]
fn a_call_whose_money_is_on_the_way_keeps_its_payer_busy() {
    run(async {
        let house = house(Some(Chain::own().await)).await;
        let (wallet, payment) = paying(&house, "weather", "forecast").await;
        let second = another(&house, &wallet, "weather", "forecast").await;
        house.chain.set_automine(false).await.unwrap();
        let first = request("weather", "forecast", &identified(payment));
        house.send(&first).await.expect(202);
        let second = request("weather", "forecast", &second);
        refused(house.send(&second).await, "payer_has_an_unsettled_call");
        house.chain.set_automine(true).await.unwrap();
        house.chain.mine(1).await.unwrap();
        house.outcome(&first).await.expect(200);
        house.send(&second).await.expect(200);
        assert_eq!(settled(&house).await.revenue(), 100_000);
    });
}

#[test]
fn an_authorization_must_outlive_the_tool() {
    run(async {
        let house = house(None).await;
        let (wallet, mut payment) = paying(&house, "trouble", "stall").await;
        // Its tool may take 300 ms, and 30 s more must be left.
        payment.authorization.valid_before = now() + 28;
        payment.sign(&wallet);
        let reply = house.send(&request("trouble", "stall", &payment)).await;
        refused(
            reply,
            "invalid_exact_evm_payload_authorization_valid_before",
        );
        assert_eq!(house.tools.count(), 0);
        assert_eq!(settled(&house).await.payments.len(), 0);
        payment.authorization.valid_before = now() + 33;
        payment.sign(&wallet);
        let reply = house.send(&request("trouble", "stall", &payment)).await;
        reply.problem(504, "TOOL_TIMEOUT");
    });
}

/// That a payer may not run a tool before it pays, and may after.
async fn is_barred(house: &House, wallet: &Wallet) {
    let payment = another(house, wallet, "weather", "forecast").await;
    let reply = house.send(&request("weather", "forecast", &payment)).await;
    refused(reply, "payer_barred");
    let payment = another(house, wallet, "first", "forecast").await;
    let reply = house.send(&request("first", "forecast", &payment)).await;
    reply.expect(200);
}

#[test]
fn a_payer_who_moves_its_funds_away_under_the_tool_gets_no_output_and_is_barred() {
    run(async {
        let house = house(None).await;
        let (wallet, payment) = paying(&house, "trouble", "gate").await;
        let sender = house.sender();
        let call = request("trouble", "gate", &payment);
        let call = tokio::spawn(async move { sender.send(&call).await.unwrap() });
        house.tools.asked(1).await;
        house.chain.move_away(&wallet, payment.amount()).await;
        house.tools.open_gate();
        let reply = call.await.unwrap();
        assert!(!reply.text().contains("open"));
        refused(reply, "invalid_transaction_state");
        let books = settled(&house).await;
        assert_eq!((books.postings, books.payments("direct refused")), (0, 1));
        is_barred(&house, &wallet).await;
        assert_eq!(settled(&house).await.revenue(), 40_000);
    });
}

#[test]
fn a_payer_who_cancels_after_the_run_gets_no_output_and_is_barred() {
    run(async {
        for named in [true, false] {
            let house = house(Some(Chain::own().await)).await;
            let (wallet, mut payment) = paying(&house, "weather", "forecast").await;
            if named {
                payment = identified(payment);
            }
            let call = request("weather", "forecast", &payment);
            house.chain.set_automine(false).await.unwrap();
            let reply = house.send(&call).await.expect(202);
            house.chain.cancel(&payment, &wallet).await;
            house.chain.set_automine(true).await.unwrap();
            house.chain.mine(1).await.unwrap();
            house.becomes(&reply.json["purchase_id"], "failed").await;
            let reply = house.send(&call).await;
            if named {
                refused(reply, "authorization_cancelled");
            } else {
                reply.problem(409, REPLAY);
            }
            assert_eq!(settled(&house).await.postings, 0);
            is_barred(&house, &wallet).await;
            assert_eq!(settled(&house).await.revenue(), 40_000);
        }
    });
}

#[test]
fn a_payer_whose_authorization_runs_out_after_the_run_is_barred() {
    run(async {
        for named in [true, false] {
            let house = house(Some(Chain::own().await)).await;
            let (wallet, mut payment) = paying(&house, "weather", "forecast").await;
            if named {
                payment = identified(payment);
            }
            let call = request("weather", "forecast", &payment);
            house.chain.set_automine(false).await.unwrap();
            let reply = house.send(&call).await.expect(202);
            house.chain.move_away(&wallet, payment.amount()).await;
            house.chain.mine(1).await.unwrap();
            house.chain.set_automine(true).await.unwrap();
            house.chain.increase_time(400).await.unwrap();
            house.becomes(&reply.json["purchase_id"], "expired").await;
            assert_eq!(settled(&house).await.postings, 0);
            let status = house.books().await;
            assert_eq!(status.barred, 1, "{status:#?}");
        }
    });
}

#[test]
fn a_stranger_who_settles_a_running_call_settles_it() {
    run(async {
        let house = house(None).await;
        let (wallet, payment) = paying(&house, "trouble", "gate").await;
        let sender = house.sender();
        let call = request("trouble", "gate", &payment);
        let call = tokio::spawn(async move { sender.send(&call).await.unwrap() });
        house.tools.asked(1).await;
        let settlement = house.chain.front_run(&payment).await;
        house.tools.open_gate();
        let reply = call.await.unwrap().expect(200);
        let transaction = &reply.json["x402"]["transaction"];
        assert_eq!(transaction, &format!("{settlement:#x}"));
        let books = settled(&house).await;
        assert_eq!((books.revenue(), books.units(&wallet)), (30_000, 0));
    });
}

#[test]
fn a_payment_that_was_settled_before_it_came_buys_credits_and_no_call() {
    run(async {
        let house = house(None).await;
        let (wallet, payment) = paying(&house, "weather", "forecast").await;
        house.chain.front_run(&payment).await;
        let call = request("weather", "forecast", &payment);
        house.send(&call).await.problem(409, REPLAY);
        assert_eq!(house.tools.count(), 0);
        let reply = house.pay(&wallet, 100, &payment).await.expect(200);
        assert_eq!(reply.json["credits_purchased"], 5);
        house.send(&call).await.problem(409, REPLAY);
        assert_eq!(settled(&house).await.units(&wallet), 50_000);
    });
}

#[test]
fn a_payment_that_is_settled_between_two_looks_is_not_asked_for_again() {
    run(async {
        let chain = Chain::shared().await;
        let proxy = Proxy::start(&chain).await;
        let setup = Setup::on(chain.clone()).with(chain.rpc_url().as_str(), &proxy.url);
        let house = House::with(setup).await;
        let (wallet, payment) = paying(&house, "weather", "forecast").await;
        proxy.fail("eth_estimateGas", Fault::Slow(Duration::from_millis(300)));
        let (sender, call) = (house.sender(), request("weather", "forecast", &payment));
        let call = tokio::spawn(async move { sender.send(&call).await.unwrap() });
        while proxy.count("eth_estimateGas") == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        house.chain.front_run(&payment).await;
        call.await.unwrap().problem(409, REPLAY);
        proxy.mend();
        house.pay(&wallet, 100, &payment).await.expect(200);
        assert_eq!(settled(&house).await.units(&wallet), 50_000);
    });
}

#[test]
fn money_that_arrives_for_a_call_that_failed_becomes_credits() {
    run(async {
        let house = house(None).await;
        let (wallet, payment) = paying(&house, "trouble", "fail").await;
        let call = request("trouble", "fail", &payment);
        house.send(&call).await.problem(502, "TOOL_FAILED");
        house.pay(&wallet, 100, &payment).await.problem(409, REPLAY);
        assert_eq!(house.books().await.cash(), 0);
        // Nobody but the payer can do this: the authorization was never broadcast.
        house.chain.front_run(&payment).await;
        until("it is not mined", async || {
            house.received().await == payment.amount()
        })
        .await;
        let reply = house.pay(&wallet, 100, &payment).await;
        assert_eq!(reply.expect(200).json["credits_purchased"], 3);
        assert_eq!(settled(&house).await.units(&wallet), 30_000);
        house.send(&call).await.problem(409, REPLAY);
    });
}

#[test]
fn an_action_may_settle_before_it_runs() {
    run(async {
        let house = house(None).await;
        let (wallet, payment) = paying(&house, "first", "gate").await;
        let sender = house.sender();
        let call = request("first", "gate", &payment);
        let call = tokio::spawn(async move { sender.send(&call).await.unwrap() });
        house.tools.asked(1).await;
        assert_eq!(house.received().await, payment.amount());
        house.tools.open_gate();
        let reply = call.await.unwrap().expect(200);
        assert_eq!(reply.payment_response().unwrap()["success"], true);
        let books = settled(&house).await;
        assert_eq!((books.revenue(), books.units(&wallet)), (40_000, 0));
    });
}

#[test]
fn a_tool_that_fails_after_it_was_paid_leaves_credits_to_spend() {
    run(async {
        let house = house(None).await;
        let (wallet, payment) = paying(&house, "first", "fail").await;
        let call = request("first", "fail", &payment);
        let reply = house.send(&call).await.problem(502, "TOOL_FAILED");
        assert_eq!(reply.json["credited_wallet"], wallet.name());
        assert_eq!(reply.json["credited_credits"], 4);
        assert_eq!(reply.payment_response().unwrap()["success"], true);
        let books = settled(&house).await;
        assert_eq!((books.revenue(), books.units(&wallet)), (0, 40_000));
        let session = house.session(&wallet).await;
        let spend = Call::of(&wallet, &session, "spend", "echo", "shout");
        let reply = house.call(&spend).await.expect(200);
        assert_eq!(reply.json["balance_credits"], 1.5);
        assert_eq!(house.books().await.revenue(), 25_000);
    });
}

#[test]
fn a_signed_body_with_a_payment_is_a_paid_call() {
    run(async {
        let house = house(None).await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let payment = another(&house, &wallet, "weather", "forecast").await;
        let signed = Call::forecast(&wallet, &session, "both");
        let mut request = Request::signed(&signed);
        request.payment = Some(payment.header());
        let reply = house.send(&request).await.expect(200);
        assert_eq!(reply.json.get("charge_id"), None);
        assert!(reply.json["x402"].is_object());
        assert_eq!(house.tools.calls()[0].body, bern().to_string());
        let books = settled(&house).await;
        assert_eq!(books.units(&wallet), 1_000_000);
        assert_eq!((books.requests, books.revenue()), (0, 50_000));
        // The request id is free, and the signed call is a call of its own.
        house.call(&signed).await.expect(200);
        assert_eq!(house.books().await.units(&wallet), 950_000);
    });
}

#[test]
fn parameters_are_checked_before_money_is_taken() {
    run(async {
        let house = house(None).await;
        let (wallet, payment) = paying(&house, "weather", "forecast").await;
        let wrong = json!({ "place": 7 });
        let request = Request::direct(&path("weather", "forecast"), &wrong, &payment);
        let reply = house.send(&request).await.problem(400, "INVALID_REQUEST");
        assert_eq!(reply.pointers(), ["/place"]);
        assert_eq!(dollars(&house, &wallet).await, payment.amount());
        assert_eq!(settled(&house).await.payments.len(), 0);
        // The payment is as good as before.
        let request = Request::direct(&path("weather", "forecast"), &bern(), &payment);
        house.send(&request).await.expect(200);
        assert_eq!(house.tools.count(), 1);
    });
}

#[test]
fn a_call_is_not_paid_with_less_or_by_another() {
    run(async {
        let house = house(None).await;
        let (wallet, good) = paying(&house, "weather", "forecast").await;
        let before = house.books().await;
        let mut less = good.clone();
        less.authorization.value -= U256::ONE;
        less.sign(&wallet);
        let mut stolen = good.clone();
        stolen.sign(&Wallet::random());
        for (payment, reason) in [
            (less, "invalid_exact_evm_payload_authorization_value"),
            (stolen, "invalid_exact_evm_payload_signature"),
        ] {
            let reply = house.send(&request("weather", "forecast", &payment)).await;
            assert_eq!(reply.payment_required()["accepts"][0], good.accepted);
            refused(reply, reason);
        }
        assert_eq!(house.books().await, before);
        assert_eq!(house.tools.count(), 0);
    });
}

#[test]
fn whoever_has_no_credits_is_shown_the_way_to_pay_the_call() {
    run(async {
        let house = house(None).await;
        let wallet = Wallet::random();
        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "poor");
        let reply = house.call(&call).await.problem(402, "INSUFFICIENT_CREDITS");
        assert_eq!(reply.json["price_credits"], 5);
        assert_eq!(reply.json["available_credits"], 0);
        let payment = Payment::of(&reply, &wallet);
        assert_eq!(payment.amount(), U256::from(50_000));
        house.chain_dollars(&wallet, 5).await;
        let mut request = Request::signed(&call);
        request.payment = Some(payment.header());
        house.send(&request).await.expect(200);

        let call = Call::of(&wallet, &session, "poor", "echo", "shout");
        let reply = house.call(&call).await.problem(402, "INSUFFICIENT_CREDITS");
        assert_eq!(reply.header("payment-required"), None);
    });
}

#[test]
fn an_action_for_credits_only_takes_no_payment() {
    run(async {
        let house = house(None).await;
        let (wallet, payment) = paying(&house, "weather", "forecast").await;
        let shout = path("echo", "shout");
        let mut request = Request::direct(&shout, &bern(), &payment);
        for payment in [request.payment.clone(), None] {
            request.payment = payment;
            let reply = house.send(&request).await.expect(402);
            assert_eq!(reply.payment_required()["accepts"], json!([]));
            assert_eq!(reply.payment_response(), None);
        }
        assert_eq!(settled(&house).await.payments.len(), 0);
        assert_eq!(dollars(&house, &wallet).await, payment.amount());
    });
}

#[test]
fn a_client_that_hangs_up_has_paid_and_finds_its_output() {
    run(async {
        let house = house(None).await;
        for product in ["trouble", "first"] {
            house.tools.close_gate();
            let asked = house.tools.count();
            let (_, payment) = paying(&house, product, "gate").await;
            let call = request(product, "gate", &identified(payment));
            let (sender, sent) = (house.sender(), call.clone());
            let gone = tokio::spawn(async move { sender.send(&sent).await });
            house.tools.asked(asked + 1).await;
            gone.abort();
            assert!(gone.await.is_err());
            let reply = house.send(&call).await;
            reply.problem(409, "EXTERNAL_SIGNATURE_REQUEST_IN_FLIGHT");
            house.tools.open_gate();
            let reply = house.outcome(&call).await.expect(200);
            assert_eq!(reply.json["response"]["data"]["gate"], "open");
            assert_eq!(house.tools.count(), asked + 1);
        }
        assert_eq!(settled(&house).await.revenue(), 70_000);
    });
}

#[test]
fn a_kill_while_the_tool_runs_costs_the_payer_nothing() {
    run(async {
        for named in [true, false] {
            let mut house = house(None).await;
            let (wallet, mut payment) = paying(&house, "trouble", "gate").await;
            if named {
                payment = identified(payment);
            }
            let call = request("trouble", "gate", &payment);
            let (sender, sent) = (house.sender(), call.clone());
            let gone = tokio::spawn(async move { sender.send(&sent).await });
            house.tools.asked(1).await;
            house.kill_9().await;
            assert!(gone.await.unwrap().is_none());
            house.tools.open_gate();
            house.start().await;
            let reply = house.send(&call).await.problem(409, REPLAY);
            assert_eq!(reply.json["charge_status"], "refused");
            assert_eq!(settled(&house).await.postings, 0);
            assert_eq!(dollars(&house, &wallet).await, payment.amount());
            // It is not the payer's fault.
            let payment = another(&house, &wallet, "weather", "forecast").await;
            let again = request("weather", "forecast", &payment);
            house.send(&again).await.expect(200);
        }
    });
}

#[test]
fn a_kill_while_a_paid_tool_runs_leaves_credits() {
    run(async {
        let mut house = house(None).await;
        let (wallet, payment) = paying(&house, "first", "gate").await;
        let call = request("first", "gate", &identified(payment));
        let (sender, sent) = (house.sender(), call.clone());
        let gone = tokio::spawn(async move { sender.send(&sent).await });
        house.tools.asked(1).await;
        house.kill_9().await;
        assert!(gone.await.unwrap().is_none());
        house.tools.open_gate();
        house.start().await;
        let reply = house.send(&call).await.problem(409, REPLAY);
        assert_eq!(reply.json["charge_status"], "credited");
        let books = settled(&house).await;
        assert_eq!((books.units(&wallet), books.revenue()), (40_000, 0));
        assert_eq!(house.tools.count(), 1);
    });
}
