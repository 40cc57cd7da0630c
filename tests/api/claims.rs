//! Purchases by `transaction_hash`: credits for a transfer that its payer sent itself.

use std::sync::Arc;

use alloy::primitives::{Address, B256, U256};
use serde_json::{Value, json};

use crate::support::{
    Chain, Fault, House, Proxy, Reply, Request, Setup, Wallet,
    client::PURCHASE,
    onchain::{pull_step, settle_step},
    run, until,
};

const SOON: (&str, &str) = ("settle_wait_seconds = 20", "settle_wait_seconds = 1");
const FORECAST: &str = "/api/external/tools/weather/actions/forecast/invoke";

async fn hasty_house() -> House {
    House::with(Setup::default().with(SOON.0, SOON.1)).await
}

async fn own_house(confirmations: u64) -> House {
    let chain = Arc::new(Chain::own().await);
    let depth = format!("confirmations = {confirmations}");
    let setup = Setup::on(chain).with(SOON.0, SOON.1);
    House::with(setup.with("confirmations = 1", &depth)).await
}

/// The body of a claim.
fn claim_body(wallet: &Wallet, transaction: B256) -> Value {
    json!({
        "wallet_address": wallet.name(),
        "transaction_hash": format!("{transaction:#x}"),
        "payment_method": "x402",
    })
}

fn claim_request(wallet: &Wallet, transaction: B256) -> Request {
    Request {
        path: PURCHASE.to_owned(),
        body: claim_body(wallet, transaction).to_string(),
        payment: None,
    }
}

async fn claim(house: &House, wallet: &Wallet, transaction: B256) -> Reply {
    house.post(PURCHASE, &claim_body(wallet, transaction)).await
}

async fn paid(house: &House, credits: u64) -> (Wallet, B256) {
    let units = credits * 10_000;
    house.chain.paid_plainly(house.pay_to, units).await
}

#[track_caller]
fn refused(reply: Reply, reason: &str) -> Reply {
    let reply = reply.expect(402);
    let response = reply.payment_response().expect("PAYMENT-RESPONSE");
    assert_eq!(response["success"], false);
    assert_eq!(response["errorReason"], reason, "{response}");
    let error = reply.json["error"].as_str().unwrap();
    assert!(error.starts_with(reason), "{error}");
    assert_eq!(reply.json, reply.payment_required());
    reply
}

async fn booked(house: &House, credits: u64) {
    let books = house.books().await;
    assert_eq!(books.cash(), i64::try_from(credits * 10_000).unwrap());
    assert_eq!(U256::from(books.cash()), house.received().await);
}

/// The sponsor's consent, by its transaction.
fn consent(payer: &Wallet, recipient: &Wallet, credits: &str, transaction: B256) -> String {
    payer.sign(&format!(
        "agentpmt-external-sponsor\npayer:{}\nrecipient:{}\ncredits:{credits}\ntx:{transaction:#x}",
        payer.name(),
        recipient.name(),
    ))
}

#[test]
fn a_transfer_is_credited_to_its_sender_and_its_balance_told_to_nobody() {
    run(async {
        let house = House::new().await;
        let (wallet, hash) = paid(&house, 7).await;
        let first = claim(&house, &wallet, hash).await.expect(200);
        assert_eq!(first.json["status"], "credited");
        // Neither a multiple of the step nor as much as the smallest purchase.
        assert_eq!(first.json["credits_purchased"], 7);
        assert_eq!(first.json["transaction"], format!("{hash:#x}"));
        let receipt = first.payment_response().unwrap();
        assert_eq!(receipt["success"], true);
        assert_eq!(receipt["transaction"], format!("{hash:#x}"));
        let again = claim(&house, &wallet, hash).await.expect(200);
        for reply in [&first, &again] {
            for name in ["wallet_address", "balance_credits", "balance_usd"] {
                assert_eq!(reply.json.get(name), None, "{name}");
            }
        }
        assert_eq!(again.json, first.json);
        let status = house.status(&first.json["purchase_id"]).await;
        assert_eq!(status["status"], "credited");
        assert_eq!(status["credits"], 7);
        assert_eq!(house.balance(&wallet).await["balance_credits"], 7);
        let grants = house.balance(&wallet).await["grants"].clone();
        assert_eq!(grants[0]["source"], "on_chain");
        assert_eq!(house.books().await.payments("claim credited"), 1);
        booked(&house, 7).await;
    });
}

#[test]
fn credits_may_be_left_out_or_must_be_what_the_transfer_is_worth() {
    run(async {
        let house = House::new().await;
        let (wallet, hash) = house.chain.paid_plainly(house.pay_to, 12_345).await;
        for wrong in ["1", "1.2346", "100"] {
            let mut body = claim_body(&wallet, hash);
            body["credits"] = serde_json::from_str(wrong).unwrap();
            let reply = house.post(PURCHASE, &body).await;
            refused(reply, "transaction_worth_mismatch");
        }
        let mut body = claim_body(&wallet, hash);
        body["credits"] = json!(1.2345);
        let reply = house.post(PURCHASE, &body).await.expect(200);
        assert_eq!(reply.json["credits_purchased"], json!(1.2345));
        assert_eq!(house.books().await.units(&wallet), 12_345);
    });
}

#[test]
fn a_stranger_cannot_claim_it() {
    run(async {
        let house = House::new().await;
        let (wallet, hash) = paid(&house, 100).await;
        let stranger = Wallet::random();
        let before = house.books().await;
        refused(claim(&house, &stranger, hash).await, "payer_mismatch");
        let mut body = claim_body(&stranger, hash);
        body["payer_wallet_address"] = json!(wallet.name());
        let reply = house.post(PURCHASE, &body).await;
        refused(reply, "sponsor_signature_missing");
        for signature in [
            consent(&stranger, &stranger, "100", hash),
            consent(&wallet, &stranger, "101", hash),
            consent(&wallet, &stranger, "100", B256::ZERO),
            consent(&wallet, &wallet, "100", hash),
        ] {
            body["sponsor_signature"] = json!(signature);
            let reply = house.post(PURCHASE, &body).await;
            refused(reply, "sponsor_signature_invalid");
        }
        // A consent that names the authorization's nonce is for another payment.
        body["sponsor_signature"] = json!(wallet.sponsor(&stranger, 100, hash));
        let reply = house.post(PURCHASE, &body).await;
        refused(reply, "sponsor_signature_invalid");
        assert_eq!(house.books().await, before);

        claim(&house, &wallet, hash).await.expect(200);
        let reply = claim(&house, &stranger, hash).await;
        refused(reply, "payer_mismatch");
        booked(&house, 100).await;
    });
}

#[test]
fn with_the_senders_consent_it_is_credited_to_another() {
    run(async {
        let house = House::new().await;
        let (payer, hash) = paid(&house, 30).await;
        let recipient = Wallet::random();
        let mut body = claim_body(&recipient, hash);
        body["payer_wallet_address"] = json!(payer.name());
        body["sponsor_signature"] = json!(consent(&payer, &recipient, "30", hash));
        let first = house.post(PURCHASE, &body).await.expect(200);
        assert_eq!(house.books().await.units(&recipient), 300_000);
        // The payer need not be named.
        body.as_object_mut().unwrap().remove("payer_wallet_address");
        let again = house.post(PURCHASE, &body).await.expect(200);
        assert_eq!(again.json["purchase_id"], first.json["purchase_id"]);
        let reply = claim(&house, &payer, hash).await;
        reply.problem(409, "EXTERNAL_SIGNATURE_REQUEST_REPLAY");
        booked(&house, 30).await;
    });
}

#[test]
fn a_consent_is_for_one_payment_however_often_it_is_shown() {
    run(async {
        let house = House::new().await;
        let (payer, recipient) = (Wallet::random(), Wallet::random());
        house.chain_dollars(&payer, 60).await;
        let pay_to = house.pay_to;
        let hash = house
            .chain
            .batch(async |caller| {
                house.chain.approve(payer.address(), caller, 600_000).await;
                let step = || pull_step(payer.address(), pay_to, 200_000);
                vec![step(), step(), step()]
            })
            .await;
        let mut body = claim_body(&recipient, hash);
        body["sponsor_signature"] = json!(consent(&payer, &recipient, "20", hash));
        let request = Request {
            body: body.to_string(),
            ..claim_request(&recipient, hash)
        };
        let replies = house.sender().send_all(&vec![request; 8]).await;
        let ids: Vec<_> = replies
            .into_iter()
            .map(|reply| reply.unwrap().expect(200).json["purchase_id"].clone())
            .collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(house.books().await.units(&recipient), 200_000);
        // The payer's own claims take one each of what is left, and then no more.
        for _ in 0..2 {
            claim(&house, &payer, hash).await.expect(200);
        }
        assert_eq!(house.books().await.units(&payer), 400_000);
        claim(&house, &payer, hash).await.expect(200);
        assert_eq!(house.books().await.units(&payer), 400_000);
        booked(&house, 60).await;
    });
}

#[test]
fn what_brought_nothing_is_refused_in_clear_words() {
    run(async {
        let house = hasty_house().await;
        let wallet = Wallet::random();
        let reply = claim(&house, &wallet, B256::repeat_byte(7)).await;
        let reply = refused(reply, "transaction_not_found");
        let error = reply.json["error"].as_str().unwrap();
        assert!(error.contains("do not pay again"), "{error}");

        let elsewhere = house.chain.paid_plainly(wallet.address(), 10_000).await;
        let reply = claim(&house, &elsewhere.0, elsewhere.1).await;
        refused(reply, "transaction_without_payment");

        // It has nothing to send.
        let poor = Wallet::random();
        let failed = house
            .chain
            .transfer(poor.address(), house.pay_to, 90_000)
            .await;
        assert_eq!(house.chain.succeeded(failed).await, Some(false));
        refused(claim(&house, &poor, failed).await, "transaction_reverted");

        let said = house
            .chain
            .false_transfer(wallet.address(), house.pay_to, 90_000);
        let reply = claim(&house, &wallet, said.await).await;
        refused(reply, "transaction_without_payment");
        assert!(house.books().await.payments.is_empty());
    });
}

#[test]
fn the_shape_of_a_claim_is_checked() {
    run(async {
        let house = House::new().await;
        let (wallet, hash) = paid(&house, 100).await;
        let good = claim_body(&wallet, hash);
        for (name, value) in [
            ("transaction_hash", json!("0x12")),
            ("transaction_hash", json!(hex::encode(hash))),
            ("transaction_hash", json!(format!("0x{}", "g".repeat(64)))),
            ("transaction_hash", json!(7)),
            ("credits", json!("100")),
            ("credits", json!(-1)),
            ("credits", json!(0)),
            ("credits", json!(0.00001)),
            ("network", json!("eip155:1")),
            ("payment_method", json!("card")),
        ] {
            let mut body = good.clone();
            body[name] = value.clone();
            let reply = house.post(PURCHASE, &body).await;
            let reply = reply.problem(400, "INVALID_REQUEST");
            assert_eq!(reply.pointers(), [format!("/{name}")], "{value}");
        }
        // One thing pays.
        let payment = house.quote(&wallet, 100).await;
        let reply = house.pay_for(&good, &payment).await;
        let reply = reply.problem(400, "INVALID_REQUEST");
        assert_eq!(reply.pointers(), ["/transaction_hash"]);
        // Without one, credits are due as ever.
        let reply = house
            .post(PURCHASE, &json!({ "wallet_address": wallet.name() }))
            .await;
        assert_eq!(
            reply.problem(400, "INVALID_REQUEST").pointers(),
            ["/credits"]
        );
        claim(&house, &wallet, hash).await.expect(200);
    });
}

#[test]
fn a_transaction_on_its_way_is_waited_for_and_never_asked_for_again() {
    run(async {
        let house = own_house(1).await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        house.chain.set_automine(false).await.unwrap();
        let transfer = house
            .chain
            .transfer(wallet.address(), house.pay_to, 1_000_000);
        let hash = transfer.await;
        let reply = claim(&house, &wallet, hash).await;
        let reply = reply.problem(503, "UNAVAILABLE");
        assert!(reply.header("retry-after").is_some());
        assert!(reply.json["detail"].as_str().unwrap().contains("not mined"));
        house.chain.mine(1).await.unwrap();
        claim(&house, &wallet, hash).await.expect(200);
        booked(&house, 100).await;
    });
}

#[test]
fn a_claim_that_comes_a_moment_early_is_answered_once_it_is_mined() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let house = House::with(Setup::on(chain)).await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        house.chain.set_automine(false).await.unwrap();
        let transfer = house
            .chain
            .transfer(wallet.address(), house.pay_to, 1_000_000);
        let request = claim_request(&wallet, transfer.await);
        let sender = house.sender();
        let claiming = tokio::spawn(async move { sender.send(&request).await });
        tokio::task::yield_now().await;
        house.chain.mine(1).await.unwrap();
        claiming.await.unwrap().unwrap().expect(200);
        booked(&house, 100).await;
    });
}

#[test]
fn nothing_is_said_of_a_transaction_while_a_node_is_silent() {
    run(async {
        let chain = Chain::shared().await;
        let proxy = Proxy::start(&chain).await;
        let urls = format!("[\"{}\", \"{}\"]", chain.rpc_url(), proxy.url);
        let one = format!("\"{}\"", chain.rpc_url());
        let setup = Setup::on(chain).with(SOON.0, SOON.1).with(&one, &urls);
        let house = House::with(setup).await;
        let wallet = Wallet::random();
        proxy.cut();
        // The other might know it: so nobody is asked to pay.
        let reply = claim(&house, &wallet, B256::repeat_byte(7)).await;
        reply.problem(503, "UNAVAILABLE");
        let (wallet, hash) = paid(&house, 100).await;
        claim(&house, &wallet, hash).await.expect(200);
        proxy.mend();
        let reply = claim(&house, &wallet, B256::repeat_byte(7)).await;
        refused(reply, "transaction_not_found");
        booked(&house, 100).await;
    });
}

#[test]
fn a_node_that_is_behind_is_not_the_last_word() {
    run(async {
        let chain = Chain::shared().await;
        let proxy = Proxy::start(&chain).await;
        let urls = format!("[\"{}\", \"{}\"]", proxy.url, chain.rpc_url());
        let one = format!("\"{}\"", chain.rpc_url());
        let setup = Setup::on(chain).with(SOON.0, SOON.1).with(&one, &urls);
        let house = House::with(setup).await;
        let (wallet, hash) = paid(&house, 100).await;
        proxy.fail("eth_getTransactionReceipt", Fault::Nothing);
        proxy.fail("eth_getTransactionByHash", Fault::Nothing);
        claim(&house, &wallet, hash).await.expect(200);
        booked(&house, 100).await;
    });
}

#[test]
fn until_its_confirmations_a_claim_is_202_and_then_credited_by_itself() {
    run(async {
        for killed in [false, true] {
            let mut house = own_house(3).await;
            let (wallet, hash) = paid(&house, 100).await;
            let reply = claim(&house, &wallet, hash).await.expect(202);
            let id = reply.json["purchase_id"].clone();
            assert_eq!(reply.json["status"], "settling");
            assert_eq!(reply.payment_response(), None);
            assert_eq!(house.status(&id).await["status"], "broadcast");
            let again = claim(&house, &wallet, hash).await.expect(202);
            assert_eq!(again.json["purchase_id"], id);
            assert_eq!(house.books().await.units(&wallet), 0);
            if killed {
                house.kill_9().await;
            }
            house.chain.mine(2).await.unwrap();
            if killed {
                house.start().await;
            }
            house.becomes(&id, "credited").await;
            assert_eq!(house.books().await.units(&wallet), 1_000_000);
            booked(&house, 100).await;
        }
    });
}

#[test]
fn a_claim_whose_transaction_is_undone_waits_and_is_credited_if_it_comes_back() {
    run(async {
        let house = own_house(3).await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let snapshot = house.chain.snapshot().await.unwrap();
        let send = || {
            house
                .chain
                .transfer(wallet.address(), house.pay_to, 1_000_000)
        };
        let hash = send().await;
        let reply = claim(&house, &wallet, hash).await.expect(202);
        let id = &reply.json["purchase_id"];
        house.chain.revert(snapshot).await.unwrap();
        house.chain.mine(5).await.unwrap();
        house.caught_up_to_confirmed(3).await;
        assert_eq!(house.status(id).await["status"], "broadcast");
        assert_eq!(house.books().await.units(&wallet), 0);
        assert_eq!(send().await, hash);
        house.chain.mine(3).await.unwrap();
        house.becomes(id, "credited").await;
        booked(&house, 100).await;
    });
}

#[test]
fn a_claimed_authorization_that_is_mined_in_another_transaction_is_credited_once() {
    run(async {
        let house = own_house(3).await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let payment = house.quote(&wallet, 100).await;
        let snapshot = house.chain.snapshot().await.unwrap();
        let hash = house.chain.front_run(&payment).await;
        let reply = claim(&house, &wallet, hash).await.expect(202);
        let id = &reply.json["purchase_id"];
        house.chain.revert(snapshot).await.unwrap();
        let other = house.chain.front_run(&payment).await;
        assert_ne!(hash, other);
        house.chain.mine(3).await.unwrap();
        let status = house.becomes(id, "credited").await;
        assert_eq!(status["transaction"], format!("{other:#x}"));
        // By its header it is the same purchase.
        let again = house.pay(&wallet, 100, &payment).await.expect(200);
        assert_eq!(again.json["purchase_id"], *id);
        claim(&house, &wallet, other).await.expect(200);
        booked(&house, 100).await;
    });
}

#[test]
fn a_payment_that_settled_here_is_answered_by_its_purchase() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let bought = house.buy(&wallet, 100).await.expect(200);
        let hash: B256 = bought.json["transaction"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let claimed = claim(&house, &wallet, hash).await.expect(200);
        assert_eq!(claimed.json["purchase_id"], bought.json["purchase_id"]);
        let stranger = Wallet::random();
        refused(claim(&house, &stranger, hash).await, "payer_mismatch");
        booked(&house, 100).await;
    });
}

#[test]
fn a_direct_calls_payment_is_nobodys_credits() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 5).await;
        let parameters = json!({ "place": "Bern" });
        let quote = house.post(FORECAST, &parameters).await;
        let payment = crate::support::Payment::of(&quote.expect(402), &wallet);
        let request = Request::direct(FORECAST, &parameters, &payment);
        let reply = house.send(&request).await.expect(200);
        let hash = reply.json["x402"]["transaction"].as_str().unwrap();
        let reply = claim(&house, &wallet, hash.parse().unwrap()).await;
        reply.problem(409, "EXTERNAL_SIGNATURE_REQUEST_REPLAY");
        let books = house.books().await;
        assert_eq!((books.units(&wallet), books.revenue()), (0, 50_000));
    });
}

#[test]
fn an_open_intent_owns_its_transfer() {
    run(async {
        let house = own_house(1).await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let payment = house.quote(&wallet, 100).await;
        house.chain.set_automine(false).await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        let settled = house.chain.front_run(&payment).await;
        house.chain.mine(1).await.unwrap();
        let claimed = claim(&house, &wallet, settled).await.expect(200);
        assert_eq!(claimed.json["purchase_id"], reply.json["purchase_id"]);
        booked(&house, 100).await;
    });
}

#[test]
fn the_agent_of_a_purchase_at_the_contract_may_claim_it_and_nobody_else() {
    run(async {
        let mut house = House::prepare(Setup::default()).await;
        let shop = house.chain.open_shop(house.pay_to).await;
        let line = format!(
            "confirmations = 1\npurchase_contract = \"{:#x}\"",
            shop.address
        );
        house.configure("confirmations = 1", &line);
        house.start().await;
        let (payer, agent) = (Wallet::random(), Wallet::random());
        house.chain_dollars(&payer, 100).await;
        let hash = shop
            .buy(&house.chain, &payer, agent.address(), 1_000_000)
            .await;
        refused(claim(&house, &payer, hash).await, "payer_mismatch");
        let reply = claim(&house, &agent, hash).await.expect(200);
        assert_eq!(reply.json["credits_purchased"], 100);
        house.caught_up().await;
        assert_eq!(house.books().await.payments("event credited"), 1);
        booked(&house, 100).await;
    });
}

#[test]
fn what_is_in_suspense_is_not_claimed_but_explained() {
    run(async {
        let mode = "[purchase]\nplain_transfers = \"suspense\"";
        let house = House::with(Setup::default().with("[purchase]", mode)).await;
        let (wallet, hash) = paid(&house, 100).await;
        until("not in suspense", async || {
            house.books().await.suspense() == 1_000_000
        })
        .await;
        let reply = claim(&house, &wallet, hash).await;
        reply.problem(409, "PAYMENT_IN_SUSPENSE");
        booked(&house, 100).await;
    });
}

#[test]
fn refused_claims_draw_on_the_clients_budget() {
    run(async {
        let budget = (
            "failed_signatures_per_minute = 300",
            "failed_signatures_per_minute = 3",
        );
        let setup = Setup::default().with(SOON.0, "settle_wait_seconds = 0");
        let house = House::with(setup.with(budget.0, budget.1)).await;
        let (wallet, hash) = paid(&house, 100).await;
        let stranger = Wallet::random();
        claim(&house, &wallet, hash).await.expect(200);
        for _ in 0..3 {
            refused(claim(&house, &stranger, hash).await, "payer_mismatch");
        }
        let reply = claim(&house, &stranger, hash).await;
        assert!(reply.header("retry-after").is_some());
        reply.problem(429, "RATE_LIMITED");
    });
}

/// A way in which one payment may be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Purchase,
    Direct,
    Claim,
    Watched,
}

/// What tells of one payment of a nickel in all these ways, whether or not it is on the chain already.
async fn telling(house: &House, ways: &[Told], settled: bool) -> (Wallet, Vec<Request>) {
    let wallet = Wallet::random();
    house.chain_dollars(&wallet, 5).await;
    let payment = house.quote(&wallet, 5).await;
    let parameters = json!({ "place": "Bern" });
    let mut hash = B256::ZERO;
    if settled || ways.contains(&Told::Claim) {
        hash = house.chain.front_run(&payment).await;
    }
    let mut requests = Vec::new();
    for way in ways.iter().cycle().take(3 * ways.len()) {
        match way {
            Told::Purchase => requests.push(Request::purchase(&wallet, 5, &payment)),
            Told::Direct => requests.push(Request::direct(FORECAST, &parameters, &payment)),
            Told::Claim => requests.push(claim_request(&wallet, hash)),
            // The house does it unasked.
            Told::Watched => {}
        }
    }
    (wallet, requests)
}

#[test]
fn one_transfer_is_one_payment_whoever_tells_of_it_at_once() {
    run(async {
        let small = "[purchase]\nstep_credits = 5\nmin_credits = 5";
        for plain in ["claim", "credit"] {
            let lines = format!("{small}\nplain_transfers = \"{plain}\"");
            let house = House::with(Setup::default().with("[purchase]", &lines)).await;
            let all = [Told::Purchase, Told::Direct, Told::Claim, Told::Watched];
            let (mut wallets, mut requests) = (Vec::new(), Vec::new());
            let mut tell = async |ways: &[Told], settled| {
                let (wallet, told) = telling(&house, ways, settled).await;
                wallets.push(wallet);
                requests.extend(told);
            };
            for (one, other) in all.iter().flat_map(|one| all.map(|other| (*one, other))) {
                let ways = [one, other];
                // What nobody asks credits for is nobody's yet, where transfers wait for claims.
                let asked = ways.contains(&Told::Purchase) || ways.contains(&Told::Claim);
                if asked || plain == "credit" {
                    tell(&ways, true).await;
                }
                if ways != [Told::Watched, Told::Watched] {
                    tell(&ways, false).await;
                }
            }
            tell(&all, true).await;
            for reply in house.sender().send_all(&requests).await {
                let reply = reply.unwrap();
                assert!(matches!(reply.status, 200 | 409), "{}", reply.text());
            }

            house.caught_up().await;
            let books = house.settled_books().await;
            let mut told = books.revenue();
            for wallet in &wallets {
                let units = books.units(wallet);
                assert!(matches!(units, 0 | 50_000), "{units}");
                told += units;
            }
            assert_eq!(told, i64::try_from(50_000 * wallets.len()).unwrap());
            assert_eq!(books.cash(), told);
            assert_eq!(U256::from(books.cash()), house.received().await);
        }
    });
}

#[test]
fn the_command_line_claims_for_itself_and_for_another() {
    run(async {
        let house = House::new().await;
        let (url, key) = (house.url(""), house.path("payer.key"));
        let key = key.to_str().unwrap();
        let claim = async |hash: B256, more: &[&str]| {
            let hash = format!("{hash:#x}");
            let mut arguments = vec!["buy", "--json", "--url", &url, "--key-file", key];
            arguments.extend(["--transaction-hash", &hash]);
            arguments.extend(more);
            house.run(&arguments).await
        };
        let (wallet, hash) = paid(&house, 7).await;
        write_key(key, &wallet);
        let claimed = claim(hash, &[]).await.expect(0);
        assert_eq!(claimed.json["credits_purchased"], 7, "{}", claimed.json);
        assert_eq!(house.books().await.units(&wallet), 70_000);

        let (payer, hash) = paid(&house, 9).await;
        write_key(key, &payer);
        let recipient = Wallet::random();
        let refused = claim(hash, &["8", "--for", &recipient.name()]).await;
        refused.failed(1, "PAYMENT_REFUSED");
        claim(hash, &["9", "--for", &recipient.name()])
            .await
            .expect(0);
        assert_eq!(house.books().await.units(&recipient), 90_000);
        booked(&house, 16).await;
    });
}

fn write_key(path: &str, wallet: &Wallet) {
    use std::os::unix::fs::PermissionsExt;

    std::fs::write(path, hex::encode(wallet.0.to_bytes())).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn many_claims_of_one_plain_transfer_at_once_are_one() {
    run(async {
        for plain in ["claim", "credit"] {
            let mode = format!("[purchase]\nplain_transfers = \"{plain}\"");
            let house = House::with(Setup::default().with("[purchase]", &mode)).await;
            for round in 1..=3 {
                let (wallet, hash) = paid(&house, 10).await;
                let requests = vec![claim_request(&wallet, hash); 10];
                let replies = house.sender().send_all(&requests).await;
                let mut ids = Vec::new();
                for reply in replies {
                    ids.push(reply.unwrap().expect(200).json["purchase_id"].to_string());
                }
                ids.dedup();
                assert_eq!(ids.len(), 1);
                house.caught_up().await;
                assert_eq!(house.books().await.units(&wallet), 100_000);
                booked(&house, 10 * round).await;
            }
        }
    });
}

#[test]
fn authorizations_in_a_transaction_of_many_are_each_counted_by_their_nonce() {
    run(async {
        let house = House::new().await;
        let (one, other) = (Wallet::random(), Wallet::random());
        let mut signed = Vec::new();
        for wallet in [&one, &one, &other] {
            house.chain_dollars(wallet, 100).await;
            signed.push(house.quote(wallet, 100).await);
        }
        let steps = signed.iter().map(settle_step).collect();
        let hash = house.chain.batch(async |_: Address| steps).await;
        for wallet in [&one, &other, &one] {
            claim(&house, wallet, hash).await.expect(200);
        }
        for (payment, wallet) in signed.iter().zip([&one, &one, &other]) {
            house.pay(wallet, 100, payment).await.expect(200);
        }
        let books = house.books().await;
        assert_eq!(
            (books.units(&one), books.units(&other)),
            (2_000_000, 1_000_000)
        );
        booked(&house, 300).await;
    });
}
