//! Payers that are contracts (ERC-1271): their code is asked, and not believed beyond that.

use std::sync::Arc;

use alloy::primitives::U256;
use serde_json::{Value, json};

use crate::support::{
    Chain, ContractWallet, House, Payment, Proxy, Reply, Setup, Temper, Wallet,
    client::{PURCHASE, purchase},
    run, until,
};

/// A house that sees the node through a proxy, which counts.
async fn watched() -> (House, Proxy) {
    let chain = Chain::shared().await;
    let proxy = Proxy::start(&chain).await;
    let setup = Setup::on(Arc::clone(&chain)).with(chain.rpc_url().as_str(), &proxy.url);
    (House::with(setup).await, proxy)
}

async fn funded(house: &House, credits: u64) -> ContractWallet {
    let wallet = ContractWallet::deployed(&house.chain).await;
    let amount = U256::from(credits * 10_000);
    house.chain.mint(wallet.address, amount).await;
    wallet
}

fn body(wallet: &ContractWallet, credits: u64) -> Value {
    json!({ "wallet_address": wallet.name(), "credits": credits })
}

async fn quote(house: &House, wallet: &ContractWallet, temper: Temper) -> Payment {
    let quote = house.post(PURCHASE, &body(wallet, 100)).await.expect(402);
    let mut payment = Payment::of(&quote, &wallet.owner);
    wallet.adopt(&mut payment, temper);
    payment
}

#[track_caller]
fn refused(reply: Reply, reason: &str) {
    let reply = reply.expect(402);
    assert_eq!(reply.json["error"], reason);
    assert_eq!(reply.payment_response().unwrap()["errorReason"], reason);
}

#[test]
fn a_contract_wallet_buys_credits_once() {
    run(async {
        let house = House::new().await;
        let wallet = funded(&house, 300).await;
        let payment = quote(&house, &wallet, Temper::Honest).await;
        let body = body(&wallet, 100);
        let bought = house.pay_for(&body, &payment).await.expect(200);
        assert_eq!(bought.json["wallet_address"], wallet.name());
        assert_eq!(bought.json["balance_credits"], 100);
        assert_eq!(bought.payment_response().unwrap()["payer"], wallet.name());

        let again = house.pay_for(&body, &payment).await.expect(200);
        assert_eq!(again.json["purchase_id"], bought.json["purchase_id"]);
        // The nonce is public now. Whoever shows other bytes for it learns nothing.
        let mut forged = payment.clone();
        forged.signature[100] ^= 1;
        refused(
            house.pay_for(&body, &forged).await,
            "invalid_exact_evm_payload_signature",
        );
        assert_eq!(house.received().await, U256::from(1_000_000));
        assert_eq!(house.books().await.payments("purchase credited"), 1);

        // One after another it may buy as often as it likes.
        let next = quote(&house, &wallet, Temper::Honest).await;
        house.pay_for(&body, &next).await.expect(200);
        assert_eq!(house.received().await, U256::from(2_000_000));
    });
}

#[test]
fn a_contract_wallet_pays_a_call() {
    run(async {
        let house = House::new().await;
        let wallet = funded(&house, 5).await;
        let path = "/api/external/tools/weather/actions/forecast/invoke";
        let body = json!({ "place": "Bern" });
        let quote = house.post(path, &body).await.expect(402);
        let mut payment = Payment::of(&quote, &wallet.owner);
        wallet.adopt(&mut payment, Temper::Honest);
        let header = payment.header();
        let headers = [("payment-signature", header.as_str())];
        let called = house.post_with(path, body.to_string(), &headers).await;
        let paid = &called.expect(200).json["x402"]["payment"];
        assert_eq!(paid["payer_wallet_address"], wallet.name());
        assert_eq!(house.books().await.revenue(), 50_000);
    });
}

#[test]
fn a_contract_wallet_pays_for_an_agent_that_it_names() {
    run(async {
        let house = House::new().await;
        let wallet = funded(&house, 100).await;
        let (agent, other) = (Wallet::random(), Wallet::random());
        let payment = quote(&house, &wallet, Temper::Honest).await;
        let message = |recipient: &Wallet| {
            format!(
                "agentpmt-external-sponsor\npayer:{}\nrecipient:{}\ncredits:100\nnonce:{:#x}",
                wallet.name(),
                recipient.name(),
                payment.nonce()
            )
        };
        let mut body = purchase(&agent, 100);
        refused(
            house.pay_for(&body, &payment).await,
            "sponsor_signature_missing",
        );
        for wrong in [
            wallet.sign(&message(&other)),
            // The owner's key is not the wallet.
            wallet.owner.sign(&message(&agent)),
        ] {
            body["sponsor_signature"] = json!(wrong);
            refused(
                house.pay_for(&body, &payment).await,
                "sponsor_signature_invalid",
            );
        }
        assert!(house.books().await.payments.is_empty());
        body["sponsor_signature"] = json!(wallet.sign(&message(&agent)));
        house.pay_for(&body, &payment).await.expect(200);
        assert_eq!(house.books().await.units(&agent), 1_000_000);
    });
}

/// What a signature that nobody made costs: one question, and only for money that would come here.
#[test]
fn a_false_signature_costs_one_question_and_counts_against_its_sender() {
    run(async {
        let (mut house, proxy) = watched().await;
        house.configure(
            "failed_signatures_per_minute = 300",
            "failed_signatures_per_minute = 4",
        );
        house.restart().await;
        let wallet = funded(&house, 100).await;
        let good = quote(&house, &wallet, Temper::Honest).await;
        let pay = async |payment: &Payment| house.pay_for(&body(&wallet, 100), payment).await;
        let invalid = "invalid_exact_evm_payload_signature";
        let [of_no_code, elsewhere, flipped, empty] = {
            let mut of_no_code = good.clone();
            of_no_code.authorization.from = Wallet::random().address();
            let mut elsewhere = good.clone();
            elsewhere.authorization.to = Wallet::random().address();
            let mut flipped = good.clone();
            flipped.signature[70] ^= 1;
            let mut empty = good.clone();
            empty.signature.clear();
            [of_no_code, elsewhere, flipped, empty]
        };
        for (payment, calls) in [(of_no_code, 1), (elsewhere, 0), (flipped, 1), (empty, 1)] {
            let before = proxy.count("eth_call");
            let logs = proxy.count("eth_getLogs");
            refused(pay(&payment).await, invalid);
            assert_eq!(proxy.count("eth_call") - before, calls);
            assert_eq!(proxy.count("eth_getLogs"), logs);
        }
        let before = proxy.count("eth_call");
        pay(&good).await.problem(429, "RATE_LIMITED");
        assert_eq!(proxy.count("eth_call"), before);
        assert_eq!(house.received().await, U256::ZERO);
    });
}

#[test]
fn a_wallet_that_burns_gas_is_refused_before_it_costs_any() {
    run(async {
        let house = House::new().await;
        let wallet = funded(&house, 100).await;
        let payment = quote(&house, &wallet, Temper::Greedy).await;
        refused(
            house.pay_for(&body(&wallet, 100), &payment).await,
            "invalid_exact_evm_payload_signature",
        );
        assert!(house.books().await.payments.is_empty());
    });
}

/// A wallet can tell a trial from a block. It makes the relayer pay for nothing once, and no more.
#[test]
fn a_wallet_that_made_a_settlement_fail_is_taken_no_more() {
    run(async {
        let (house, proxy) = watched().await;
        let wallet = funded(&house, 300).await;
        let fickle = quote(&house, &wallet, Temper::Fickle).await;
        let body = body(&wallet, 100);
        let sent = tokio::spawn({
            let (http, url) = (house.http.clone(), house.url(PURCHASE));
            let (body, header) = (body.to_string(), fickle.header());
            let request = http.post(url).header("content-type", "application/json");
            request
                .header("payment-signature", header)
                .body(body)
                .send()
        });
        until("nothing was sent", async || {
            proxy.count("eth_sendRawTransaction") > 0
        })
        .await;
        let honest = quote(&house, &wallet, Temper::Honest).await;
        until("the failure is not seen", async || {
            let reply = house.pay_for(&body, &honest).await;
            reply.json["error"] == "payer_barred"
        })
        .await;
        assert_eq!(proxy.count("eth_sendRawTransaction"), 1);
        sent.abort();
        assert_eq!(house.received().await, U256::ZERO);
        assert_eq!(house.books().await.cash(), 0);

        // Another wallet is not concerned.
        let other = funded(&house, 100).await;
        let payment = quote(&house, &other, Temper::Honest).await;
        let reply = house.pay_for(&self::body(&other, 100), &payment).await;
        reply.expect(200);
    });
}
