//! What a payer can cost the relayer: settlements that looked good and fail in their block.

use std::sync::Arc;

use alloy::primitives::{Address, U256, hex};
use serde_json::json;

use crate::support::{
    Chain, ContractWallet, Fault, House, Payment, Proxy, Setup, Temper, Wallet,
    client::{PURCHASE, purchase},
    run, until,
};

const FORECAST: &str = "/api/external/tools/weather/actions/forecast/invoke";
const SOON: (&str, &str) = ("settle_wait_seconds = 20", "settle_wait_seconds = 1");

/// Takes every signature (ERC-1271) as long as nobody pays for gas.
const FICKLE: [u8; 19] = hex!("3a15631626ba7e60e01b0260005260206000f3");

async fn own_house(confirmations: u64) -> House {
    let depth = format!("confirmations = {confirmations}");
    let setup = Setup::on(Arc::new(Chain::own().await)).with(SOON.0, SOON.1);
    House::with(setup.with("confirmations = 1", &depth)).await
}

async fn payer(house: &House, credits: u64) -> Wallet {
    let wallet = Wallet::random();
    house.chain_dollars(&wallet, credits).await;
    wallet
}

async fn set_code(house: &House, account: Address, code: &[u8]) {
    let code = format!("0x{}", hex::encode(code));
    let set = house
        .chain
        .rpc::<()>("anvil_setCode", json!([account, code]));
    set.await.unwrap();
}

async fn error_of(house: &House, wallet: &Wallet, payment: &Payment) -> String {
    let reply = house.pay(wallet, 100, payment).await;
    reply.json["error"].as_str().unwrap_or_default().to_owned()
}

/// Its key signs, and the token asks its code (EIP-7702).
#[test]
fn an_account_that_delegated_to_code_pays_one_at_a_time_until_it_fails() {
    run(async {
        let house = own_house(1).await;
        let wallet = payer(&house, 300).await;
        let code = Address::repeat_byte(0xc0);
        set_code(&house, code, &FICKLE).await;
        let delegation = [&hex!("ef0100")[..], code.as_slice()].concat();
        set_code(&house, wallet.address(), &delegation).await;
        let (first, second) = (
            house.quote(&wallet, 100).await,
            house.quote(&wallet, 100).await,
        );
        house.chain.set_automine(false).await.unwrap();
        house.pay(&wallet, 100, &first).await.expect(202);
        let error = error_of(&house, &wallet, &second).await;
        assert_eq!(error, "payer_has_an_unsettled_call");
        house.chain.mine(1).await.unwrap();
        house.chain.set_automine(true).await.unwrap();
        let ours = house.relayed().await[0].hash;
        assert_eq!(house.chain.succeeded(ours).await, Some(false));
        until("the failure is not seen", async || {
            error_of(&house, &wallet, &second).await == "payer_barred"
        })
        .await;
        assert_eq!(house.relayed().await.len(), 1);
        assert_eq!(house.received().await, U256::ZERO);
    });
}

#[test]
fn a_key_that_made_three_settlements_fail_waits_a_day() {
    run(async {
        let house = own_house(1).await;
        let wallet = payer(&house, 300).await;
        house.chain.set_automine(false).await.unwrap();
        for _ in 0..3 {
            let payment = house.quote(&wallet, 100).await;
            house.pay(&wallet, 100, &payment).await.expect(202);
        }
        let away = U256::from(3_000_000);
        house.chain.move_away(&wallet, away).await;
        house.chain.mine(1).await.unwrap();
        for ours in house.relayed().await {
            assert_eq!(house.chain.succeeded(ours.hash).await, Some(false));
        }
        house.chain.set_automine(true).await.unwrap();
        // A purchase that is refused meanwhile is not taken up again behind the bar either.
        let another = house.quote(&wallet, 100).await;
        until("the failures are not seen", async || {
            let error = error_of(&house, &wallet, &another).await;
            error.starts_with("payer_barred: three settlements")
        })
        .await;
        house.chain_dollars(&wallet, 500).await;
        let reply = house.pay(&wallet, 100, &another).await.expect(402);
        assert_eq!(
            reply.payment_response().unwrap()["errorReason"],
            "payer_barred"
        );
        let body = json!({ "place": "Bern" });
        let direct = Payment::of(&house.post(FORECAST, &body).await.expect(402), &wallet);
        let header = direct.header();
        let headers = [("payment-signature", header.as_str())];
        let reply = house.post_with(FORECAST, body.to_string(), &headers).await;
        let error = reply.expect(402).json["error"].clone();
        assert!(
            error.as_str().unwrap().contains("it may pay again"),
            "{error}"
        );
        assert_eq!(house.relayed().await.len(), 3);
        assert_eq!(house.received().await, U256::ZERO);

        // Nobody else is concerned.
        let other = payer(&house, 100).await;
        let payment = house.quote(&other, 100).await;
        house.pay(&other, 100, &payment).await.expect(200);
    });
}

#[test]
fn the_same_money_is_promised_once() {
    run(async {
        let house = own_house(1).await;
        let wallet = payer(&house, 150).await;
        house.chain.set_automine(false).await.unwrap();
        let [first, second] = [
            house.quote(&wallet, 100).await,
            house.quote(&wallet, 100).await,
        ];
        let first = house.pay(&wallet, 100, &first).await.expect(202);
        let error = error_of(&house, &wallet, &second).await;
        assert_eq!(error, "insufficient_funds");
        house.chain.set_automine(true).await.unwrap();
        house.chain.mine(1).await.unwrap();
        house.becomes(&first.json["purchase_id"], "credited").await;
        house.chain_dollars(&wallet, 50).await;
        house.pay(&wallet, 100, &second).await.expect(200);
        assert_eq!(house.received().await, U256::from(2_000_000));
    });
}

/// Also while the first is mined and not deep enough yet: then the balance is without it.
#[test]
fn money_for_two_buys_twice_at_once() {
    run(async {
        let house = own_house(3).await;
        let wallet = payer(&house, 200).await;
        let first = house.quote(&wallet, 100).await;
        let first = house.pay(&wallet, 100, &first).await.expect(202);
        until("it is not mined", async || {
            house.received().await == U256::from(1_000_000)
        })
        .await;
        let second = house.quote(&wallet, 100).await;
        let second = house.pay(&wallet, 100, &second).await.expect(202);
        house.chain.mine(4).await.unwrap();
        until("it is not mined", async || {
            house.received().await == U256::from(2_000_000)
        })
        .await;
        house.chain.mine(4).await.unwrap();
        for reply in [first, second] {
            house.becomes(&reply.json["purchase_id"], "credited").await;
        }
    });
}

#[test]
fn a_contract_that_pays_many_times_at_once_has_one_payment_open() {
    run(async {
        let house = own_house(1).await;
        let wallet = ContractWallet::deployed(&house.chain).await;
        let amount = U256::from(8_000_000);
        house.chain.mint(wallet.address, amount).await;
        let body = json!({ "wallet_address": wallet.name(), "credits": 100 });
        let quote = house.post(PURCHASE, &body).await.expect(402);
        house.chain.set_automine(false).await.unwrap();
        let signed = || {
            let mut payment = Payment::of(&quote, &wallet.owner);
            wallet.adopt(&mut payment, Temper::Honest);
            payment
        };
        let [a, b, c, d] = [signed(), signed(), signed(), signed()];
        let pay = |payment| house.pay_for(&body, payment);
        let (a, b, c, d) = tokio::join!(pay(&a), pay(&b), pay(&c), pay(&d));
        let replies = [a, b, c, d];
        let taken = replies.iter().filter(|reply| reply.status == 202).count();
        assert_eq!(taken, 1);
        assert_eq!(house.books().await.open_payments(), 1);
        assert_eq!(house.relayed().await.len(), 1);
    });
}

/// What a question to a wallet's code costs is its sender's, whatever becomes of the question.
#[test]
fn code_that_breaks_off_and_nodes_that_fall_silent_count_against_the_sender() {
    run(async {
        let chain = Chain::shared().await;
        let proxy = Proxy::start(&chain).await;
        let setup = Setup::on(Arc::clone(&chain)).with(chain.rpc_url().as_str(), &proxy.url);
        let setup = setup.with(
            "failed_signatures_per_minute = 300",
            "failed_signatures_per_minute = 2",
        );
        let house = House::with(setup).await;
        let wallet = Wallet::random();
        let mut payment = house.quote(&wallet, 100).await;
        payment.signature = vec![7; 66];
        set_code(&house, wallet.address(), &[0xfe]).await;
        let before = proxy.count("eth_call");
        let body = purchase(&wallet, 100);
        let reply = house.pay_for(&body, &payment).await.expect(402);
        assert_eq!(reply.json["error"], "invalid_exact_evm_payload_signature");
        assert_eq!(proxy.count("eth_call") - before, 1);
        proxy.fail("eth_call", Fault::Lost);
        let reply = house.pay_for(&body, &payment).await;
        reply.problem(503, "UNAVAILABLE");
        let reply = house.pay_for(&body, &payment).await;
        reply.problem(429, "RATE_LIMITED");
    });
}
