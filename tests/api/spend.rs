//! The main job: buy credits, spend them by signed calls.

use std::{collections::BTreeSet, sync::Arc};

use reqwest::header::HeaderName;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{
    Call, House, Reply, Setup, Wallet,
    client::{BALANCE, PURCHASE, balance_body, keys, purchase},
    run,
    wallet::{payload_hash, payload_hash_of},
};

const INVOKE: &str = "/external/tools/weather/actions/forecast/invoke";

#[test]
fn an_agent_buys_and_spends() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;

        let required = house.post(PURCHASE, &purchase(&wallet, 100)).await;
        let required = required.expect(402);
        assert_eq!(required.header("content-type"), Some("application/json"));
        assert_eq!(required.json, required.payment_required());
        let payment = house.quote(&wallet, 100).await;
        let bought = house.pay(&wallet, 100, &payment).await.expect(200);
        assert_eq!(bought.json["status"], "credited", "{}", bought.json);

        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "first");
        let reply = house.call(&call).await.expect(200);
        check_call(&reply, &wallet);

        // Exactly what was bought and charged, in the answer, in the books and on the chain.
        check_balance(&house, &wallet).await;
        let books = house.books().await;
        assert_eq!(books.units(&wallet), 950_000);
        assert_eq!(books.accounts["revenue"], 50_000);
        assert_eq!(books.charges("captured"), 1);
        assert_eq!(house.received().await.to::<u64>(), 1_000_000);
        assert!(
            house
                .chain
                .balance_of(wallet.address())
                .await
                .unwrap()
                .is_zero()
        );
    });
}

fn check_call(reply: &Reply, wallet: &Wallet) {
    let document = &reply.json;
    assert_eq!(
        keys(document),
        [
            "success",
            "response",
            "charge_id",
            "charge_status",
            "price_credits",
            "charged_credits",
            "balance_credits",
            "balance_usd",
            "credit_source",
        ]
    );
    assert_eq!(
        document["response"],
        json!({
            "success": true,
            "status_code": 200,
            "data": { "place": "Bern", "forecast": "sunny" },
        })
    );
    let charge = document["charge_id"].as_str().unwrap();
    assert!(
        !charge.is_empty() && !charge.contains(&wallet.name()),
        "{charge}"
    );
    let expected = json!({
        "success": true,
        "response": document["response"],
        "charge_id": charge,
        "charge_status": "captured",
        "price_credits": 5,
        "charged_credits": 5,
        "balance_credits": 95,
        "balance_usd": "0.95",
        "credit_source": "x402",
    });
    assert_eq!(*document, expected);
    assert_eq!(reply.header("idempotent-replayed"), None);
}

async fn check_balance(house: &House, wallet: &Wallet) {
    assert_eq!(
        house.balance(wallet).await,
        json!({
            "success": true,
            "wallet_address": wallet.name(),
            "balance_credits": 95,
            "held_credits": 0,
            "available_credits": 95,
            "balance_usd": "0.95",
            "expiration": null,
            "expires_in_days": null,
            "grants": [{
                "source": "x402",
                "priority": 100,
                "remaining_credits": 95,
                "held_credits": 0,
                "expires_at": null,
            }],
        })
    );
}

#[test]
fn a_running_call_is_held() {
    run(async {
        let house = House::new().await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::of(&wallet, &session, "held", "trouble", "gate");
        let watch = async {
            house.tools.asked(1).await;
            let balance = house.balance(&wallet).await;
            assert_eq!(balance["balance_credits"], 100);
            assert_eq!(balance["held_credits"], 3);
            assert_eq!(balance["available_credits"], 97);
            assert_eq!(balance["grants"][0]["held_credits"], 3);
            assert_eq!(house.books().await.charges("held"), 1);
            house.tools.open_gate();
        };
        let (reply, ()) = tokio::join!(house.call(&call), watch);
        assert_eq!(reply.expect(200).json["balance_credits"], 97);
        house.books().await.nothing_held();
    });
}

#[test]
fn the_tool_gets_the_clients_bytes_and_nothing_else_of_it() {
    run(async {
        let house = House::new().await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "bytes");
        let parameters = r#"{"z": 1.0,"place" :"Z\u00fcrich ü", "n":[1e3, -0, 0.10]}"#;
        let body = raw_body(&call, parameters);
        let secrets = [
            ("authorization", "Bearer secret"),
            ("cookie", "secret=1"),
            ("x-secret", "secret"),
        ];
        let reply = house.post_with(&call.url_path(), body, &secrets).await;
        let charge = reply.expect(200).json["charge_id"].clone();

        let [asked] = &house.tools.calls()[..] else {
            panic!("asked {} times", house.tools.count());
        };
        assert_eq!(asked.body, parameters);
        assert_eq!(asked.key(), charge);
        let mut names: Vec<&str> = asked.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let expected = [
            "accept",
            "content-length",
            "content-type",
            "host",
            "idempotency-key",
            "user-agent",
        ];
        assert_eq!(names, expected);
    });
}

/// The body of a call whose parameters stand exactly as given.
fn raw_body(call: &Call, parameters: &str) -> String {
    let hash = payload_hash_of(parameters);
    let Call {
        wallet,
        session,
        request_id,
        ..
    } = call;
    let message = wallet.path_bound(session, request_id, &call.signed_path(), &hash);
    let (name, signature) = (wallet.name(), wallet.sign(&message));
    format!(
        r#"{{"wallet_address":"{name}","session_nonce":"{session}","request_id":"{request_id}",
            "signature":"{signature}","parameters": {parameters} }}"#
    )
}

#[test]
fn an_echo_is_charged_to_the_unit() {
    run(async {
        let house = House::new().await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::of(&wallet, &session, "echo", "echo", "say");
        let parameters = r#"{"b":1.0,"a":[1e3,-0,12345678901234567890123]}"#;
        let body = raw_body(&call, parameters);
        let reply = house
            .post_with(&call.url_path(), body, &[])
            .await
            .expect(200);
        for part in [
            &format!("\"data\":{parameters}"),
            "\"price_credits\":0.0001,",
            "\"charged_credits\":0.0001,",
            "\"balance_credits\":99.9999,",
            "\"balance_usd\":\"0.999999\",",
        ] {
            assert!(reply.text().contains(part), "{part} in {}", reply.text());
        }
        let call = Call::of(&wallet, &session, "shout", "echo", "shout");
        let reply = house.call(&call).await.expect(200);
        assert!(
            reply.text().contains("\"balance_credits\":97.4999,"),
            "{}",
            reply.text()
        );
        assert_eq!(house.books().await.units(&wallet), 974_999);
    });
}

#[test]
fn a_signature_may_name_the_path_in_four_ways() {
    run(async {
        let house = House::new().await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let paths = [
            INVOKE.to_owned(),
            format!("/api{INVOKE}"),
            format!("{INVOKE}/"),
            format!("/api{INVOKE}/"),
        ];
        for (index, path) in paths.iter().enumerate() {
            let call = Call::forecast(&wallet, &session, &format!("path-{index}"));
            let signature = wallet.sign(&call.message_at(path));
            let reply = house
                .post(&call.url_path(), &call.body_with(&signature))
                .await;
            assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        }
        assert_eq!(house.books().await.units(&wallet), 800_000);
    });
}

#[test]
fn a_body_may_leave_parameters_out() {
    run(async {
        let house = House::new().await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        for (request_id, parameters) in [("absent", None), ("null", Some(Value::Null))] {
            let call = Call::of(&wallet, &session, request_id, "echo", "shout");
            let mut body = call.body();
            let members = body.as_object_mut().unwrap();
            members.shift_remove("parameters");
            members.extend(parameters.map(|value| ("parameters".to_owned(), value)));
            let reply = house.post(&call.url_path(), &body).await.expect(200);
            assert_eq!(reply.json["response"]["data"], json!({}), "{request_id}");
        }
    });
}

#[test]
fn the_older_call_finds_its_action() {
    run(async {
        let house = House::new().await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let place = json!({ "place": "Chur" });
        let say = json!({ "action": "say", "text": "hello" });
        let nameless = json!({ "text": "hello" });
        let unknown = json!({ "action": "sing" });
        for (product, parameters, status, outcome) in [
            ("weather", &place, 200, "/forecast"),
            ("echo", &say, 200, "0.0001"),
            ("echo", &nameless, 400, "/parameters/action"),
            ("echo", &unknown, 404, "TOOL_NOT_FOUND"),
            ("nothing", &say, 404, "TOOL_NOT_FOUND"),
            ("weather", &nameless, 400, "/parameters/place"),
        ] {
            let request_id = format!("{product}-{status}-{outcome}");
            let reply = invoke(&house, &wallet, &session, &request_id, product, parameters).await;
            let reply = reply.expect(status);
            match status {
                200 if product == "weather" => {
                    assert_eq!(reply.json["response"]["data"]["place"], "Chur");
                    assert_eq!(house.tools.calls()[0].path, outcome);
                }
                200 => {
                    assert_eq!(reply.json["response"]["data"], *parameters);
                    assert!(reply.text().contains(outcome));
                }
                400 => assert_eq!(reply.pointers(), [outcome], "{}", reply.text()),
                _ => assert_eq!(reply.json["code"], outcome),
            }
        }
        assert_eq!(house.books().await.units(&wallet), 949_999);

        // A message of the older form is no message of the newer one.
        let call = Call::forecast(&wallet, &session, "mixed");
        let hash = payload_hash(&call.parameters);
        let message = wallet.scoped(&session, "mixed", ("invoke", "weather"), &hash);
        let body = call.body_with(&wallet.sign(&message));
        let reply = house.post(&call.url_path(), &body).await;
        reply.problem(401, "EXTERNAL_SIGNATURE_WALLET_MISMATCH");
    });
}

async fn invoke(
    house: &House,
    wallet: &Wallet,
    session: &str,
    request_id: &str,
    product: &str,
    parameters: &Value,
) -> Reply {
    let hash = payload_hash(parameters);
    let message = wallet.scoped(session, request_id, ("invoke", product), &hash);
    let body = json!({
        "wallet_address": wallet.name(),
        "session_nonce": session,
        "request_id": request_id,
        "signature": wallet.sign(&message),
        "parameters": parameters,
    });
    let path = format!("/api/external/tools/{product}/invoke");
    house.post(&path, &body).await
}

#[test]
fn without_credits_a_call_is_told_where_to_buy() {
    run(async {
        let house = House::new().await;
        let poor = Wallet::random();
        let session = house.session(&poor).await;
        let before = house.books().await;
        let call = Call::forecast(&poor, &session, "poor");
        let reply = house.call(&call).await.problem(402, "INSUFFICIENT_CREDITS");
        assert_eq!(reply.json["price_credits"], 5);
        assert_eq!(reply.json["available_credits"], 0);
        let url = &reply.json["purchase_url"];
        assert_eq!(url, "http://counterfoil.test/api/external/credits/purchase");
        // It may be paid call by call too: what x402 asks for stands beside.
        let required = reply.payment_required();
        assert_eq!(required["accepts"][0]["amount"], "50000");
        assert_eq!(house.books().await, before);

        let call = Call::of(&poor, &session, "credits-only", "echo", "shout");
        let reply = house.call(&call).await.problem(402, "INSUFFICIENT_CREDITS");
        assert_eq!(reply.header("payment-required"), None);

        // A refusal takes no request id.
        house.buy(&poor, 100).await.expect(200);
        let call = Call::forecast(&poor, &session, "poor");
        assert_eq!(
            house.call(&call).await.expect(200).json["balance_credits"],
            95
        );
    });
}

#[test]
fn a_balance_is_told_to_its_wallet_only() {
    run(async {
        let house = House::new().await;
        let (wallet, other) = (house.rich(100).await, Wallet::random());
        let session = house.session(&wallet).await;
        let theirs = house.session(&other).await;

        // Reads take no request id: the same question may be asked again.
        for _ in 0..2 {
            let reply = house.post(BALANCE, &balance_body(&wallet, &session)).await;
            assert_eq!(reply.expect(200).json["balance_credits"], 100);
        }
        let mut signed_by_other = balance_body(&wallet, &session);
        signed_by_other["signature"] = balance_body(&other, &session)["signature"].clone();
        let mut of_other_session = balance_body(&wallet, &theirs);
        let reply = house.post(BALANCE, &signed_by_other).await;
        reply.problem(401, "EXTERNAL_SIGNATURE_WALLET_MISMATCH");
        let reply = house.post(BALANCE, &of_other_session).await;
        reply.problem(401, "EXTERNAL_SIGNATURE_SESSION_NONCE_INVALID");
        of_other_session["session_nonce"] = json!("s-1");
        let reply = house.post(BALANCE, &of_other_session).await;
        reply.problem(401, "EXTERNAL_SIGNATURE_SESSION_NONCE_INVALID");
        let reply = house.post(BALANCE, &balance_body(&other, &theirs)).await;
        assert_eq!(reply.expect(200).json["balance_credits"], 0);
        assert_eq!(house.books().await.requests, 0);
    });
}

/// 64 calls at once from one wallet with credits for 40, at 2.5 credits each.
async fn forty_of_sixty_four(product: &'static str, action: &'static str) {
    let setup = Setup::default().with("price_credits = \"5\"", "price_credits = \"2.5\"");
    let house = Arc::new(House::with(setup).await);
    let wallet = house.rich(100).await;
    let session = house.session(&wallet).await;
    let mut calls = JoinSet::new();
    for index in 0..64 {
        let call = Call {
            product: product.into(),
            action: action.into(),
            ..Call::forecast(&wallet, &session, &format!("call-{index}"))
        };
        let house = house.clone();
        calls.spawn(async move { house.call(&call).await });
    }
    let (paid, refused): (Vec<Reply>, Vec<Reply>) = calls
        .join_all()
        .await
        .into_iter()
        .partition(|reply| reply.status == 200);
    assert_eq!((paid.len(), refused.len()), (40, 24));
    for reply in refused {
        let reply = reply.problem(402, "INSUFFICIENT_CREDITS");
        assert_eq!(reply.json["available_credits"], 0, "{}", reply.json);
    }
    let balances = paid.iter().map(|reply| &reply.json["balance_credits"]);
    let balances: BTreeSet<String> = balances.map(Value::to_string).collect();
    if product == "echo" {
        // Hold and capture are one: each left another balance behind.
        assert_eq!(balances.len(), 40);
    } else {
        assert_eq!(
            house.tools.by_key().len(),
            40,
            "each charge has its own call"
        );
        assert_eq!(house.tools.count(), 40);
    }
    let books = house.books().await;
    books.nothing_held();
    assert_eq!(books.units(&wallet), 0);
    assert_eq!((books.charges("captured"), books.requests), (40, 40));
    assert_eq!(house.balance(&wallet).await["balance_credits"], 0);
}

#[test]
fn of_64_calls_at_once_40_are_paid_on_a_tool_over_http() {
    run(forty_of_sixty_four("weather", "forecast"));
}

#[test]
fn of_64_calls_at_once_40_are_paid_on_a_tool_inside() {
    run(forty_of_sixty_four("echo", "shout"));
}
