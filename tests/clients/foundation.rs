//! The x402 foundation's clients and x402-rs's, unmodified, with every default: at most one dollar a
//! payment, ten cents in version 1, and five seconds of patience in httpx.

use serde_json::Value;

use crate::{
    client::Client,
    money::{fund, nothing_paid, paid},
    script::PARAMETERS,
    support::{Call, House, Setup, run},
};

/// What a client of version 1 is told to pay at most, where ten cents are not enough.
const DOLLAR: (&str, &str) = ("MAX_VALUE", "1000000");

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
    let script = client.script("buy", &house, &wallet).await;
    let result = script.variable(DOLLAR.0, DOLLAR.1).run().await.result();

    let transaction = paid(&house, &wallet, &[100], 50).await;
    let told = &result["payment_response"];
    assert_eq!(told["transaction"], transaction);
    assert_eq!(told["network"], client.network());
    let body = &result["body"];
    assert_eq!(body["status"], "credited", "{body}");
    assert_eq!(body["transaction"], transaction, "{body}");
    assert_eq!(body["wallet_address"], wallet.name(), "{body}");
    assert_eq!(body["credits_purchased"], 100, "{body}");
    assert_eq!(body["balance_credits"], 100, "{body}");
    assert_eq!(house.balance(&wallet).await["available_credits"], 100);
    assert_eq!(house.books().await.payments("purchase credited"), 1);
}

/// More than it may pay is refused by the client itself, and nothing leaves it.
async fn refuses_two_dollars(client: Client) {
    let house = house(Setup::default()).await;
    let wallet = fund(&house, 200).await;
    let script = client.script("buy", &house, &wallet).await;
    let error = script.variable("CREDITS", "200").run().await.error();

    let refusal: &[&str] = match client {
        Client::TypeScriptV1 => &["Payment amount exceeds maximum allowed"],
        _ => &["rejected by spend", "($1, including USDC)"],
    };
    assert!(refusal.iter().all(|part| error.contains(part)), "{error}");
    nothing_paid(&house).await;
    assert_eq!(house.balance(&wallet).await["available_credits"], 0);
    assert!(house.books().await.payments.is_empty());
}

async fn pays_per_call(client: Client) {
    let house = house(Setup::default()).await;
    let wallet = fund(&house, 8).await;
    let script = client.script("pay_per_call", &house, &wallet).await;
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
    let script = client.script("pay_signed_call", &house, &wallet).await;
    let result = script.variable(DOLLAR.0, DOLLAR.1).run().await.result();

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

/// A test of each client.
macro_rules! of_clients {
    ($($test:ident: $run:ident($($name:ident: $client:ident),* $(,)?)),* $(,)?) => {$(
        mod $test {
            use super::*;

            $(#[test]
            fn $name() {
                run($run(Client::$client));
            })*
        }
    )*};
}

of_clients! {
    a_hundred_credits_are_bought: buys_credits(
        typescript: TypeScript,
        typescript_v1: TypeScriptV1,
        python_httpx: Httpx,
        python_requests: Requests,
        rust: Rust,
        rust_v1: RustV1,
    ),
    a_call_is_paid_by_itself: pays_per_call(
        typescript: TypeScript,
        typescript_v1: TypeScriptV1,
        python_httpx: Httpx,
        python_requests: Requests,
        rust: Rust,
        rust_v1: RustV1,
    ),
    // The one in Rust pays whatever it is asked for.
    two_dollars_are_refused_by_the_client: refuses_two_dollars(
        typescript: TypeScript,
        typescript_v1: TypeScriptV1,
        python_httpx: Httpx,
        python_requests: Requests,
    ),
    a_signed_call_without_credits_is_paid: pays_a_signed_call(
        typescript: TypeScript,
        typescript_v1: TypeScriptV1,
        python_httpx: Httpx,
        python_requests: Requests,
    ),
}
