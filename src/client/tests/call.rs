//! Signed calls: signed once, sent until they are answered.

use super::*;
use crate::auth::{Caller, PathBoundCall, ScopedCall, ScopedPayload, json};

fn called() -> Answer {
    ok(&json!({
        "success": true,
        "response": { "success": true, "status_code": 200, "data": { "high": 21 } },
        "charge_id": "chg_1", "charge_status": "captured",
        "price_credits": 5, "charged_credits": 5, "balance_credits": 95, "balance_usd": "0.95",
    }))
}

async fn call(service: &Service) -> Result<CallReply, ClientError> {
    let parameters = json!({ "place": "Lisbon", "day": 1 });
    service
        .client
        .call("weather", "forecast", &parameters)
        .await
}

/// Checks a call's signature as the service does.
fn verify(asked: &Asked) {
    let body = asked.json();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    let root = json::parse(asked.body.as_bytes()).unwrap();
    let request_id: RequestId = text("request_id").parse().unwrap();
    let (wallet, session) = (
        text("wallet_address").parse().unwrap(),
        text("session_nonce"),
    );
    let caller = Caller {
        wallet,
        session_nonce: &session,
        request_id: &request_id,
    };
    let signature = text("signature").parse().unwrap();
    let candidates = if asked.line.ends_with("/invoke") {
        let parameters = root.get("parameters");
        let (product, action) = ("weather", "forecast");
        PathBoundCall {
            caller,
            product,
            action,
            parameters,
        }
        .candidates(None)
    } else {
        let (action, product, payload) = ("balance", "-", ScopedPayload::Empty);
        ScopedCall {
            caller,
            action,
            product,
            payload,
        }
        .candidates(None)
    };
    let verified = candidates.verify(&signature).unwrap();
    assert_eq!(verified.message, candidates.expected_message());
}

#[tokio::test]
async fn a_call_is_signed_over_what_is_sent() {
    let service = Service::new([session("s-1"), called()]);
    let reply = call(&service).await.unwrap();
    assert_eq!(reply.data.get(), r#"{"high":21}"#);
    assert_eq!(
        (reply.charged.to_string(), reply.balance.to_string()),
        ("5".into(), "95".into())
    );
    assert!(!reply.replayed);
    let asked = service.asked();
    assert_eq!(asked[0].line, "POST /api/external/auth/session");
    assert_eq!(
        asked[1].line,
        "POST /api/external/tools/weather/actions/forecast/invoke"
    );
    assert!(
        asked[1]
            .body
            .ends_with(r#""parameters":{"day":1,"place":"Lisbon"}}"#)
    );
    verify(&asked[1]);
}

#[tokio::test]
async fn what_may_have_arrived_is_sent_again_byte_for_byte() {
    for unanswered in [
        Answer::Lost,
        problem(503, "UNAVAILABLE"),
        problem(409, "EXTERNAL_SIGNATURE_REQUEST_IN_FLIGHT"),
        problem(429, "TOO_MANY_REQUESTS"),
        reply(502, "", &json!("a gateway's own words")),
    ] {
        let service = Service::new([session("s-1"), unanswered, Answer::Lost, called()]);
        call(&service).await.unwrap();
        let asked = service.asked();
        assert_eq!(asked.len(), 4);
        assert_eq!(asked[1], asked[2]);
        assert_eq!(asked[2], asked[3]);
    }
}

#[tokio::test]
async fn what_is_decided_is_not_sent_again() {
    let voided = json!({ "code": "UNAVAILABLE", "detail": "No.", "charge_status": "voided" });
    for decided in [
        problem(402, "INSUFFICIENT_CREDITS"),
        problem(409, "EXTERNAL_SIGNATURE_REQUEST_REPLAY"),
        reply(
            502,
            "",
            &json!({ "code": "TOOL_FAILED", "charge_status": "voided" }),
        ),
        reply(503, "", &voided),
    ] {
        let service = Service::new([session("s-1"), decided]);
        let error = call(&service).await.unwrap_err();
        assert!(matches!(error, ClientError::Refused(_)), "{error:?}");
        assert_eq!(service.asked().len(), 2);
    }
}

#[tokio::test]
async fn a_call_that_is_never_answered_can_be_asked_for_again() {
    let lost = || [Answer::Lost, Answer::Lost, Answer::Lost, Answer::Lost];
    let service = Service::new([session("s-1")].into_iter().chain(lost()));
    let error = call(&service).await.unwrap_err();
    assert!(error.is_unreachable());
    let ClientError::CallUnknown {
        session_nonce,
        request_id,
        ..
    } = error
    else {
        panic!("{error:?}")
    };
    let before = service.asked().pop().unwrap();

    let service = Service::new([reply(
        200,
        "idempotent-replayed: true\r\n",
        &json!({
            "response": { "data": 1 }, "charge_id": "chg_1", "charged_credits": 5, "balance_credits": 0,
        }),
    )]);
    let parameters = json!({ "day": 1, "place": "Lisbon" });
    let options = CallOptions {
        request_id: Some(request_id),
        session_nonce: Some(session_nonce),
    };
    let reply = service
        .client
        .call_with("weather", "forecast", &parameters, &options)
        .await;
    assert!(reply.unwrap().replayed);
    assert_eq!(service.asked(), [before]);
}

#[tokio::test]
async fn an_error_of_the_service_that_does_not_tell_of_the_charge_leaves_it_open() {
    let service = Service::new([session("s-1"), problem(500, "INTERNAL")]);
    let error = call(&service).await.unwrap_err();
    assert_eq!(error.code(), "CALL_OUTCOME_UNKNOWN");
    assert!(!error.is_unreachable());
}

#[tokio::test]
async fn a_session_is_kept_and_replaced_once_when_it_is_refused() {
    for code in [
        "EXTERNAL_SIGNATURE_SESSION_NONCE_EXPIRED",
        "EXTERNAL_SIGNATURE_SESSION_NONCE_INVALID",
    ] {
        let service = Service::new([
            session("s-1"),
            called(),
            problem(401, code),
            session("s-2"),
            called(),
            problem(401, code),
            session("s-3"),
            problem(401, code),
        ]);
        call(&service).await.unwrap();
        call(&service).await.unwrap();
        let error = call(&service).await.unwrap_err();
        assert_eq!(error.code(), code);
        let asked = service.asked();
        let sessions: Vec<_> = [1, 2, 4, 5, 7]
            .map(|index| asked[index].json()["session_nonce"].clone())
            .into();
        assert_eq!(sessions, ["s-1", "s-1", "s-2", "s-2", "s-3"]);
        let id = |index: usize| asked[index].json()["request_id"].clone();
        assert_eq!(id(2), id(4));
        assert_ne!(id(1), id(2));
        verify(&asked[7]);
    }
}

#[tokio::test]
async fn a_call_that_may_have_run_is_not_signed_again_under_another_session() {
    let expired = problem(401, "EXTERNAL_SIGNATURE_SESSION_NONCE_EXPIRED");
    let service = Service::new([session("s-1"), Answer::Lost, expired]);
    let error = call(&service).await.unwrap_err();
    assert_eq!(error.code(), "EXTERNAL_SIGNATURE_SESSION_NONCE_EXPIRED");
    assert_eq!(service.asked().len(), 3);
}

#[tokio::test]
async fn a_nonce_that_would_be_two_lines_is_not_signed() {
    let service = Service::new([session("s-1\nrequest:1")]);
    let error = call(&service).await.unwrap_err();
    assert_eq!(error.code(), "UNEXPECTED_ANSWER");
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test]
async fn reads_the_balance() {
    let wallet = Wallet::from_hex(KEY).unwrap().address();
    let balance = json!({
        "success": true, "wallet_address": wallet.to_string(), "balance_credits": 95.5,
        "held_credits": 5, "available_credits": 90.5, "balance_usd": "0.955", "grants": [],
    });
    let service = Service::new([session("s-1"), Answer::Lost, ok(&balance)]);
    let balance = service.client.balance().await.unwrap();
    assert_eq!(balance.wallet, wallet);
    let amounts = [balance.total, balance.held, balance.available].map(|it| it.to_string());
    assert_eq!(amounts, ["95.5", "5", "90.5"]);
    let asked = service.asked();
    assert_eq!(asked[1].line, "POST /api/external/credits/balance");
    verify(&asked[1]);
}
