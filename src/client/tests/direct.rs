//! Calls that are paid for one by one.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{buy::verify, *};
use crate::{
    client::offer::tests::{USDC, offer},
    x402::{PAYMENT_IDENTIFIER, payment_identifier_offer},
};

fn quote(amount: &str) -> Answer {
    let document = json!({
        "x402Version": 2,
        "resource": { "url": "http://127.0.0.1/x", "description": "", "mimeType": "" },
        "accepts": [offer("eip155:84532", USDC, amount)],
        "extensions": { PAYMENT_IDENTIFIER: payment_identifier_offer() },
    });
    let header = STANDARD.encode(document.to_string());
    reply(402, &format!("payment-required: {header}\r\n"), &document)
}

fn paid() -> Answer {
    ok(&json!({
        "success": true,
        "response": { "success": true, "status_code": 200, "data": { "high": 21 } },
        "x402": { "transaction": "0xab", "network": "eip155:84532", "resource_url": "x",
                  "payment": { "amount_usd": 0.05 } },
    }))
}

async fn call(service: &Service, spending: &Spending) -> Result<DirectReply, ClientError> {
    let parameters = json!({ "place": "Lisbon" });
    let client = &service.client;
    client
        .pay_per_call("weather", "forecast", &parameters, spending)
        .await
}

#[tokio::test]
async fn the_same_request_pays_and_asks_for_the_result() {
    let settling = reply(202, "", &json!({ "status": "settling" }));
    let service = Service::new([quote("50000"), Answer::Lost, settling, paid()]);
    let reply = call(&service, &Spending::default()).await.unwrap();
    assert_eq!(reply.data.get(), r#"{"high":21}"#);
    assert_eq!(reply.price.to_string(), "5");
    let asked = service.asked();
    assert!(asked.iter().all(|it| it.body == r#"{"place":"Lisbon"}"#));
    assert_eq!(
        asked[0].line,
        "POST /api/external/tools/weather/actions/forecast/invoke"
    );
    assert_eq!(asked[0].payment, None);
    assert!(asked[2..].iter().all(|it| *it == asked[1]));
    let payment = verify(&asked[1]);
    assert_eq!(payment.authorization.value.to_string(), "50000");
    assert_eq!(payment.payment_identifier.unwrap().len(), "pay_".len() + 32);
}

#[tokio::test]
async fn a_tool_that_fails_is_told_and_not_paid_again() {
    let service = Service::new([quote("50000"), problem(502, "TOOL_FAILED")]);
    let error = call(&service, &Spending::default()).await.unwrap_err();
    assert_eq!(error.code(), "TOOL_FAILED");
    assert_eq!(service.asked().len(), 2);
}

#[tokio::test]
async fn more_than_a_dollar_is_paid_only_if_allowed() {
    let service = Service::new([quote("1000001")]);
    let error = call(&service, &Spending::default()).await.unwrap_err();
    assert_eq!(error.code(), "SPENDING_LIMIT");

    let service = Service::new([quote("1000001"), paid()]);
    let limit = Some("200".parse().unwrap());
    let spending = Spending {
        limit,
        ..Spending::default()
    };
    call(&service, &spending).await.unwrap();
}

#[tokio::test]
async fn what_takes_credits_only_is_not_paid() {
    let service = Service::new([problem(401, "EXTERNAL_SIGNATURE_MALFORMED")]);
    let error = call(&service, &Spending::default()).await.unwrap_err();
    assert_eq!(error.code(), "EXTERNAL_SIGNATURE_MALFORMED");
    assert_eq!(service.asked().len(), 1);
}
