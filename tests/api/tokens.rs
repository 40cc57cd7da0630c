//! Tokens that break their word, and USDC whose issuer bars an account or stops it. Credits come from
//! the exact transfer that directly follows the use of its authorization, and from nothing else;
//! whatever a token does, others are served, and the relayer's gas is bounded.

use std::sync::Arc;

use alloy::{
    primitives::{Address, U256},
    sol_types::SolCall,
};
use counterfoil::chain::SETTLEMENT_GAS_MAX;

use serde_json::json;

use crate::support::{
    Chain, House, Payment, Proxy, Reply, Request, Setup, Wallet,
    misbehaving::{Misbehaving, Mode},
    run,
    token::settlement,
    until,
};

const FORECAST: &str = "/api/external/tools/weather/actions/forecast/invoke";
const SOON: (&str, &str) = ("settle_wait_seconds = 20", "settle_wait_seconds = 1");
/// A settlement that was mined in vain is tried again so often.
const ATTEMPTS_MAX: usize = 3;

/// A house that takes the token beside USDC.
async fn house_with_token(chain: Arc<Chain>) -> (House, Misbehaving) {
    let token = Misbehaving::deploy(&chain).await;
    let setup = token.sold_on(Setup::on(chain).with(SOON.0, SOON.1));
    (House::with(setup).await, token)
}

async fn own_chain() -> Arc<Chain> {
    Arc::new(Chain::own().await)
}

#[track_caller]
fn refused(reply: Reply, reason: &str) {
    let reply = reply.expect(402);
    let response = reply.payment_response().expect("PAYMENT-RESPONSE");
    assert_eq!(response["errorReason"], reason, "{response}");
}

/// That nobody has credits but for USDC that arrived, and that the house still sells.
async fn sound(house: &House) {
    house.get("/healthz").await.expect(200);
    let before = house.books().await;
    house.rich(100).await;
    let books = house.books().await;
    let wallets = books.accounts.iter();
    let credits = |(name, units): (&String, &i64)| name.starts_with("wallet:").then_some(*units);
    let credits: i64 = wallets.filter_map(credits).sum();
    assert_eq!(U256::from(credits), house.received().await, "{books:#?}");
    assert_eq!(books.cash(), before.cash() + 1_000_000);
}

/// That the relayer's transactions are few and each took a bounded amount of gas.
async fn bounded_gas(house: &House, transactions: usize) {
    let relayed = house.relayed().await;
    assert_eq!(relayed.len(), transactions);
    for relayed in relayed {
        let gas = house.chain.gas_used(relayed.hash).await;
        assert!(gas <= SETTLEMENT_GAS_MAX, "{gas}");
    }
}

#[test]
fn an_honest_token_is_credited_beside_usdc() {
    run(async {
        let (house, token) = house_with_token(Chain::shared().await).await;
        let (wallet, payment) = token.payer(&house, 100).await;
        house.pay(&wallet, 100, &payment).await.expect(200);
        let books = house.settled_books().await;
        assert_eq!(books.units(&wallet), 1_000_000);
        let cash = format!("cash:eip155:84532:{:#x}", token.address);
        assert_eq!(books.accounts[&cash], -1_000_000);
    });
}

#[test]
fn what_a_trial_shows_is_refused_before_anything_is_sent_or_stored() {
    run(async {
        let (house, token) = house_with_token(Chain::shared().await).await;
        for mode in [Mode::Reverts, Mode::RevertsHugely, Mode::BurnsGas] {
            token.behave(&house.chain, mode).await;
            let (wallet, payment) = token.payer(&house, 100).await;
            let reply = house.pay(&wallet, 100, &payment).await;
            refused(reply, "invalid_transaction_state");
            assert!(house.books().await.payments.is_empty(), "{mode:?}");
        }
        bounded_gas(&house, 0).await;
        sound(&house).await;
    });
}

#[test]
fn a_token_that_hides_its_authorizations_is_not_believed() {
    run(async {
        let (house, token) = house_with_token(Chain::shared().await).await;
        for mode in [
            Mode::StateReverts,
            Mode::StateReturnsNothing,
            Mode::StateAlwaysTrue,
        ] {
            token.behave(&house.chain, mode).await;
            let (wallet, payment) = token.payer(&house, 100).await;
            let reply = house.pay(&wallet, 100, &payment).await;
            reply.problem(503, "UNAVAILABLE");
            assert!(house.books().await.payments.is_empty(), "{mode:?}");
        }
        bounded_gas(&house, 0).await;
        sound(&house).await;
    });
}

#[test]
fn a_use_without_the_exact_transfer_behind_it_fails() {
    run(async {
        let (house, token) = house_with_token(Chain::shared().await).await;
        let modes = [
            Mode::UsedWithoutTransfer,
            Mode::TakesFee,
            Mode::OtherRecipient,
            Mode::LogBetween,
        ];
        for mode in modes {
            token.behave(&house.chain, mode).await;
            let (wallet, payment) = token.payer(&house, 100).await;
            for _ in 0..2 {
                let reply = house.pay(&wallet, 100, &payment).await;
                refused(reply, "authorization_spent_elsewhere");
            }
            assert_eq!(house.settled_books().await.units(&wallet), 0, "{mode:?}");
        }
        let failed = house.books().await.payments("purchase failed");
        assert_eq!(failed, i64::try_from(modes.len()).unwrap());
        bounded_gas(&house, modes.len()).await;
        sound(&house).await;
    });
}

#[test]
fn a_transfer_without_a_use_credits_nobody() {
    run(async {
        let chain = own_chain().await;
        let proxy = Proxy::start(&chain).await;
        let token = Misbehaving::deploy(&chain).await;
        let setup = Setup::on(chain.clone()).with(SOON.0, SOON.1);
        let setup = setup.with(chain.rpc_url().as_str(), &proxy.url);
        let house = House::with(token.sold_on(setup)).await;
        token.behave(&chain, Mode::TransferWithoutUsed).await;
        let (wallet, payment) = token.payer(&house, 100).await;
        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        // The token says that it is used up, and no log says how. It may be money, so it is looked for
        // again and again, also when its time is over.
        chain.increase_time(400).await.unwrap();
        let searches = proxy.count("eth_getLogs");
        until("not searched for", async || {
            proxy.count("eth_getLogs") > searches + 2
        })
        .await;
        let status = house.status(&reply.json["purchase_id"]).await;
        assert_eq!(status["status"], "broadcast", "{status}");
        assert_eq!(house.books().await.units(&wallet), 0);
        bounded_gas(&house, 1).await;
    });
}

#[test]
fn what_is_mined_in_vain_is_given_up_after_a_few_attempts() {
    run(async {
        for mode in [
            Mode::Idle,
            Mode::ReturnsFalse,
            Mode::IdleWhenMined,
            Mode::RevertsWhenMined,
            Mode::BurnsGasWhenMined,
        ] {
            let (house, token) = house_with_token(own_chain().await).await;
            token.behave(&house.chain, mode).await;
            let (wallet, payment) = token.payer(&house, 100).await;
            let reply = house.pay(&wallet, 100, &payment).await.expect(202);
            until("not tried again", async || {
                house.relayed().await.len() == ATTEMPTS_MAX && house.open_relayed().await == 0
            })
            .await;
            sound_but_one(&house).await;
            house.chain.increase_time(400).await.unwrap();
            let id = &reply.json["purchase_id"];
            house.becomes(id, "expired").await;
            assert_eq!(house.books().await.units(&wallet), 0, "{mode:?}");
            // And one for the dollars of `sound_but_one`.
            bounded_gas(&house, ATTEMPTS_MAX + 1).await;
        }
    });
}

/// As [`sound`], while another payment is open.
async fn sound_but_one(house: &House) {
    sound(house).await;
    assert_eq!(house.books().await.open_payments(), 1);
}

#[test]
fn a_token_that_settles_another_payment_within_this_one_gets_that_one_credited_alone() {
    run(async {
        let (house, token) = house_with_token(Chain::shared().await).await;
        let dollars = Wallet::random();
        house.chain_dollars(&dollars, 200).await;
        let other = house.quote(&dollars, 200).await;
        token
            .plan(
                &house.chain,
                usdc(&other),
                settlement(&other).abi_encode().into(),
            )
            .await;
        token.behave(&house.chain, Mode::CallsBack).await;
        let (wallet, payment) = token.payer(&house, 100).await;
        // Between the use and the transfer stand the logs of the other payment.
        let reply = house.pay(&wallet, 100, &payment).await;
        refused(reply, "authorization_spent_elsewhere");
        house.pay(&dollars, 200, &other).await.expect(200);
        let books = house.settled_books().await;
        assert_eq!(books.units(&wallet), 0);
        assert_eq!(books.units(&dollars), 2_000_000);
        sound(&house).await;
    });
}

#[test]
fn a_token_that_calls_itself_pays_for_one_authorization_only() {
    run(async {
        let (house, token) = house_with_token(Chain::shared().await).await;
        // Two payments of the same amount by the same payer: one transfer cannot stand for both.
        let (wallet, outer) = token.payer(&house, 100).await;
        let inner = twin(&outer, &wallet);
        let call = settlement(&inner).abi_encode().into();
        token.plan(&house.chain, token.address, call).await;
        token.behave(&house.chain, Mode::CallsBack).await;
        let dear = U256::from(2_000_000);
        token.mint(&house.chain, &wallet, 100).await;
        assert_eq!(token.balance_of(&house.chain, wallet.address()).await, dear);

        let reply = house.pay(&wallet, 100, &outer).await;
        refused(reply, "authorization_spent_elsewhere");
        house.pay(&wallet, 100, &inner).await.expect(200);
        assert_eq!(house.settled_books().await.units(&wallet), 1_000_000);
        bounded_gas(&house, 1).await;
    });
}

#[test]
fn a_token_that_forgets_what_was_used_is_credited_once() {
    run(async {
        let (mut house, token) = house_with_token(Chain::shared().await).await;
        token.behave(&house.chain, Mode::Forgets).await;
        let (wallet, payment) = token.payer(&house, 100).await;
        let first = house.pay(&wallet, 100, &payment).await.expect(200);
        house.restart().await;
        let again = house.pay(&wallet, 100, &payment).await.expect(200);
        assert_eq!(first.json["transaction"], again.json["transaction"]);
        assert_eq!(house.settled_books().await.units(&wallet), 1_000_000);
        let received = token.balance_of(&house.chain, house.pay_to).await;
        assert_eq!(received, U256::from(1_000_000));
        bounded_gas(&house, 1).await;
    });
}

#[test]
fn a_call_whose_payment_arrives_short_gives_no_output() {
    run(async {
        let (house, token) = house_with_token(Chain::shared().await).await;
        let parameters = json!({ "place": "Bern" });
        let pay = async || {
            let wallet = Wallet::random();
            token.mint(&house.chain, &wallet, 5).await;
            let quote = house.post(FORECAST, &parameters).await.expect(402);
            let payment = token.accept(&quote, &wallet);
            let call = Request::direct(FORECAST, &parameters, &payment);
            (wallet, house.send(&call).await)
        };
        for mode in [Mode::TakesFee, Mode::UsedWithoutTransfer] {
            token.behave(&house.chain, mode).await;
            let (wallet, reply) = pay().await;
            assert!(!reply.text().contains("Bern"), "{}", reply.text());
            refused(reply, "authorization_spent_elsewhere");
            assert_eq!(house.settled_books().await.units(&wallet), 0);
        }
        let books = house.books().await;
        assert_eq!((books.revenue(), books.payments("direct failed")), (0, 2));
        token.behave(&house.chain, Mode::Honest).await;
        let (_, reply) = pay().await;
        reply.expect(200);
        assert_eq!(house.settled_books().await.revenue(), 50_000);
    });
}

#[test]
fn a_payer_whom_the_issuer_bars_pays_nothing() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let payment = house.quote(&wallet, 100).await;
        house.chain.blacklist(wallet.address(), true).await;
        let reply = house.pay(&wallet, 100, &payment).await;
        refused(reply, "invalid_transaction_state");
        assert!(house.books().await.payments.is_empty());
        house.chain.blacklist(wallet.address(), false).await;
        house.pay(&wallet, 100, &payment).await.expect(200);
        sound(&house).await;
    });
}

#[test]
fn a_house_whose_treasury_the_issuer_bars_takes_no_payment() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let payment = house.quote(&wallet, 100).await;
        house.chain.blacklist(house.pay_to, true).await;
        let reply = house.pay(&wallet, 100, &payment).await;
        refused(reply, "invalid_transaction_state");
        assert!(house.books().await.payments.is_empty());
        house.chain.blacklist(house.pay_to, false).await;
        house.pay(&wallet, 100, &payment).await.expect(200);
        sound(&house).await;
    });
}

/// Stops a payment that is on its way, before its transaction is mined. What the service says then.
async fn stopped_on_the_way(
    stop: impl AsyncFn(&House, &Wallet),
) -> (House, Wallet, Payment, Reply) {
    let house = House::with(Setup::on(own_chain().await).with(SOON.0, SOON.1)).await;
    let wallet = Wallet::random();
    house.chain_dollars(&wallet, 100).await;
    let payment = house.quote(&wallet, 100).await;
    house.chain.set_automine(false).await.unwrap();
    let reply = house.pay(&wallet, 100, &payment).await.expect(202);
    stop(&house, &wallet).await;
    house.chain.mine(1).await.unwrap();
    let ours = house.relayed().await[0].hash;
    assert_eq!(house.chain.succeeded(ours).await, Some(false));
    house.chain.set_automine(true).await.unwrap();
    house.pay(&wallet, 100, &payment).await.expect(202);
    (house, wallet, payment, reply)
}

#[test]
fn a_payer_who_is_barred_on_the_way_runs_out() {
    run(async {
        let bar = async |house: &House, wallet: &Wallet| {
            house.chain.blacklist(wallet.address(), true).await;
        };
        let (house, wallet, payment, reply) = stopped_on_the_way(bar).await;
        sound_but_one(&house).await;
        house.chain.increase_time(400).await.unwrap();
        let status = house.becomes(&reply.json["purchase_id"], "expired").await;
        assert_eq!(
            status["reason"],
            "invalid_exact_evm_payload_authorization_valid_before"
        );
        house.pay(&wallet, 100, &payment).await.expect(402);
        let left = house.chain.balance_of(wallet.address()).await.unwrap();
        assert_eq!(left, payment.amount());
        // The one that failed, and that of the other payment.
        bounded_gas(&house, 2).await;
    });
}

#[test]
fn a_payment_on_its_way_when_usdc_stops_is_credited_when_it_goes_on() {
    run(async {
        let stop = async |house: &House, _: &Wallet| {
            house.chain.pause(true).await;
        };
        let (house, wallet, _, reply) = stopped_on_the_way(stop).await;
        // New ones are refused meanwhile, and whoever has credits is served.
        let other = Wallet::random();
        let required = house.quote(&other, 100).await;
        house.pay(&other, 100, &required).await.expect(402);
        house.get("/readyz").await.expect(200);
        house.chain.pause(false).await;
        house.becomes(&reply.json["purchase_id"], "credited").await;
        assert_eq!(house.settled_books().await.units(&wallet), 1_000_000);
        bounded_gas(&house, 2).await;
        sound(&house).await;
    });
}

/// A second payment by the same payer, with a nonce of its own.
fn twin(payment: &Payment, wallet: &Wallet) -> Payment {
    Payment::accept(&payment.accepted, wallet)
}

fn usdc(payment: &Payment) -> Address {
    payment.accepted["asset"].as_str().unwrap().parse().unwrap()
}
