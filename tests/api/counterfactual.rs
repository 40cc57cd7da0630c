//! Wallets that are made in the transaction that they pay in (ERC-6492), by the real Multicall3.

use alloy::primitives::U256;
use serde_json::{Value, json};

use crate::support::{
    Chain, ContractWallet, Fault, House, Payment, Proxy, Reply, Setup, Temper, client::PURCHASE,
    run,
};

const INVALID: &str = "invalid_exact_evm_payload_signature";

/// A wallet that is not there, and a house that lets its factory be called, or not.
async fn stranger(setup: Setup, allowed: bool) -> (House, ContractWallet) {
    let chain = Chain::shared().await;
    chain.with_multicall3().await;
    let wallet = ContractWallet::counterfactual(&chain).await;
    chain.mint(wallet.address, U256::from(3_000_000)).await;
    let setup = if allowed {
        let factories = format!(
            "confirmations = 1\nerc6492_factories = [\"{:#x}\"]",
            wallet.factory
        );
        setup.with("confirmations = 1", &factories)
    } else {
        setup
    };
    (House::with(setup).await, wallet)
}

fn body(wallet: &ContractWallet) -> Value {
    json!({ "wallet_address": wallet.name(), "credits": 100 })
}

async fn payment(house: &House, wallet: &ContractWallet, temper: Temper) -> Payment {
    let quote = house.post(PURCHASE, &body(wallet)).await.expect(402);
    let mut payment = Payment::of(&quote, &wallet.owner);
    wallet.adopt(&mut payment, temper);
    payment.signature = wallet.wrap(&payment.signature);
    payment
}

#[track_caller]
fn refused(reply: Reply, reason: &str) {
    let reply = reply.expect(402);
    assert_eq!(reply.json["error"], reason);
}

#[test]
fn a_wallet_is_made_as_it_pays_and_pays_again() {
    run(async {
        let (house, wallet) = stranger(Setup::default(), true).await;
        let first = payment(&house, &wallet, Temper::Honest).await;
        assert!(!wallet.is_deployed(&house.chain).await);
        let bought = house.pay_for(&body(&wallet), &first).await.expect(200);
        assert!(wallet.is_deployed(&house.chain).await);
        assert_eq!(bought.payment_response().unwrap()["payer"], wallet.name());
        // It may go on wrapping its signatures, and stop to.
        let second = payment(&house, &wallet, Temper::Honest).await;
        house.pay_for(&body(&wallet), &second).await.expect(200);
        let mut third = payment(&house, &wallet, Temper::Honest).await;
        wallet.adopt(&mut third, Temper::Honest);
        house.pay_for(&body(&wallet), &third).await.expect(200);
        assert_eq!(house.received().await, U256::from(3_000_000));
        let books = house.books().await;
        assert_eq!(
            (books.payments("purchase credited"), books.cash()),
            (3, 3_000_000)
        );
    });
}

/// Somebody else makes the wallet after its signature was looked at, or settles the whole payment.
#[test]
fn a_wallet_that_was_made_meanwhile_pays_all_the_same() {
    run(async {
        let (house, wallet) = stranger(Setup::default(), true).await;
        let wrapped = payment(&house, &wallet, Temper::Honest).await;
        wallet.deploy(&house.chain).await;
        house.pay_for(&body(&wallet), &wrapped).await.expect(200);
        assert_eq!(house.received().await, U256::from(1_000_000));
    });
}

#[test]
fn a_factory_that_nobody_named_is_not_called() {
    run(async {
        let (house, wallet) = stranger(Setup::default(), false).await;
        let wrapped = payment(&house, &wallet, Temper::Honest).await;
        refused(house.pay_for(&body(&wallet), &wrapped).await, INVALID);
        assert!(!wallet.is_deployed(&house.chain).await);
        assert!(house.books().await.payments.is_empty());
        // A wallet that is there needs no factory.
        wallet.deploy(&house.chain).await;
        house.pay_for(&body(&wallet), &wrapped).await.expect(200);
    });
}

#[test]
fn what_the_owner_did_not_sign_makes_no_wallet() {
    run(async {
        let (house, wallet) = stranger(Setup::default(), true).await;
        let other = ContractWallet::counterfactual(&house.chain).await;
        let good = payment(&house, &wallet, Temper::Honest).await;
        let mut of_another = good.clone();
        let digest = of_another.digest();
        of_another.signature = wallet.wrap(&other.sign_digest(Temper::Honest, digest));
        let mut cut = good.clone();
        cut.signature.drain(..32);
        let greedy = payment(&house, &wallet, Temper::Greedy).await;
        for wrong in [of_another, cut, greedy] {
            refused(house.pay_for(&body(&wallet), &wrong).await, INVALID);
        }
        assert!(!wallet.is_deployed(&house.chain).await);
        assert!(house.books().await.payments.is_empty());
    });
}

/// One transaction makes the wallet and pays: a lost answer to it is as with any other.
#[test]
fn a_broadcast_that_nobody_heard_of_is_found() {
    run(async {
        let chain = Chain::shared().await;
        let proxy = Proxy::start(&chain).await;
        let setup = Setup::on(chain.clone()).with(chain.rpc_url().as_str(), &proxy.url);
        let (house, wallet) = stranger(setup, true).await;
        let wrapped = payment(&house, &wallet, Temper::Honest).await;
        proxy.fail("eth_sendRawTransaction", Fault::Unheard);
        house.pay_for(&body(&wallet), &wrapped).await.expect(200);
        assert!(wallet.is_deployed(&house.chain).await);
        assert_eq!(house.received().await, U256::from(1_000_000));
    });
}
