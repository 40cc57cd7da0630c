//! Settlement by others, who may say what they like: the chain alone is believed.

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

use alloy::primitives::{B256, U256};
use serde_json::{Value, json};

use crate::support::{
    Chain, Does, Facilitator, House, Payment, Request, Says, Setup, Wallet, books, run, until,
};

const SECRET: &str = "Bearer hush-0123456789";
const USUAL: &str = "facilitator = \"local\"\nrelayer_key_file";
const PATIENT: &str = "settle_wait_seconds = 20";
/// Sends away whoever pays, at once.
const IMPATIENT: &str = "settle_wait_seconds = 0";

/// A setup in which others settle, and no relayer.
fn by(chain: &Arc<Chain>, facilitators: &str) -> Setup {
    let line = format!("facilitator = {facilitators}\n# no relayer_key_file");
    Setup::on(chain.clone()).with(USUAL, &line)
}

fn one(facilitator: &Facilitator) -> String {
    format!("{:?}", facilitator.url)
}

/// A house whose only facilitator is this one.
async fn house_of(facilitator: &Facilitator, chain: &Arc<Chain>) -> House {
    House::with(by(chain, &one(facilitator))).await
}

/// A purchase of a hundred credits by a wallet of its own.
struct Purchase {
    wallet: Wallet,
    payment: Payment,
    request: Request,
}

impl Purchase {
    async fn new(house: &House) -> Self {
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let payment = house.quote(&wallet, 100).await;
        Self {
            request: Request::purchase(&wallet, 100, &payment),
            payment,
            wallet,
        }
    }

    /// That it was credited once, and that sending it again says the same.
    async fn is_credited(&self, house: &House) {
        let reply = house.outcome(&self.request).await.expect(200);
        assert_eq!(reply.json["status"], "credited");
        let hash: B256 = reply.json["transaction"].as_str().unwrap().parse().unwrap();
        assert_eq!(house.chain.succeeded(hash).await, Some(true));
        assert_eq!(house.books().await.units(&self.wallet), 1_000_000);
        let left = house.chain.balance_of(self.wallet.address()).await.unwrap();
        assert_eq!(left, U256::ZERO);
    }
}

/// That the books have what arrived, and nothing else.
async fn books_are_true(house: &House, purchases: usize) {
    let books = house.settled_books().await;
    assert_eq!(
        books.payments("purchase credited"),
        i64::try_from(purchases).unwrap()
    );
    assert_eq!(U256::from(books.cash()), house.received().await);
}

#[test]
fn a_facilitator_settles_in_the_place_of_a_relayer() {
    run(async {
        let chain = Chain::shared().await;
        let facilitator = Facilitator::start(&chain).await;
        let table = format!(
            "{{ url = {:?}, authorization_file = \"auth\" }}",
            facilitator.url
        );
        let mut house = House::prepare(by(&chain, &table)).await;
        let auth = house.path("auth");
        fs::write(&auth, format!("{SECRET}\n")).unwrap();
        fs::set_permissions(&auth, fs::Permissions::from_mode(0o600)).unwrap();
        house.start().await;

        let wallet = Wallet::random();
        let reply = house.buy(&wallet, 100).await.expect(200);
        assert_eq!(reply.json["balance_credits"], 100);
        let [asked] = &facilitator.requests()[..] else {
            panic!("{:?}", facilitator.requests())
        };
        assert_eq!(asked.headers["authorization"], SECRET);
        assert_eq!(asked.headers["content-type"], "application/json");
        let requirements = &asked.json["paymentRequirements"];
        assert_eq!(asked.json["x402Version"], 2);
        assert_eq!(asked.json["paymentPayload"]["x402Version"], 2);
        assert_eq!(&asked.json["paymentPayload"]["accepted"], requirements);
        assert_eq!(requirements["payTo"], format!("{:#x}", house.pay_to));
        assert_eq!(requirements["amount"], "1000000");
        assert_eq!(
            requirements["extra"],
            json!({ "name": "USDC", "version": "2" })
        );

        let payer = Wallet::random();
        house.chain_dollars(&payer, 5).await;
        let path = "/api/external/tools/weather/actions/forecast/invoke";
        let parameters = json!({ "place": "Bern" });
        let quote = house.post(path, &parameters).await.expect(402);
        let payment = Payment::of(&quote, &payer);
        let direct = Request::direct(path, &parameters, &payment);
        house.send(&direct).await.expect(200);
        assert_eq!(facilitator.requests_of(&payer).len(), 1);

        facilitator.next(&wallet, Does::Nothing, Says::Failure);
        house.chain_dollars(&wallet, 100).await;
        let payment = house.quote(&wallet, 100).await;
        house
            .outcome(&Request::purchase(&wallet, 100, &payment))
            .await
            .expect(200);
        assert_eq!(house.relayed().await, []);
        assert_eq!(house.books().await.units(&wallet), 2_000_000);
        assert_eq!(house.received().await, U256::from(2_050_000));
        let said = house.stderr();
        assert!(said.contains("invalid_transaction_state"), "{said}");
        assert!(!said.contains("hush"), "{said}");
    });
}

#[test]
fn a_lie_is_not_believed() {
    run(async {
        let chain = Chain::shared().await;
        let facilitator = Facilitator::start(&chain).await;
        let house = House::with(by(&chain, &one(&facilitator)).with(PATIENT, IMPATIENT)).await;
        let others = Purchase::new(&house).await;
        others.is_credited(&house).await;
        let settled = house.outcome(&others.request).await.json["transaction"].clone();
        let settled = settled.as_str().unwrap().parse().unwrap();

        let mut purchases = Vec::new();
        for lie in 0..5 {
            let purchase = Purchase::new(&house).await;
            let says = match lie {
                0 => Says::Success,
                1 => Says::SuccessIn(settled),
                2 => Says::SuccessIn(chain.fails_to_settle(&purchase.payment).await),
                3 => Says::SuccessIn(chain.settle_in_play_money(&purchase.payment).await),
                _ => Says::Failure,
            };
            facilitator.next(&purchase.wallet, Does::Nothing, says);
            let reply = house.send(&purchase.request).await.expect(202);
            assert_eq!(reply.json["status"], "settling");
            assert_eq!(reply.payment_response(), None);
            purchases.push((purchase, reply.json["purchase_id"].clone()));
        }
        facilitator.asked(1 + purchases.len()).await;
        facilitator.always(Does::Nothing, Says::Failure);
        for (purchase, id) in &purchases {
            // What it said has changed nothing.
            let again = house.send(&purchase.request).await.expect(202);
            assert_eq!(&again.json["purchase_id"], id);
            let status = house.status(id).await;
            assert_eq!(status["status"], "broadcast", "{status}");
            assert_eq!(status["transaction"], Value::Null, "{status}");
            assert_eq!(house.books().await.units(&purchase.wallet), 0);
        }
        facilitator.always(Does::Settle, Says::Success);
        for (purchase, _) in &purchases {
            purchase.is_credited(&house).await;
            let requests = facilitator.requests_of(&purchase.wallet);
            assert!(requests.len() >= 2, "{requests:?}");
            assert!(requests.iter().all(|one| one.body == requests[0].body));
        }
        others.is_credited(&house).await;
        books_are_true(&house, 1 + purchases.len()).await;
    });
}

/// A payer and a facilitator that share: the nonce is used up for something else.
#[test]
fn another_amount_or_recipient_under_the_same_nonce_is_not_credited() {
    run(async {
        let chain = Chain::shared().await;
        let facilitator = Facilitator::start(&chain).await;
        let house = house_of(&facilitator, &chain).await;
        for change in 0..2 {
            let purchase = Purchase::new(&house).await;
            let mut other = purchase.payment.clone();
            match change {
                0 => other.authorization.value = U256::from(500_000),
                _ => other.authorization.to = Wallet::random().address(),
            }
            other.sign(&purchase.wallet);
            let transaction = chain.front_run(&other).await;
            facilitator.always(Does::Nothing, Says::SuccessIn(transaction));
            // Known to be spent before anything is asked of anyone.
            let reply = house.send(&purchase.request).await.expect(402);
            assert_eq!(reply.json["error"], "authorization_spent_elsewhere");

            // The same once it was asked for.
            let purchase = Purchase::new(&house).await;
            let mut other = purchase.payment.clone();
            match change {
                0 => other.authorization.value = U256::from(500_000),
                _ => other.authorization.to = Wallet::random().address(),
            }
            other.sign(&purchase.wallet);
            facilitator.next(&purchase.wallet, Does::Nothing, Says::Silence);
            let sender = house.sender();
            let request = purchase.request.clone();
            let told = tokio::spawn(async move { sender.send(&request).await });
            facilitator.asked(facilitator.requests().len() + 1).await;
            chain.front_run(&other).await;
            // The chain says that it will never come: no other answer is left.
            let told = told.await.unwrap().unwrap().expect(402);
            assert_eq!(told.json["error"], "authorization_spent_elsewhere");
            let books = house.books().await;
            assert!(books.units(&purchase.wallet) < 1_000_000);
        }
        let books = house.settled_books().await;
        assert_eq!(books.payments("purchase credited"), 0);
        assert_eq!(books.payments("purchase failed"), 2);
    });
}

#[test]
fn what_arrived_is_credited_whatever_is_said_of_it() {
    run(async {
        let chain = Chain::shared().await;
        let facilitator = Facilitator::start(&chain).await;
        let house = house_of(&facilitator, &chain).await;
        let lies = [
            Says::Failure,
            Says::Silence,
            Says::HalfAnAnswer,
            Says::Huge,
            Says::Redirect,
            Says::Status(500),
            Says::SuccessIn(B256::repeat_byte(7)),
        ];
        for says in lies {
            let purchase = Purchase::new(&house).await;
            facilitator.next(&purchase.wallet, Does::Settle, says);
            let reply = house.send(&purchase.request).await;
            assert_eq!(reply.status, 200, "{says:?}: {}", reply.text());
            purchase.is_credited(&house).await;
            let asked = facilitator.requests_of(&purchase.wallet).len();
            assert_eq!(asked, 1, "{says:?}");
        }
        books_are_true(&house, lies.len()).await;
    });
}

#[test]
fn endless_answers_are_cut_off_and_redirects_not_followed() {
    run(async {
        let chain = Chain::shared().await;
        let facilitator = Facilitator::start(&chain).await;
        let table = format!("{{ url = {:?}, timeout_ms = 1000 }}", facilitator.url);
        let house = House::with(by(&chain, &table)).await;
        let mut purchases = Vec::new();
        for says in [
            Says::Huge,
            Says::Redirect,
            Says::Silence,
            Says::HalfAnAnswer,
        ] {
            let purchase = Purchase::new(&house).await;
            facilitator.next(&purchase.wallet, Does::Nothing, says);
            purchases.push(purchase);
        }
        let requests: Vec<_> = purchases.iter().map(|one| one.request.clone()).collect();
        for reply in house.sender().send_all(&requests).await {
            assert!(matches!(reply.unwrap().status, 200 | 202));
        }
        for purchase in &purchases {
            purchase.is_credited(&house).await;
        }
        let taken = facilitator.huge_bytes();
        assert!((1..50_000_000).contains(&taken), "{taken} bytes were taken");
        assert_eq!(facilitator.elsewhere(), 0);
        books_are_true(&house, purchases.len()).await;
        let said = house.stderr();
        for words in ["exceeds 65536 bytes", "HTTP status 307", "in time", "broke"] {
            assert!(said.contains(words), "{words}: {said}");
        }
    });
}

#[test]
fn the_next_facilitator_is_asked_when_one_fails() {
    run(async {
        let chain = Chain::shared().await;
        let (first, second) = (
            Facilitator::start(&chain).await,
            Facilitator::start(&chain).await,
        );
        let list = format!(
            "[{{ url = {:?}, timeout_ms = 500 }}, {:?}]",
            first.url, second.url
        );
        let house = House::with(by(&chain, &list)).await;
        let fails = [
            Says::Status(500),
            Says::Status(401),
            Says::Silence,
            Says::HalfAnAnswer,
        ];
        for says in fails {
            let purchase = Purchase::new(&house).await;
            first.next(&purchase.wallet, Does::Nothing, says);
            house.send(&purchase.request).await.expect(200);
            purchase.is_credited(&house).await;
            let asked = [&first, &second].map(|one| one.requests_of(&purchase.wallet));
            assert_eq!(asked.each_ref().map(Vec::len), [1, 1], "{says:?}");
            assert_eq!(asked[0][0].body, asked[1][0].body);
        }
        // One that says that it did not settle may be right: the next turn is the other's.
        let purchase = Purchase::new(&house).await;
        first.always(Does::Nothing, Says::Failure);
        house.outcome(&purchase.request).await.expect(200);
        purchase.is_credited(&house).await;
        assert_eq!(second.requests_of(&purchase.wallet).len(), 1);
        books_are_true(&house, fails.len() + 1).await;
    });
}

#[test]
fn the_relayer_may_be_the_last_resort() {
    run(async {
        let chain = Chain::shared().await;
        let closed = closed_url(&chain).await;
        let line = format!("facilitator = [\"{closed}\", \"local\"]\nrelayer_key_file");
        let house = House::with(Setup::on(chain.clone()).with(USUAL, &line)).await;
        let purchase = Purchase::new(&house).await;
        house.send(&purchase.request).await.expect(200);
        purchase.is_credited(&house).await;
        assert_eq!(house.relayed().await.len(), 1);
        books_are_true(&house, 1).await;
    });
}

/// Where nobody listens.
async fn closed_url(chain: &Arc<Chain>) -> String {
    let house = House::prepare(Setup::on(chain.clone())).await;
    house.tools.closed_url.clone()
}

#[test]
fn one_that_keeps_failing_is_left_alone_until_it_recovers() {
    run(async {
        let chain = Chain::shared().await;
        let facilitator = Facilitator::start(&chain).await;
        facilitator.always(Does::Nothing, Says::Status(503));
        let bytes = rand::random::<[u8; 3]>().map(|byte| byte | 1);
        let metrics = format!("127.{}.{}.{}:9464", bytes[0], bytes[1], bytes[2]);
        let listen = format!("[server]\nmetrics_listen = \"{metrics}\"\n");
        let setup = by(&chain, &one(&facilitator)).with("[server]\n", &listen);
        let house = House::with(setup.with(PATIENT, IMPATIENT)).await;
        let mut purchases = Vec::new();
        for _ in 0..7 {
            purchases.push(Purchase::new(&house).await);
        }
        let (first, more) = purchases.split_at(5);
        for purchase in first {
            house.send(&purchase.request).await.expect(202);
        }
        until("the breaker does not open", async || {
            metric(&house, &metrics, "facilitator_breaker").await == 2
        })
        .await;
        facilitator.always(Does::Settle, Says::Success);
        for purchase in more {
            house.send(&purchase.request).await.expect(202);
        }
        until("nothing is held back", async || {
            metric(&house, &metrics, "facilitator_held_back_total").await >= 2
        })
        .await;
        let asked = more
            .iter()
            .map(|one| facilitator.requests_of(&one.wallet).len());
        assert_eq!(asked.sum::<usize>(), 0, "asked through an open breaker");
        for purchase in &purchases {
            purchase.is_credited(&house).await;
        }
        assert_eq!(metric(&house, &metrics, "facilitator_breaker").await, 0);
        let failures = metric(&house, &metrics, "facilitator_failures_total").await;
        let requests = metric(&house, &metrics, "facilitator_requests_total").await;
        assert!(failures >= 5, "{failures}");
        assert_eq!(requests - failures, 7);
        books_are_true(&house, purchases.len()).await;
    });
}

/// The one value of a metric, a whole number.
async fn metric(house: &House, listen: &str, name: &str) -> u64 {
    let answer = house.http.get(format!("http://{listen}/metrics")).send();
    let text = answer.await.unwrap().text().await.unwrap();
    let mut values = text.lines().filter_map(|line| {
        let (metric, value) = line.rsplit_once(' ')?;
        let named = metric.split('{').next() == Some(name);
        named.then(|| value.parse().unwrap())
    });
    // What never happened is not told of.
    values.next().unwrap_or_default()
}

#[test]
fn a_crash_before_the_request_arrives_loses_nothing() {
    run(async {
        let chain = Chain::shared().await;
        let facilitator = Facilitator::start(&chain).await;
        // Takes connections, and reads nothing of them.
        let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let deaf = format!("\"http://{}\"", deaf.local_addr().unwrap());
        let mut house = House::with(by(&chain, &deaf).with(PATIENT, IMPATIENT)).await;
        let purchase = Purchase::new(&house).await;
        let id = house.send(&purchase.request).await.expect(202).json["purchase_id"].clone();
        until("the request is not stored", async || {
            house.books().await.payments("purchase broadcast") == 1
        })
        .await;
        house.kill_9().await;
        house.configure(&deaf, &one(&facilitator));
        house.start().await;
        house.becomes(&id, "credited").await;
        purchase.is_credited(&house).await;
        assert_eq!(facilitator.requests().len(), 1);
        books_are_true(&house, 1).await;
    });
}

#[test]
fn a_crash_before_the_answer_arrives_loses_nothing() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let facilitator = Facilitator::start(&chain).await;
        let setup = by(&chain, &one(&facilitator)).with(PATIENT, IMPATIENT);
        let mut house = House::with(setup).await;
        let settled = Purchase::new(&house).await;
        let unsettled = Purchase::new(&house).await;
        facilitator.next(&settled.wallet, Does::Settle, Says::Silence);
        facilitator.next(&unsettled.wallet, Does::Nothing, Says::Silence);
        // What is sent is mined only once the service is dead.
        chain.set_automine(false).await.unwrap();
        for purchase in [&settled, &unsettled] {
            house.send(&purchase.request).await.expect(202);
        }
        facilitator.asked(2).await;
        house.kill_9().await;
        chain.set_automine(true).await.unwrap();
        chain.mine(1).await.unwrap();
        house.start().await;
        for (purchase, asked) in [(&settled, 1), (&unsettled, 2)] {
            purchase.is_credited(&house).await;
            let requests = facilitator.requests_of(&purchase.wallet);
            assert_eq!(requests.len(), asked);
            assert!(requests.iter().all(|one| one.body == requests[0].body));
        }
        books_are_true(&house, 2).await;
    });
}

/// A payer that takes its money away while its call runs is barred, also when others settle.
#[test]
fn a_payer_that_cannot_pay_after_its_call_is_barred() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let facilitator = Facilitator::start(&chain).await;
        let setup = by(&chain, &one(&facilitator)).with(PATIENT, "settle_wait_seconds = 5");
        let house = House::with(setup).await;
        facilitator.always(Does::Nothing, Says::Failure);
        let payer = Wallet::random();
        house.chain_dollars(&payer, 5).await;
        let path = "/api/external/tools/weather/actions/forecast/invoke";
        let parameters = json!({ "place": "Bern" });
        let quote = house.post(path, &parameters).await.expect(402);
        let payment = Payment::of(&quote, &payer);
        let (sender, request) = (house.sender(), Request::direct(path, &parameters, &payment));
        let told = tokio::spawn(async move { sender.send(&request).await });
        facilitator.asked(1).await;
        chain.move_away(&payer, U256::from(50_000)).await;
        told.await.unwrap().unwrap().expect(202);
        until("the chain's refusal is not noted", async || {
            books::would_fail(&house.path("books.db")).await == 1
        })
        .await;
        chain.increase_time(3_700).await.unwrap();
        chain.mine(1).await.unwrap();
        let books = house.settled_books().await;
        assert_eq!((books.payments("direct expired"), books.barred), (1, 1));
    });
}
