//! The service is killed at random moments and started again, and nothing is lost or gained.
//!
//! `COUNTERFOIL_CRASH_SEED` repeats the moments of an earlier run as far as threads allow, and
//! `COUNTERFOIL_CRASH_ROUNDS` makes it many more.

#![expect(clippy::print_stdout, reason = "a seed is worth nothing untold")]

use std::{collections::BTreeMap, time::Duration};

use alloy::primitives::U256;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use crate::support::{
    Call, Chain, Fault, House, Payment, Proxy, Reply, Request, Sender, Setup, Wallet, run,
};

const ROUNDS: usize = 6;
const NODE_ANSWERS: Fault = Fault::Slow(Duration::from_millis(5));
const NAP: &str = "/api/external/tools/weather/actions/nap/invoke";
const FIRST: &str = "/api/external/tools/weather/actions/first/invoke";

/// Actions that take their time, so that a kill finds them running. The payment of one settles
/// before it runs.
const NAPS: (&str, &str) = (
    "[[tool]]\nslug = \"echo\"",
    r#"[[tool.action]]
slug = "nap"
path = "/nap"
price_credits = "3"

[[tool.action]]
slug = "first"
path = "/nap"
price_credits = "4"
settle_first = true

[[tool]]
slug = "echo""#,
);

#[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(format!("COUNTERFOIL_CRASH_{name}")).ok()?;
    Some(text.parse().expect("a number"))
}

pub(crate) fn dice(test: &str) -> StdRng {
    let seed = variable("SEED").unwrap_or_else(|| rand::rng().random_range(0..1 << 32));
    println!("{test}: COUNTERFOIL_CRASH_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

pub(crate) fn rounds() -> usize {
    variable("ROUNDS").map_or(ROUNDS, |rounds| usize::try_from(rounds).unwrap())
}

/// Ends the service after a random time, and starts it again, sometimes only at the second try.
pub(crate) async fn crash(house: &mut House, dice: &mut StdRng, within_ms: u64) {
    tokio::time::sleep(Duration::from_millis(dice.random_range(0..within_ms))).await;
    house.kill_9().await;
    if dice.random_ratio(1, 3) {
        let after = Duration::from_millis(dice.random_range(0..150));
        house.start_and_kill(after).await;
    }
    house.start().await;
}

/// A house that sees the node over a slow line, so that a kill finds payments at every step.
async fn slow_house() -> (House, Proxy) {
    let chain = Chain::shared().await;
    let proxy = Proxy::start(&chain).await;
    proxy.fail("*", NODE_ANSWERS);
    let setup = Setup::on(chain.clone()).with(NAPS.0, NAPS.1);
    let setup = setup.with(chain.rpc_url().as_str(), &proxy.url);
    (House::with(setup).await, proxy)
}

/// Makes a node that takes transactions lie about it, or not take them, or behave.
fn throw(proxy: &Proxy, dice: &mut StdRng) {
    proxy.mend();
    proxy.fail("*", NODE_ANSWERS);
    match dice.random_range(0..4) {
        0 => proxy.fail("eth_sendRawTransaction", Fault::Lost),
        1 => proxy.fail("eth_sendRawTransaction", Fault::Unheard),
        _ => {}
    }
}

/// Sends one request after another until the server is gone, and notes what became of each.
async fn storm(sender: Sender, requests: Vec<Request>) -> Vec<(Request, Option<Reply>)> {
    let mut sent = Vec::new();
    for request in requests {
        let reply = sender.send(&request).await;
        let gone = reply.is_none();
        sent.push((request, reply));
        if gone {
            break;
        }
    }
    sent
}

/// One wallet that spends, and what it must have in the end.
struct Spender {
    wallet: Wallet,
    session: String,
    calls: usize,
    units: i64,
}

impl Spender {
    /// Calls of tools outside, and of one that is answered in the process.
    fn requests(&mut self, count: usize) -> Vec<Request> {
        let mut requests = Vec::with_capacity(count);
        for _ in 0..count {
            self.calls += 1;
            let id = format!("call-{}", self.calls);
            let of = |product, action| Call::of(&self.wallet, &self.session, &id, product, action);
            let call = match self.calls % 3 {
                0 => Call::forecast(&self.wallet, &self.session, &id),
                1 => of("weather", "nap"),
                _ => of("echo", "say"),
            };
            requests.push(Request::signed(&call));
        }
        requests
    }
}

#[test]
fn spends_survive_kills() {
    run(async {
        let mut dice = dice("spends_survive_kills");
        let mut house = House::with(Setup::default().with(NAPS.0, NAPS.1)).await;
        let mut spenders = Vec::new();
        for _ in 0..4 {
            let wallet = house.rich(10_000).await;
            let session = house.session(&wallet).await;
            spenders.push(Spender {
                wallet,
                session,
                calls: 0,
                units: 100_000_000,
            });
        }
        let mut captured = 0;
        for _ in 0..rounds() {
            let mut storms = Vec::new();
            for (index, spender) in spenders.iter_mut().enumerate() {
                for _ in 0..3 {
                    let storm = storm(house.sender(), spender.requests(60));
                    storms.push((index, tokio::spawn(storm)));
                }
            }
            crash(&mut house, &mut dice, 300).await;
            house.books().await.nothing_held();
            for (index, storm) in storms {
                for (request, reply) in storm.await.unwrap() {
                    let units = stands(&house, &request, reply).await;
                    captured += i64::from(units > 0);
                    spenders[index].units -= units;
                }
            }
            let books = house.books().await;
            books.nothing_held();
            assert_eq!(books.charges("captured"), captured);
            for spender in &spenders {
                assert_eq!(books.units(&spender.wallet), spender.units);
            }
        }
        let doubled: BTreeMap<_, _> = house.tools.by_key().into_iter().collect();
        assert!(doubled.values().all(|times| *times == 1), "{doubled:?}");
        println!("{:?}", house.books().await.charges);
    });
}

/// That what a client was told still stands, and that the same bytes have one outcome: the units
/// that it costs.
async fn stands(house: &House, request: &Request, before: Option<Reply>) -> i64 {
    let known = before.is_some();
    let first = house.send(request).await;
    if let Some(before) = before {
        let before = before.expect(200);
        assert_eq!(first.status, 200, "{}", first.text());
        assert_eq!(first.text(), before.text());
    }
    let again = house.send(request).await;
    if first.status == 503 {
        assert_eq!(first.json["charge_status"], "voided", "{}", first.text());
        assert_eq!(again.text(), first.text());
        return 0;
    }
    let first = first.expect(200);
    let again = again.expect(200);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.text(), first.text());
    assert!(!known || first.header("idempotent-replayed") == Some("true"));
    units(&first.json["charged_credits"])
}

/// Credits with four decimals at most, as units.
fn units(credits: &Value) -> i64 {
    let text = credits.to_string();
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}{part:0<4}").parse().unwrap()
}

#[test]
fn purchases_survive_kills() {
    run(async {
        let mut dice = dice("purchases_survive_kills");
        let (mut house, proxy) = slow_house().await;
        let mut bought = BTreeMap::new();
        for _ in 0..rounds() {
            let mut requests = Vec::new();
            for _ in 0..5 {
                let wallet = Wallet::random();
                house.chain_dollars(&wallet, 400).await;
                for credits in [100, 300] {
                    let payment = house.quote(&wallet, credits).await;
                    requests.push(Request::purchase(&wallet, credits, &payment));
                }
                bought.insert(wallet.name(), wallet);
            }
            let mut told: Vec<Option<Reply>> = vec![None; requests.len()];
            for _ in 0..2 {
                throw(&proxy, &mut dice);
                let sender = house.sender();
                let sent = requests.clone();
                let sent = tokio::spawn(async move { sender.send_all(&sent).await });
                crash(&mut house, &mut dice, 500).await;
                for (told, now) in told.iter_mut().zip(sent.await.unwrap()) {
                    remember(told, now);
                }
            }
            proxy.mend();
            for (request, told) in requests.iter().zip(&mut told) {
                let reply = house.outcome(request).await.expect(200);
                assert_eq!(reply.json["status"], "credited");
                remember(told, Some(reply));
            }
            all_credited(&house, &bought).await;
        }
        println!("{:?}", house.books().await.payments);
    });
}

/// Notes an answer, which must agree with the one before.
pub(crate) fn remember(told: &mut Option<Reply>, now: Option<Reply>) {
    let Some(now) = now else { return };
    // A start may still be under way, and a node busy; but an authorization that may have been
    // broadcast is never asked for again.
    assert!(
        matches!(now.status, 200 | 202 | 503),
        "{} {}",
        now.status,
        now.text()
    );
    if now.status == 503 {
        return;
    }
    if let Some(before) = told.as_ref() {
        assert_eq!(before.json["purchase_id"], now.json["purchase_id"]);
        if before.status == 200 {
            assert_eq!(now.status, 200, "{}", now.text());
            assert_eq!(before.json["transaction"], now.json["transaction"]);
        }
    }
    *told = Some(now);
}

/// That each wallet has what it paid for, and the books what arrived.
pub(crate) async fn all_credited(house: &House, bought: &BTreeMap<String, Wallet>) {
    let books = house.settled_books().await;
    for wallet in bought.values() {
        assert_eq!(books.units(wallet), 4_000_000);
        let left = house.chain.balance_of(wallet.address()).await.unwrap();
        assert_eq!(left, U256::ZERO);
    }
    let purchases = i64::try_from(bought.len() * 2).unwrap();
    assert_eq!(books.payments("purchase credited"), purchases);
    assert_eq!(U256::from(books.cash()), house.received().await);
}

#[test]
fn direct_calls_survive_kills() {
    run(async {
        let mut dice = dice("direct_calls_survive_kills");
        let (mut house, proxy) = slow_house().await;
        let mut payers = Vec::new();
        for _ in 0..rounds() {
            let mut calls = Vec::new();
            for number in 0..12 {
                calls.push(DirectCall::new(&house, number).await);
            }
            let mut told: Vec<Option<Reply>> = vec![None; calls.len()];
            for _ in 0..2 {
                throw(&proxy, &mut dice);
                let sender = house.sender();
                let sent: Vec<_> = calls.iter().map(|call| call.request.clone()).collect();
                let sent = tokio::spawn(async move { sender.send_all(&sent).await });
                crash(&mut house, &mut dice, 400).await;
                for ((call, told), now) in calls.iter().zip(&mut told).zip(sent.await.unwrap()) {
                    call.judge(told, now);
                }
            }
            proxy.mend();
            house.settled_books().await;
            for (call, told) in calls.iter().zip(&mut told) {
                let reply = house.outcome(&call.request).await;
                call.judge(told, Some(reply));
            }
            payers.extend(calls);
            paid_or_not(&house, &payers).await;
        }
        println!("{:?}", house.books().await.payments);
    });
}

/// A call with its payment.
struct DirectCall {
    wallet: Wallet,
    price: i64,
    identified: bool,
    request: Request,
}

impl DirectCall {
    async fn new(house: &House, number: usize) -> Self {
        let (path, price) = match number % 2 {
            0 => (NAP, 30_000),
            _ => (FIRST, 40_000),
        };
        let identified = number % 4 < 2;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 5).await;
        let parameters = json!({ "place": "Bern" });
        let quote = house.post(path, &parameters).await.expect(402);
        let mut payment = Payment::of(&quote, &wallet);
        if identified {
            payment.identify(&format!("payment-of-{}", wallet.name()));
        }
        let request = Request::direct(path, &parameters, &payment);
        Self {
            wallet,
            price,
            identified,
            request,
        }
    }

    /// That an answer agrees with the one before.
    fn judge(&self, told: &mut Option<Reply>, now: Option<Reply>) {
        let Some(now) = now else { return };
        match now.status {
            200 | 202 | 503 => {}
            // Broken off, still running, or a repeat without an identifier.
            409 => assert!(now.json["charge_id"].is_string(), "{}", now.text()),
            _ => panic!("{} {}", now.status, now.text()),
        }
        if let Some(before) = told.as_ref().filter(|before| before.status == 200) {
            if self.identified {
                assert_eq!(now.text(), before.text());
                assert_eq!(now.header("idempotent-replayed"), Some("true"));
            } else {
                assert_eq!(now.status, 409, "{}", now.text());
            }
            return;
        }
        *told = Some(now);
    }
}

/// That each payer paid its price or nothing, that who paid had a result or has credits, and that
/// the books have what arrived.
async fn paid_or_not(house: &House, calls: &[DirectCall]) {
    let books = house.settled_books().await;
    let received = house.received().await;
    assert_eq!(U256::from(books.cash()), received, "{books:#?}");
    let mut credits = 0;
    let mut paid = 0;
    for call in calls {
        let left = house.chain.balance_of(call.wallet.address()).await.unwrap();
        let spent = 50_000 - i64::try_from(left).unwrap();
        assert!(spent == 0 || spent == call.price, "{spent}");
        let units = books.units(&call.wallet);
        assert!(units == 0 || units == spent, "{units} of {spent}");
        credits += units;
        paid += spent;
    }
    assert_eq!(U256::from(paid), received);
    assert_eq!(books.revenue(), paid - credits);
}
