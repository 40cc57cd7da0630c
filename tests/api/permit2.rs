//! Payments through Permit2, whose use of a nonce leaves no log: the real Permit2 behind what x402's
//! specification says of its proxy.

use std::sync::Arc;

use alloy::primitives::U256;
use serde_json::{Value, json};

use crate::support::{
    Chain, ContractWallet, Fault, House, Payment, Proxy, Reply, Setup, Temper, Wallet,
    client::{PURCHASE, purchase},
    payment::encode,
    run, until,
};

const DOMAIN: &str = "eip712_version = \"2\"";
const PERMIT2: &str = "eip712_version = \"2\"\ntransfer_method = \"permit2\"";
const SPENT: &str = "authorization_spent_elsewhere";

async fn house_on(chain: Arc<Chain>) -> House {
    chain.with_permit2().await;
    House::with(Setup::on(chain).with(DOMAIN, PERMIT2)).await
}

async fn house() -> House {
    house_on(Chain::shared().await).await
}

#[track_caller]
fn refused(reply: Reply, reason: &str) {
    let reply = reply.expect(402);
    assert_eq!(reply.json["error"], reason);
    assert_eq!(reply.payment_response().unwrap()["errorReason"], reason);
}

fn dollars(count: u64) -> U256 {
    U256::from(count * 1_000_000)
}

#[test]
fn a_payment_becomes_credits_once() {
    run(async {
        let house = house().await;
        let wallet = house.permit2_payer(200).await;
        let quote = house.post(PURCHASE, &purchase(&wallet, 100)).await;
        let required = quote.expect(402).payment_required();
        let extra = &required["accepts"][0]["extra"];
        let expected = json!({ "assetTransferMethod": "permit2", "name": "USDC", "version": "2" });
        assert_eq!(*extra, expected);

        let payment = Payment::accept(&required["accepts"][0], &wallet);
        let bought = house.pay(&wallet, 100, &payment).await.expect(200);
        assert_eq!(bought.json["credits_purchased"], 100);
        assert_eq!(bought.payment_response().unwrap()["payer"], wallet.name());
        let again = house.pay(&wallet, 100, &payment).await.expect(200);
        assert_eq!(again.json["purchase_id"], bought.json["purchase_id"]);

        assert_eq!(house.received().await, dollars(1));
        let books = house.books().await;
        assert_eq!((books.units(&wallet), books.cash()), (1_000_000, 1_000_000));

        let next = house.quote(&wallet, 100).await;
        house.pay(&wallet, 100, &next).await.expect(200);
        assert_eq!(house.books().await.units(&wallet), 2_000_000);
    });
}

#[test]
fn a_call_is_paid() {
    run(async {
        let house = house().await;
        let wallet = house.permit2_payer(5).await;
        let path = "/api/external/tools/weather/actions/forecast/invoke";
        let body = json!({ "place": "Bern" });
        let quote = house.post(path, &body).await.expect(402);
        let header = Payment::of(&quote, &wallet).header();
        let headers = [("payment-signature", header.as_str())];
        house
            .post_with(path, body.to_string(), &headers)
            .await
            .expect(200);
        assert_eq!(house.books().await.revenue(), 50_000);
    });
}

#[test]
fn a_contract_wallet_pays() {
    run(async {
        let house = house().await;
        let wallet = ContractWallet::deployed(&house.chain).await;
        house.chain.mint(wallet.address, dollars(1)).await;
        house.chain.approve_permit2(wallet.address, U256::MAX).await;
        let body = json!({ "wallet_address": wallet.name(), "credits": 100 });
        let quote = house.post(PURCHASE, &body).await.expect(402);
        let mut payment = Payment::of(&quote, &wallet.owner);
        refused(
            house.pay_for(&body, &payment).await,
            "sponsor_signature_missing",
        );
        wallet.adopt(&mut payment, Temper::Honest);
        house.pay_for(&body, &payment).await.expect(200);
        assert_eq!(house.received().await, dollars(1));
    });
}

#[test]
fn what_cannot_be_paid_is_refused_and_leaves_nothing() {
    run(async {
        let house = house().await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let payment = house.quote(&wallet, 100).await;
        refused(
            house.pay(&wallet, 100, &payment).await,
            "permit2_allowance_required",
        );
        house
            .chain
            .approve_permit2(wallet.address(), dollars(1))
            .await;
        let signature = "invalid_exact_evm_payload_signature";
        let mut more = payment.clone();
        more.authorization.value += U256::from(1);
        refused(house.pay(&wallet, 100, &more).await, signature);
        more.sign(&wallet);
        refused(
            house.pay(&wallet, 100, &more).await,
            "invalid_exact_evm_payload_authorization_value",
        );
        let mut elsewhere = payment.clone();
        elsewhere.authorization.to = Wallet::random().address();
        elsewhere.sign(&wallet);
        refused(
            house.pay(&wallet, 100, &elsewhere).await,
            "invalid_exact_evm_payload_recipient_mismatch",
        );
        for (pointer, wrong) in [
            ("/payload/permit2Authorization/spender", wallet.name()),
            (
                "/payload/permit2Authorization/permitted/token",
                wallet.name(),
            ),
            ("/payload/permit2Authorization/nonce", "-1".into()),
        ] {
            let mut document = payment.document();
            *document.pointer_mut(pointer).unwrap() = wrong.into();
            let header = encode(&document);
            let body = purchase(&wallet, 100);
            let reply = house.pay_header(&body, "payment-signature", &header).await;
            reply.problem(400, "INVALID_PAYMENT");
        }
        assert!(house.books().await.payments.is_empty());
        house.pay(&wallet, 100, &payment).await.expect(200);
    });
}

/// A promise of the other kind is not what was offered, though its signature is good.
#[test]
fn only_the_offered_method_is_taken() {
    run(async {
        for (house, method) in [(house().await, None), (House::new().await, Some("permit2"))] {
            let wallet = house.permit2_payer(100).await;
            let quote = house.post(PURCHASE, &purchase(&wallet, 100)).await;
            let mut accepted = quote.expect(402).payment_required()["accepts"][0].clone();
            accepted["extra"]["assetTransferMethod"] = match method {
                Some(method) => json!(method),
                None => Value::Null,
            };
            let payment = Payment::accept(&accepted, &wallet);
            refused(
                house.pay(&wallet, 100, &payment).await,
                "invalid_exact_evm_payload_asset_mismatch",
            );
            assert_eq!(house.received().await, U256::ZERO);
        }
    });
}

/// A stranger's settlement is one too; and equal transfers of one payer are told apart.
#[test]
fn what_strangers_settled_is_credited_once_each() {
    run(async {
        let house = house().await;
        let wallet = house.permit2_payer(400).await;
        let mut payments = Vec::new();
        for _ in 0..3 {
            let payment = house.quote(&wallet, 100).await;
            house.chain.settle_permit2(&payment).await;
            payments.push(payment);
        }
        for (payment, units) in payments.iter().zip([1_000_000, 2_000_000, 3_000_000]) {
            house.pay(&wallet, 100, payment).await.expect(200);
            house.pay(&wallet, 100, payment).await.expect(200);
            assert_eq!(house.books().await.units(&wallet), units);
        }
        // One that is used and was never paid cannot pass another's transfer off as its own.
        let unpaid = house.quote(&wallet, 100).await;
        house.chain.invalidate(&unpaid).await;
        refused(house.pay(&wallet, 100, &unpaid).await, SPENT);
        assert_eq!(house.received().await, dollars(3));
        assert_eq!(house.books().await.cash(), 3_000_000);
    });
}

#[test]
fn a_plain_transfer_is_no_settlement() {
    run(async {
        let house = house().await;
        let wallet = house.permit2_payer(100).await;
        let payment = house.quote(&wallet, 100).await;
        house.chain.plain_transfer(&payment).await;
        house.chain.invalidate(&payment).await;
        refused(house.pay(&wallet, 100, &payment).await, SPENT);
        assert!(house.books().await.payments.is_empty());
    });
}

/// The broadcast reached the node, and nobody heard: the payment is found by its facts.
#[test]
fn a_settlement_that_is_reported_lost_is_credited() {
    run(async {
        let chain = Chain::shared().await;
        chain.with_permit2().await;
        let proxy = Proxy::start(&chain).await;
        let setup = Setup::on(chain.clone()).with(DOMAIN, PERMIT2);
        let setup = setup.with(chain.rpc_url().as_str(), &proxy.url);
        let house = House::with(setup).await;
        let wallet = house.permit2_payer(200).await;
        let payment = house.quote(&wallet, 100).await;
        proxy.fail("eth_sendRawTransaction", Fault::Unheard);
        house.pay(&wallet, 100, &payment).await.expect(200);
        assert_eq!(house.received().await, dollars(1));
        assert_eq!(house.books().await.units(&wallet), 1_000_000);
    });
}

/// The process dies while the settlement waits for its block.
#[test]
fn a_payment_outlives_its_server() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let mut house = house_on(chain.clone()).await;
        let wallet = house.permit2_payer(100).await;
        let id = waiting(&mut house, &wallet).await;
        house.kill_9().await;
        chain.mine(1).await.unwrap();
        house.start().await;
        ends(&house, &id, "credited").await;
        assert_eq!(house.received().await, dollars(1));
        assert_eq!(house.books().await.units(&wallet), 1_000_000);
    });
}

/// A stranger settles the same authorization while ours waits.
#[test]
fn a_front_run_settlement_is_credited_once() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let mut house = house_on(chain.clone()).await;
        let wallet = house.permit2_payer(200).await;
        let payment = house.quote(&wallet, 100).await;
        house.configure("settle_wait_seconds = 20", "settle_wait_seconds = 0");
        house.restart().await;
        chain.set_automine(false).await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        let id = reply.json["purchase_id"].as_str().unwrap().to_owned();
        until("nothing was sent", async || pooled(&chain).await == 1).await;
        chain.settle_permit2(&payment).await;
        ends(&house, &id, "credited").await;
        assert_eq!(house.received().await, dollars(1));
        assert_eq!(house.books().await.units(&wallet), 1_000_000);
    });
}

#[test]
fn an_open_payment_fails_once_its_nonce_is_spent_elsewhere() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let mut house = house_on(chain.clone()).await;
        let wallet = house.permit2_payer(100).await;
        let payment = house.quote(&wallet, 100).await;
        house.configure("settle_wait_seconds = 20", "settle_wait_seconds = 0");
        house.restart().await;
        chain.set_automine(false).await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        let id = reply.json["purchase_id"].as_str().unwrap().to_owned();
        until("nothing was sent", async || pooled(&chain).await == 1).await;
        chain.invalidate(&payment).await;
        ends(&house, &id, "failed").await;
        assert_eq!(house.books().await.cash(), 0);
    });
}

#[test]
fn an_open_payment_expires_after_its_deadline() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let mut house = house_on(chain.clone()).await;
        let wallet = house.permit2_payer(100).await;
        let id = waiting(&mut house, &wallet).await;
        chain.increase_time(400).await.unwrap();
        ends(&house, &id, "expired").await;
        assert_eq!(house.received().await, U256::ZERO);
    });
}

/// A call to an address without code succeeds and moves nothing.
#[test]
fn nothing_is_sent_where_the_proxy_is_missing() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let house = house_on(chain.clone()).await;
        let wallet = house.permit2_payer(100).await;
        let payment = house.quote(&wallet, 100).await;
        let proxy = counterfoil::payment::PERMIT2_PROXY;
        let code = chain.rpc::<()>("anvil_setCode", json!([proxy, "0x"])).await;
        code.unwrap();
        refused(
            house.pay(&wallet, 100, &payment).await,
            "invalid_transaction_state",
        );
        assert!(house.books().await.payments.is_empty());
    });
}

/// A purchase whose settlement waits for its block. Its id.
async fn waiting(house: &mut House, wallet: &Wallet) -> String {
    house.configure("settle_wait_seconds = 20", "settle_wait_seconds = 0");
    house.restart().await;
    house.chain.set_automine(false).await.unwrap();
    let payment = house.quote(wallet, 100).await;
    let reply = house.pay(wallet, 100, &payment).await.expect(202);
    until("nothing was sent", async || pooled(&house.chain).await == 1).await;
    reply.json["purchase_id"].as_str().unwrap().to_owned()
}

async fn ends(house: &House, id: &str, state: &str) {
    let path = format!("/api/external/credits/purchases/{id}");
    until("the purchase does not end so", async || {
        house.get(&path).await.expect(200).json["status"] == state
    })
    .await;
}

async fn pooled(chain: &Chain) -> u64 {
    let status: Value = chain.rpc("txpool_status", json!([])).await.unwrap();
    let count = status["pending"].as_str().unwrap();
    u64::from_str_radix(count.trim_start_matches("0x"), 16).unwrap()
}
