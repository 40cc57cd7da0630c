//! The payment itself: every shape it may come in, every reason to refuse it, and what is none.

use alloy::primitives::{Address, U256};
use base64::{
    Engine,
    engine::general_purpose::{
        GeneralPurpose, STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD,
    },
};
use serde_json::{Value, json};

use crate::support::{
    House, Payment, Reply, Wallet,
    client::{PURCHASE, purchase},
    now,
    payment::encode,
    run,
    wallet::malleated,
};

/// Writes a payment in one of the accepted shapes.
type Shape<'a> = &'a dyn Fn(&Payment) -> Value;

#[test]
fn a_payment_may_come_in_many_shapes() {
    run(async {
        let house = House::new().await;
        let v2 = |payment: &Payment| payment.document();
        let wrapped = |payment: &Payment| json!({ "paymentPayload": payment.document() });
        let versioned = |payment: &Payment| {
            let mut inner = payment.document();
            inner.as_object_mut().unwrap().shift_remove("x402Version");
            json!({ "x402Version": 2, "paymentPayload": inner })
        };
        let flat = |payment: &Payment| {
            json!({
                "x402Version": 2,
                "scheme": "exact",
                "network": "eip155:84532",
                "payload": payment.proof(),
            })
        };
        let wrapped_flat = |payment: &Payment| json!({ "paymentPayload": flat(payment) });
        let full = |payment: &Payment| {
            let mut document = payment.document();
            document["resource"] = json!({ "url": "http://elsewhere.test/", "description": "" });
            document["extensions"] = json!({});
            document["unknown"] = json!([1]);
            document
        };
        let shapes: [(&str, Shape<'_>, GeneralPurpose); 12] = [
            ("PAYMENT-SIGNATURE", &v2, STANDARD),
            ("X-PAYMENT", &v2, STANDARD),
            ("PAYMENT", &v2, STANDARD),
            ("PAYMENT-SIGNATURE", &v2, STANDARD_NO_PAD),
            ("PAYMENT-SIGNATURE", &v2, URL_SAFE),
            ("X-PAYMENT", &v2, URL_SAFE_NO_PAD),
            ("PAYMENT-SIGNATURE", &wrapped, STANDARD),
            ("PAYMENT-SIGNATURE", &versioned, STANDARD),
            ("PAYMENT-SIGNATURE", &flat, STANDARD),
            ("X-PAYMENT", &flat, STANDARD),
            ("PAYMENT-SIGNATURE", &wrapped_flat, STANDARD),
            ("PAYMENT-SIGNATURE", &full, STANDARD),
        ];
        for (index, (name, shape, engine)) in shapes.iter().enumerate() {
            let wallet = Wallet::random();
            house.chain_dollars(&wallet, 100).await;
            let payment = house.quote(&wallet, 100).await;
            // White space makes the text need both alphabets and padding now and then.
            let header = engine.encode(format!("{}{}", shape(&payment), " ".repeat(index % 3)));
            let reply = house
                .pay_header(&purchase(&wallet, 100), name, &header)
                .await;
            assert_eq!(reply.status, 200, "shape {index}: {}", reply.text());
            assert_eq!(reply.json["balance_credits"], 100, "shape {index}");
        }
        let books = house.books().await;
        assert_eq!(books.payments("purchase credited"), 12);
        assert_eq!(house.received().await, U256::from(12_000_000));
    });
}

/// A change to a payment of 100 credits by the wallet.
type Change = fn(&mut Payment, &Wallet);

const REFUSALS: [(&str, &str, Change); 19] = [
    ("scheme", "unsupported_scheme", |payment, _| {
        payment.accepted["scheme"] = json!("upto");
    }),
    ("network", "invalid_network", |payment, wallet| {
        payment.accepted["network"] = json!("eip155:8453");
        payment.sign(wallet);
    }),
    (
        "asset",
        "invalid_exact_evm_payload_asset_mismatch",
        |payment, wallet| {
            payment.accepted["asset"] = json!("0x833589fcd6edb6e08f4c7c32d4f71b54bda02913");
            payment.sign(wallet);
        },
    ),
    (
        "recipient",
        "invalid_exact_evm_payload_recipient_mismatch",
        |payment, wallet| {
            payment.authorization.to = Address::repeat_byte(0x77);
            payment.sign(wallet);
        },
    ),
    (
        "recipient in accepted only",
        "invalid_exact_evm_payload_recipient_mismatch",
        |payment, _| payment.accepted["payTo"] = json!(format!("0x{}", "77".repeat(20))),
    ),
    (
        "amount too low",
        "invalid_exact_evm_payload_authorization_value",
        |payment, wallet| {
            payment.authorization.value -= U256::ONE;
            payment.sign(wallet);
        },
    ),
    (
        "amount too high",
        "invalid_exact_evm_payload_authorization_value",
        |payment, wallet| {
            payment.authorization.value += U256::ONE;
            payment.sign(wallet);
        },
    ),
    (
        "amount of zero",
        "invalid_exact_evm_payload_authorization_value",
        |payment, wallet| {
            payment.authorization.value = U256::ZERO;
            payment.sign(wallet);
        },
    ),
    (
        "amount in accepted only",
        "invalid_exact_evm_payload_authorization_value",
        |payment, _| payment.accepted["amount"] = json!("2000000"),
    ),
    (
        "expired",
        "invalid_exact_evm_payload_authorization_valid_before",
        |payment, wallet| {
            payment.authorization.valid_before = now() - 1;
            payment.sign(wallet);
        },
    ),
    (
        "about to expire",
        "invalid_exact_evm_payload_authorization_valid_before",
        |payment, wallet| {
            payment.authorization.valid_before = now() + 3;
            payment.sign(wallet);
        },
    ),
    (
        "valid for too long",
        "invalid_exact_evm_payload_authorization_valid_before",
        |payment, wallet| {
            payment.authorization.valid_before = now() + 3_700;
            payment.sign(wallet);
        },
    ),
    (
        "valid for ever",
        "invalid_exact_evm_payload_authorization_valid_before",
        |payment, wallet| {
            payment.authorization.valid_before = u64::MAX;
            payment.sign(wallet);
        },
    ),
    (
        "not yet valid",
        "invalid_exact_evm_payload_authorization_valid_after",
        |payment, wallet| {
            payment.authorization.valid_after = now() + 60;
            payment.sign(wallet);
        },
    ),
    (
        "by another key",
        "invalid_exact_evm_payload_signature",
        |payment, _| payment.sign(&Wallet::random()),
    ),
    (
        "over another nonce",
        "invalid_exact_evm_payload_signature",
        |payment, _| payment.authorization.nonce.0[0] ^= 1,
    ),
    (
        "over another domain",
        "invalid_exact_evm_payload_signature",
        |payment, wallet| {
            payment.accepted["extra"]["version"] = json!("1");
            payment.sign(wallet);
        },
    ),
    (
        "malleated",
        "invalid_exact_evm_payload_signature",
        |payment, _| payment.signature = malleated(&payment.signature),
    ),
    (
        "no signature",
        "invalid_exact_evm_payload_signature",
        |payment, _| payment.signature.truncate(64),
    ),
];

#[test]
fn a_payment_that_is_not_what_was_asked_is_refused() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let good = house.quote(&wallet, 100).await;
        let before = house.books().await;
        for (what, reason, change) in REFUSALS {
            let mut payment = good.clone();
            change(&mut payment, &wallet);
            let reply = house.pay(&wallet, 100, &payment).await;
            assert_eq!(reply.status, 402, "{what}: {}", reply.text());
            check_refusal(&reply, reason, &wallet);
            let offer = &reply.payment_required()["accepts"][0];
            assert_eq!(*offer, good.accepted, "{what}");
            assert_eq!(house.books().await, before, "{what}");
        }
        // All along, the payment itself was good.
        house.pay(&wallet, 100, &good).await.expect(200);
    });
}

/// A 402 with its reason, and what to pay instead.
#[track_caller]
pub(crate) fn check_refusal(reply: &Reply, reason: &str, payer: &Wallet) {
    assert_eq!(reply.status, 402, "{}", reply.text());
    let response = reply.payment_response().expect("PAYMENT-RESPONSE");
    assert_eq!(response["success"], false, "{response}");
    assert_eq!(response["errorReason"], reason, "{response}");
    assert_eq!(response["payer"], payer.name(), "{response}");
    assert_eq!(response["transaction"], "", "{response}");
    assert_eq!(reply.json["error"], reason);
    assert_eq!(reply.json, reply.payment_required());
}

#[test]
fn a_header_that_is_no_payment_is_refused() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let good = house.quote(&wallet, 100).await;
        let other = house.quote(&wallet, 100).await;
        let before = house.books().await;
        for (what, header) in bad_headers(&good) {
            let body = purchase(&wallet, 100);
            let reply = house.pay_header(&body, "payment-signature", &header).await;
            assert_eq!(
                reply.json["code"],
                "INVALID_PAYMENT",
                "{what}: {}",
                reply.text()
            );
            reply.problem(400, "INVALID_PAYMENT");
        }
        let body = purchase(&wallet, 100).to_string();
        let (header, another) = (good.header(), other.header());
        for headers in [
            [
                ("payment-signature", header.as_str()),
                ("x-payment", &another),
            ],
            [
                ("payment-signature", &header),
                ("payment-signature", &another),
            ],
            [("payment", &another), ("x-payment", &header)],
        ] {
            let reply = house.post_with(PURCHASE, body.clone(), &headers).await;
            reply.problem(400, "INVALID_PAYMENT");
        }
        assert_eq!(house.books().await, before);

        // The same in two headers is one payment.
        house.chain_dollars(&wallet, 100).await;
        let headers = [
            ("payment-signature", header.as_str()),
            ("x-payment", &header),
        ];
        house.post_with(PURCHASE, body, &headers).await.expect(200);
    });
}

/// Headers that look like `good` and are no payment.
fn bad_headers(good: &Payment) -> Vec<(&'static str, String)> {
    let edited = |pointer: &str, value: Value| {
        let mut document = good.document();
        *document.pointer_mut(pointer).unwrap() = value;
        encode(&document)
    };
    let without = |pointer: &str, name: &str| {
        let mut document = good.document();
        let object = document.pointer_mut(pointer).unwrap();
        object.as_object_mut().unwrap().shift_remove(name);
        encode(&document)
    };
    let authorization = "/payload/authorization";
    vec![
        ("empty", String::new()),
        ("not base64", "{}".into()),
        ("not JSON", STANDARD.encode("hello")),
        (
            "half of it",
            STANDARD.encode(&good.document().to_string()[..200]),
        ),
        ("not UTF-8", STANDARD.encode(b"{\"a\":\"\xff\"}")),
        ("an array", encode(&json!([good.document()]))),
        ("null", encode(&json!(null))),
        ("deep", STANDARD.encode("[".repeat(5_000))),
        ("huge", STANDARD.encode("x".repeat(20_000))),
        ("enormous", "x".repeat(100_000)),
        ("version 1", edited("/x402Version", json!(1))),
        ("version 3", edited("/x402Version", json!(3))),
        ("no version", without("", "x402Version")),
        ("no payload", without("", "payload")),
        ("no terms", without("", "accepted")),
        ("no asset", without("/accepted", "asset")),
        ("no signature", without("/payload", "signature")),
        ("bad signature", edited("/payload/signature", json!("0xzz"))),
        ("no nonce", without(authorization, "nonce")),
        ("no value", without(authorization, "value")),
        (
            "short nonce",
            edited(&format!("{authorization}/nonce"), json!("0x01")),
        ),
        (
            "fractional value",
            edited(&format!("{authorization}/value"), json!("1.5")),
        ),
        (
            "negative value",
            edited(&format!("{authorization}/value"), json!("-1")),
        ),
        (
            "value above 256 bits",
            edited(&format!("{authorization}/value"), json!("9".repeat(78))),
        ),
        (
            "bad checksum",
            edited(
                &format!("{authorization}/from"),
                json!("0x036CbD53842c5426634e7929541eC2318f3dCF7E"),
            ),
        ),
        (
            "network by name",
            edited("/accepted/network", json!("base-sepolia")),
        ),
    ]
}
