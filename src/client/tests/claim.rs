//! Claims: what is sent, and how it is answered.

use alloy::primitives::B256;

use super::{
    buy::{NETWORK, refused, settling, status},
    *,
};
use crate::auth::{Signature, SponsorMessage, SponsorReference};

const HASH: B256 = B256::repeat_byte(0xab);

fn credited() -> Answer {
    ok(&json!({
        "success": true, "purchase_id": "pur_1", "status": "credited", "credits_purchased": 7,
        "transaction": format!("{HASH:#x}"), "network": NETWORK.to_string(),
    }))
}

#[tokio::test]
async fn names_its_transaction_and_brings_no_payment() {
    let service = Service::new([Answer::Lost, problem(503, "UNAVAILABLE"), credited()]);
    let purchase = service.client.claim(HASH, &ClaimOptions::default()).await;
    let purchase = purchase.unwrap();
    assert_eq!(
        (purchase.credits.to_string(), purchase.balance),
        ("7".into(), None)
    );
    let asked = service.asked();
    let wallet = Wallet::from_hex(KEY).unwrap().address();
    let body = format!(
        r#"{{"wallet_address":"{wallet}","transaction_hash":"{HASH:#x}","payment_method":"x402"}}"#
    );
    assert_eq!(asked.len(), 3);
    for asked in asked {
        assert_eq!(asked.line, "POST /api/external/credits/purchase");
        assert_eq!((asked.body, asked.payment), (body.clone(), None));
    }
}

#[tokio::test]
async fn consents_for_another_wallet_by_the_transaction() {
    let service = Service::new([settling(), status("broadcast"), status("credited")]);
    let recipient = "0x0000000000000000000000000000000000000009"
        .parse()
        .unwrap();
    let credits = "12.5".parse().unwrap();
    let claimed = service
        .client
        .claim_for(recipient, credits, HASH, Some(NETWORK));
    claimed.await.unwrap();
    let body = service.asked()[0].json();
    let payer = Wallet::from_hex(KEY).unwrap().address();
    assert_eq!(body["wallet_address"], recipient.to_string());
    assert_eq!(body["payer_wallet_address"], payer.to_string());
    assert_eq!(body["network"], NETWORK.to_string());
    assert_eq!(body["credits"], 12.5);
    let message = SponsorMessage {
        payer,
        recipient,
        credits,
        reference: SponsorReference::Transaction(HASH),
    };
    let signature: Signature = body["sponsor_signature"].as_str().unwrap().parse().unwrap();
    assert!(message.candidates().verify(&signature).is_ok());
}

#[tokio::test]
async fn a_refusal_says_why() {
    let service = Service::new([refused("transaction_not_found")]);
    let claimed = service.client.claim(HASH, &ClaimOptions::default()).await;
    let error = claimed.unwrap_err();
    assert!(
        matches!(&error, ClientError::PaymentRefused { reason } if reason == "transaction_not_found"),
        "{error}"
    );
}
