//! Purchases: one payment is signed, and sent until it is answered.

use super::*;
use crate::{
    auth::{SponsorMessage, SponsorReference},
    base::{AgentAddress, AssetId, Credits, NetworkId},
    client::offer::tests::{USDC, header, offer},
    payment::TokenDomain,
    x402::{SettleResponse, SignedPayment, encode_header},
};

const ID: &str = "pur_000102030405060708090a0b0c0d0e0f";

pub(super) const NETWORK: NetworkId = NetworkId::from_chain_id(84532);

/// A 402 that asks for a dollar.
fn quote() -> Answer {
    required(&[offer("eip155:84532", USDC, "1000000")])
}

pub(super) fn required(accepts: &[Value]) -> Answer {
    let header = format!("payment-required: {}\r\n", header(accepts));
    reply(402, &header, &json!({ "x402Version": 2, "error": "pay" }))
}

fn credited() -> Answer {
    ok(&json!({
        "success": true, "purchase_id": ID, "status": "credited", "credits_purchased": 100,
        "balance_credits": 100, "balance_usd": "1.00", "transaction": "0xab",
        "network": "eip155:84532",
    }))
}

pub(super) fn settling() -> Answer {
    // Wherever it points, the purchase is asked for at the service that the client was given.
    let url = "http://127.0.0.1:1/elsewhere";
    reply(
        202,
        "",
        &json!({ "status": "settling", "purchase_id": ID, "status_url": url }),
    )
}

pub(super) fn status(state: &str) -> Answer {
    ok(&json!({ "purchase_id": ID, "status": state, "credits": 100, "transaction": null }))
}

pub(super) fn refused(reason: &str) -> Answer {
    let response = SettleResponse::refused(NETWORK, None, reason);
    let header = format!(
        "payment-response: {}\r\n",
        encode_header(&response).unwrap()
    );
    reply(402, &header, &json!({ "x402Version": 2, "error": reason }))
}

async fn buy(service: &Service) -> Result<Purchase, ClientError> {
    let hundred = "100".parse().unwrap();
    service.client.buy(hundred, &BuyOptions::default()).await
}

/// Reads a payment header as the service does, and checks who signed it.
pub(super) fn verify(asked: &Asked) -> SignedPayment {
    let payment = SignedPayment::from_header(asked.payment.as_ref().unwrap()).unwrap();
    let token: AgentAddress = USDC.parse().unwrap();
    let domain = TokenDomain {
        asset: AssetId {
            network: NETWORK,
            token: token.address(),
        },
        name: "USDC".into(),
        version: "2".into(),
    };
    let signature = hex::encode(&payment.signature);
    let signature: crate::auth::Signature = signature.parse().unwrap();
    let payer = signature.recover(payment.authorization.digest(&domain).0);
    assert_eq!(
        payer.map(AgentAddress::address),
        Some(payment.authorization.from)
    );
    payment
}

/// No request but those after the first carries a payment, and all of them the same.
fn assert_one_payment(asked: &[Asked], payments: usize) {
    let sent: Vec<_> = asked.iter().filter(|it| it.payment.is_some()).collect();
    assert_eq!(sent.len(), payments);
    assert_eq!(asked[0].payment, None);
    assert!(sent.iter().all(|it| *it == sent[0]));
}

#[tokio::test]
async fn pays_what_is_asked_for() {
    let service = Service::new([quote(), credited()]);
    let purchase = buy(&service).await.unwrap();
    assert_eq!(purchase.id, ID);
    assert_eq!(purchase.credits.to_string(), "100");
    assert_eq!(purchase.balance, Some(purchase.credits));
    let asked = service.asked();
    assert_eq!(asked[0].line, "POST /api/external/credits/purchase");
    let wallet = Wallet::from_hex(KEY).unwrap().address();
    let order = format!(r#"{{"wallet_address":"{wallet}","credits":100,"payment_method":"x402"}}"#);
    assert_eq!((&asked[0].body, &asked[1].body), (&order, &order));
    let payment = verify(&asked[1]);
    let terms = payment.authorization;
    assert_eq!(terms.from, wallet.address());
    assert_eq!(terms.value.to_string(), "1000000");
    assert_eq!(terms.valid_after, 0);
    assert_eq!(i64::try_from(terms.valid_before).unwrap(), NOW + 300);
    assert_eq!(payment.terms.unwrap().amount, terms.value);
}

#[tokio::test]
async fn every_purchase_has_a_nonce_of_its_own() {
    let service = Service::new([quote(), credited(), quote(), credited()]);
    buy(&service).await.unwrap();
    buy(&service).await.unwrap();
    let asked = service.asked();
    let nonce = |index: usize| verify(&asked[index]).authorization.nonce;
    assert_ne!(nonce(1), nonce(3));
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_with_the_same_payment() {
    for unanswered in [
        Answer::Lost,
        problem(503, "UNAVAILABLE"),
        problem(429, "SLOW_DOWN"),
    ] {
        let service = Service::new([quote(), unanswered, Answer::Lost, credited()]);
        buy(&service).await.unwrap();
        assert_one_payment(&service.asked(), 3);
    }
}

#[tokio::test]
async fn a_purchase_under_way_is_followed_to_its_end() {
    let service = Service::new([
        quote(),
        Answer::Lost,
        settling(),
        status("authorized"),
        Answer::Lost,
        status("broadcast"),
        status("credited"),
    ]);
    let purchase = buy(&service).await.unwrap();
    assert_eq!((purchase.id.as_str(), purchase.balance), (ID, None));
    assert_eq!(purchase.credits.to_string(), "100");
    let asked = service.asked();
    assert_one_payment(&asked, 2);
    let path = format!("GET /api/external/credits/purchases/{ID}");
    assert!(asked[3..].iter().all(|it| it.line == path));
}

#[tokio::test]
async fn a_purchase_that_fails_or_takes_too_long_says_so() {
    for state in ["failed", "expired", "refused"] {
        let service = Service::new([quote(), settling(), status(state)]);
        let error = buy(&service).await.unwrap_err();
        assert_eq!(error.code(), "PAYMENT_REFUSED");
        assert_one_payment(&service.asked(), 1);
    }
    let service = Service::new([
        quote(),
        settling(),
        status("broadcast"),
        status("broadcast"),
        status("confirmed"),
    ]);
    let error = buy(&service).await.unwrap_err();
    let ClientError::Settling {
        purchase_id,
        status,
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!((purchase_id.as_str(), status.as_str()), (ID, "confirmed"));
    assert_one_payment(&service.asked(), 1);
}

#[tokio::test]
async fn a_refused_payment_is_the_last() {
    let service = Service::new([quote(), refused("insufficient_funds")]);
    let error = buy(&service).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "The payment was refused: insufficient_funds."
    );
    assert_one_payment(&service.asked(), 1);
}

#[tokio::test]
async fn a_payment_that_is_never_answered_is_told_as_unknown() {
    let lost = [Answer::Lost, Answer::Lost, Answer::Lost, Answer::Lost];
    let service = Service::new([quote()].into_iter().chain(lost));
    let error = buy(&service).await.unwrap_err();
    assert_eq!(error.code(), "PAYMENT_OUTCOME_UNKNOWN");
    assert_one_payment(&service.asked(), 4);

    let service = Service::new([quote(), problem(500, "INTERNAL")]);
    let error = buy(&service).await.unwrap_err();
    assert_eq!(error.code(), "PAYMENT_OUTCOME_UNKNOWN");
    assert_one_payment(&service.asked(), 1);
}

#[tokio::test]
async fn more_than_credits_are_worth_is_not_signed() {
    let service = Service::new([required(&[offer("eip155:84532", USDC, "1000001")])]);
    let error = buy(&service).await.unwrap_err();
    assert_eq!(error.code(), "SPENDING_LIMIT");
    assert_one_payment(&service.asked(), 0);
}

#[tokio::test]
async fn a_refused_order_is_not_paid() {
    let body = json!({ "code": "CREDITS_NOT_A_MULTIPLE", "suggested_credits": 200 });
    let service = Service::new([reply(400, "", &body)]);
    let error = buy(&service).await.unwrap_err();
    assert_eq!(error.code(), "CREDITS_NOT_A_MULTIPLE");
    assert_one_payment(&service.asked(), 0);
}

#[tokio::test]
async fn who_pays_for_another_says_so_for_this_payment_alone() {
    let service = Service::new([quote(), credited()]);
    let recipient: AgentAddress = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"
        .parse()
        .unwrap();
    let credits: Credits = "100".parse().unwrap();
    let options = BuyOptions {
        for_wallet: Some(recipient),
        ..BuyOptions::default()
    };
    service.client.buy(credits, &options).await.unwrap();
    let asked = service.asked();
    let order = asked[1].json();
    assert_eq!(order["wallet_address"], recipient.to_string());
    let payer = Wallet::from_hex(KEY).unwrap().address();
    assert_eq!(order["payer_wallet_address"], payer.to_string());
    let reference = SponsorReference::Nonce(verify(&asked[1]).authorization.nonce);
    let consent = SponsorMessage {
        payer,
        recipient,
        credits,
        reference,
    };
    let signature = order["sponsor_signature"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    consent.candidates().verify(&signature).unwrap();
}
