//! Payers by Permit2 who never had gas: their leave for Permit2 comes with the payment (EIP-2612).

use alloy::primitives::U256;
use counterfoil::payment::PERMIT2;
use serde_json::{Value, json};

use crate::support::{
    Chain, House, Payment, Reply, Setup, Wallet,
    client::{PURCHASE, purchase},
    onchain::token_permit,
    run,
};

const KEY: &str = "eip2612GasSponsoring";

async fn house(sponsoring: bool) -> House {
    let chain = Chain::shared().await;
    chain.with_permit2().await;
    let asset = format!(
        "eip712_version = \"2\"\ntransfer_method = \"permit2\"\ngas_sponsoring = {sponsoring}"
    );
    House::with(Setup::on(chain).with("eip712_version = \"2\"", &asset)).await
}

/// Adds a leave for as much as the payment pays.
fn with_leave(payment: &mut Payment, payer: &Wallet, nonce: u64) {
    let terms = &payment.authorization;
    let (value, deadline) = (terms.value, U256::from(terms.valid_before));
    let signature = token_permit(payer, PERMIT2, value, U256::from(nonce), deadline);
    let info = json!({
        "from": payer.name(),
        "asset": payment.accepted["asset"],
        "spender": PERMIT2.to_checksum(None),
        "amount": value.to_string(),
        "nonce": nonce.to_string(),
        "deadline": deadline.to_string(),
        "signature": format!("0x{}", hex::encode(signature)),
        "version": "1",
    });
    payment.extensions = Some(json!({ KEY: { "info": info } }));
}

#[track_caller]
fn refused(reply: Reply, reason: &str) {
    assert_eq!(reply.expect(402).json["error"], reason);
}

#[test]
fn a_payer_without_gas_or_allowance_pays_again_and_again() {
    run(async {
        let house = house(true).await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 200).await;
        let quote = house.post(PURCHASE, &purchase(&wallet, 100)).await;
        let offered = &quote.expect(402).payment_required()["extensions"][KEY];
        assert_eq!(offered["info"]["version"], "1", "{offered}");
        for (nonce, units) in [(0, 1_000_000), (1, 2_000_000)] {
            let mut payment = house.quote(&wallet, 100).await;
            with_leave(&mut payment, &wallet, nonce);
            let bought = house.pay(&wallet, 100, &payment).await.expect(200);
            let again = house.pay(&wallet, 100, &payment).await.expect(200);
            assert_eq!(again.json["purchase_id"], bought.json["purchase_id"]);
            assert_eq!(house.books().await.units(&wallet), units);
        }
        assert_eq!(house.received().await, U256::from(2_000_000));
        let gas: U256 = house
            .chain
            .rpc("eth_getBalance", json!([wallet.address(), "latest"]))
            .await
            .unwrap();
        assert_eq!(gas, U256::ZERO);
    });
}

#[test]
fn a_call_is_paid_so_too() {
    run(async {
        let house = house(true).await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 5).await;
        let path = "/api/external/tools/weather/actions/forecast/invoke";
        let body = json!({ "place": "Bern" });
        let quote = house.post(path, &body).await.expect(402);
        let offered = &quote.payment_required()["extensions"];
        assert!(offered.get(KEY).is_some() && offered.get("payment-identifier").is_some());
        let mut payment = Payment::of(&quote, &wallet);
        with_leave(&mut payment, &wallet, 0);
        let header = payment.header();
        let headers = [("payment-signature", header.as_str())];
        let called = house.post_with(path, body.to_string(), &headers).await;
        called.expect(200);
        assert_eq!(house.books().await.revenue(), 50_000);
    });
}

/// Whoever sees a leave may bring it to the token first: that does what it was meant to do.
#[test]
fn a_leave_that_was_used_already_is_as_good() {
    run(async {
        let house = house(true).await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let mut payment = house.quote(&wallet, 100).await;
        with_leave(&mut payment, &wallet, 0);
        house.chain.use_leave(&payment).await;
        house.pay(&wallet, 100, &payment).await.expect(200);
        assert_eq!(house.received().await, U256::from(1_000_000));
    });
}

#[test]
fn a_leave_that_is_no_good_pays_nothing() {
    run(async {
        let house = house(true).await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let good = house.quote(&wallet, 100).await;
        let failed = "invalid_transaction_state";
        refused(
            house.pay(&wallet, 100, &good).await,
            "permit2_allowance_required",
        );
        let mut of_another_nonce = good.clone();
        with_leave(&mut of_another_nonce, &wallet, 7);
        refused(house.pay(&wallet, 100, &of_another_nonce).await, failed);
        let mut of_another = good.clone();
        with_leave(&mut of_another, &wallet, 0);
        let info = "/eip2612GasSponsoring/info";
        let forged = format!(
            "0x{}",
            hex::encode(Wallet::random().sign_digest([1; 32].into()))
        );
        let extensions = of_another.extensions.as_mut().unwrap();
        extensions.pointer_mut(info).unwrap()["signature"] = json!(forged);
        refused(house.pay(&wallet, 100, &of_another).await, failed);
        let mut of_less = good.clone();
        with_leave(&mut of_less, &wallet, 0);
        let extensions: &mut Value = of_less.extensions.as_mut().unwrap();
        extensions.pointer_mut(info).unwrap()["amount"] = json!("999999");
        let reply = house.pay(&wallet, 100, &of_less).await;
        reply.problem(400, "INVALID_PAYMENT");
        assert!(house.books().await.payments.is_empty());
        assert_eq!(house.received().await, U256::ZERO);
    });
}

#[test]
fn no_leave_is_taken_where_none_is_asked_for() {
    run(async {
        let house = house(false).await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let quote = house.post(PURCHASE, &purchase(&wallet, 100)).await;
        let required = quote.expect(402).payment_required();
        assert_eq!(required.get("extensions"), None);
        let mut payment = Payment::accept(&required["accepts"][0], &wallet);
        with_leave(&mut payment, &wallet, 0);
        refused(
            house.pay(&wallet, 100, &payment).await,
            "permit2_allowance_required",
        );
    });
}

/// The process dies with the settlement in the pool: what is stored is enough.
#[test]
fn a_leave_outlives_the_server() {
    run(async {
        let chain = std::sync::Arc::new(Chain::own().await);
        chain.with_permit2().await;
        let asset = "eip712_version = \"2\"\ntransfer_method = \"permit2\"\ngas_sponsoring = true";
        let setup = Setup::on(chain.clone())
            .with("eip712_version = \"2\"", asset)
            .with("settle_wait_seconds = 20", "settle_wait_seconds = 0");
        let mut house = House::with(setup).await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let mut payment = house.quote(&wallet, 100).await;
        with_leave(&mut payment, &wallet, 0);
        chain.set_automine(false).await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        house.kill_9().await;
        chain.set_automine(true).await.unwrap();
        house.start().await;
        house.becomes(&reply.json["purchase_id"], "credited").await;
        assert_eq!(house.books().await.units(&wallet), 1_000_000);
    });
}
