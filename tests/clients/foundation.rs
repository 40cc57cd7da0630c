//! The x402 foundation's clients, unmodified, with every default: at most one dollar a payment, and
//! five seconds of patience in httpx.

use serde_json::Value;

use crate::{
    money::{fund, nothing_paid, paid},
    script::{Language, PARAMETERS, Program},
    support::{Call, House, Setup, Wallet, run},
};

/// The foundation has one client in TypeScript and two in Python.
#[derive(Clone, Copy)]
enum Client {
    TypeScript,
    Httpx,
    Requests,
}

impl Client {
    fn script(self, name: &str, house: &House, wallet: &Wallet) -> Program {
        let python = |library| {
            Language::Python
                .script(name, house, wallet)
                .argument(library)
        };
        match self {
            Self::TypeScript => Language::TypeScript.script(name, house, wallet),
            Self::Httpx => python("httpx"),
            Self::Requests => python("requests"),
        }
    }
}

/// A house that waits for a settlement no longer than it does when nothing is said.
async fn house(setup: Setup) -> House {
    House::with(setup.with("settle_wait_seconds = 20\n", "")).await
}

fn parameters() -> Value {
    serde_json::from_str(PARAMETERS).unwrap()
}

/// That the tool was asked so often, at last with what the client sent.
#[track_caller]
fn asked(house: &House, times: usize) {
    let calls = house.tools.calls();
    assert_eq!(calls.len(), times, "{calls:?}");
    let body: Value = serde_json::from_str(&calls[times - 1].body).unwrap();
    assert_eq!(body, parameters());
}

/// That a call was paid by itself: the answer, and what the client was told of the settlement.
async fn paid_by_itself(house: &House, called: &Value, transaction: &str, base_units: u64) {
    let body = &called["body"];
    assert_eq!(called["payment_response"]["transaction"], transaction);
    assert_eq!(body["x402"]["transaction"], transaction, "{body}");
    let payment = &body["x402"]["payment"];
    assert_eq!(
        payment["amount_base_units"],
        base_units.to_string(),
        "{body}"
    );
    assert_eq!(body["response"]["data"]["place"], parameters()["place"]);
    for member in [
        "charge_id",
        "charge_status",
        "charged_credits",
        "balance_credits",
    ] {
        assert_eq!(body.get(member), None, "{member} of credits: {body}");
    }
    assert_eq!(house.books().await.payments("direct credited"), 1);
}

async fn buys_credits(client: Client) {
    let house = house(Setup::default()).await;
    let wallet = fund(&house, 150).await;
    let result = client.script("buy", &house, &wallet).run().await.result();

    let transaction = paid(&house, &wallet, &[100], 50).await;
    let told = &result["payment_response"];
    assert_eq!(told["transaction"], transaction);
    assert_eq!(told["network"], "eip155:84532");
    let body = &result["body"];
    assert_eq!(body["status"], "credited", "{body}");
    assert_eq!(body["transaction"], transaction, "{body}");
    assert_eq!(body["wallet_address"], wallet.name(), "{body}");
    assert_eq!(body["credits_purchased"], 100, "{body}");
    assert_eq!(body["balance_credits"], 100, "{body}");
    assert_eq!(house.balance(&wallet).await["available_credits"], 100);
    assert_eq!(house.books().await.payments("purchase credited"), 1);
}

/// More than a dollar is refused by the client itself, and nothing leaves it.
async fn refuses_two_dollars(client: Client) {
    let house = house(Setup::default()).await;
    let wallet = fund(&house, 200).await;
    let script = client.script("buy", &house, &wallet);
    let error = script.variable("CREDITS", "200").run().await.error();

    assert!(error.contains("rejected by spend"), "{error}");
    assert!(error.contains("($1, including USDC)"), "{error}");
    nothing_paid(&house).await;
    assert_eq!(house.balance(&wallet).await["available_credits"], 0);
    assert!(house.books().await.payments.is_empty());
}

async fn pays_per_call(client: Client) {
    let house = house(Setup::default()).await;
    let wallet = fund(&house, 8).await;
    let script = client.script("pay_per_call", &house, &wallet);
    let called = script.run().await.result();

    let transaction = paid(&house, &wallet, &[5], 3).await;
    paid_by_itself(&house, &called, &transaction, 50_000).await;
    asked(&house, 1);
    assert_eq!(house.balance(&wallet).await["available_credits"], 0);
}

/// A wallet with credits, but too few, signs a call. The 402 to it says how to pay for that call
/// alone, and the client does. The credits stay.
async fn pays_a_signed_call(client: Client) {
    let price = Setup::default().with(r#"price_credits = "5""#, r#"price_credits = "60""#);
    let house = house(price).await;
    let wallet = house.rich(100).await;
    let session = house.session(&wallet).await;
    let first = Call::forecast(&wallet, &session, "first");
    house.call(&first).await.expect(200);
    house.chain_dollars(&wallet, 70).await;
    let script = client.script("pay_signed_call", &house, &wallet);
    let result = script.run().await.result();

    let refused = &result["refused"]["body"];
    assert_eq!(refused["code"], "INSUFFICIENT_CREDITS", "{refused}");
    assert_eq!(refused["price_credits"], 60, "{refused}");
    assert_eq!(refused["available_credits"], 40, "{refused}");
    let transaction = paid(&house, &wallet, &[100, 60], 10).await;
    paid_by_itself(&house, &result["invoke"], &transaction, 600_000).await;
    asked(&house, 2);
    assert_eq!(result["balance"]["body"]["available_credits"], 40);
    assert_eq!(house.balance(&wallet).await["available_credits"], 40);
    let books = house.books().await;
    assert_eq!((books.charges("captured"), books.requests), (1, 1));
}

/// A test of every client.
macro_rules! of_every_client {
    ($($test:ident: $run:ident),* $(,)?) => {$(
        mod $test {
            use super::*;

            #[test]
            fn typescript() {
                run($run(Client::TypeScript));
            }

            #[test]
            fn python_httpx() {
                run($run(Client::Httpx));
            }

            #[test]
            fn python_requests() {
                run($run(Client::Requests));
            }
        }
    )*};
}

of_every_client! {
    a_hundred_credits_are_bought: buys_credits,
    two_dollars_are_refused_by_the_client: refuses_two_dollars,
    a_call_is_paid_by_itself: pays_per_call,
    a_signed_call_without_credits_is_paid: pays_a_signed_call,
}
