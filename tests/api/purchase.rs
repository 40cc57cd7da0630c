//! Buying credits: the offer, the payment in all its shapes, every refusal, and who may pay for
//! whom.

use std::sync::Arc;

use alloy::primitives::{Address, U256};
use base64::{
    Engine,
    engine::general_purpose::{
        GeneralPurpose, STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD,
    },
};
use serde_json::{Value, json};

use crate::support::{
    Chain, House, Payment, Reply, Setup, Wallet,
    client::{PURCHASE, keys, purchase},
    now,
    payment::encode,
    run, until,
};

const STATUS: &str = "/api/external/credits/purchases";

/// Writes a payment in one of the accepted shapes.
type Shape<'a> = &'a dyn Fn(&Payment) -> Value;

#[test]
fn an_offer_says_what_to_pay_and_is_not_kept() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let before = house.books().await;
        let reply = house
            .post(PURCHASE, &purchase(&wallet, 300))
            .await
            .expect(402);
        assert!(reply.header("payment-required").unwrap().len() <= 8192);
        let required = reply.payment_required();
        assert_eq!(required, reply.json);
        assert_eq!(reply.payment_response(), None);
        assert_eq!(required["x402Version"], 2);
        assert!(
            required["error"]
                .as_str()
                .is_some_and(|error| !error.is_empty())
        );
        // The address of the server is what its operator says, not what Host says.
        let url = "http://counterfoil.test/api/external/credits/purchase";
        assert_eq!(required["resource"]["url"], url);
        assert_eq!(
            required["accepts"],
            json!([{
                "scheme": "exact",
                "network": "eip155:84532",
                "amount": "3000000",
                "asset": "0x036cbd53842c5426634e7929541ec2318f3dcf7e",
                "payTo": format!("{:#x}", house.pay_to),
                "maxTimeoutSeconds": 300,
                "extra": { "name": "USDC", "version": "2" },
            }])
        );
        assert_eq!(house.books().await, before);
    });
}

#[test]
fn a_payment_becomes_credits_once() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 300).await;
        let payment = house.quote(&wallet, 300).await;
        let reply = house.pay(&wallet, 300, &payment).await.expect(200);
        let bought = &reply.json;
        let id = bought["purchase_id"].as_str().unwrap().to_owned();
        let transaction = bought["transaction"].as_str().unwrap().to_owned();
        assert!(transaction.starts_with("0x") && transaction.len() == 66);
        let expected = json!({
            "success": true,
            "purchase_id": id,
            "status": "credited",
            "wallet_address": wallet.name(),
            "credits_purchased": 300,
            "balance_credits": 300,
            "balance_usd": "3.00",
            "transaction": transaction,
            "network": "eip155:84532",
        });
        assert_eq!(*bought, expected);
        let settled = json!({
            "success": true,
            "payer": wallet.name(),
            "transaction": transaction,
            "network": "eip155:84532",
            "amount": "3000000",
        });
        assert_eq!(reply.payment_response(), Some(settled.clone()));
        assert_eq!(house.received().await, U256::from(3_000_000));

        // Whoever knows the id may see how it went; the chain tells everybody the authorization,
        // so whoever sends that again learns no more.
        let status = house.get(&format!("{STATUS}/{id}")).await.expect(200);
        let expected = json!({
            "success": true,
            "purchase_id": id,
            "status": "credited",
            "credits": 300,
            "transaction": transaction,
            "network": "eip155:84532",
        });
        assert_eq!(status.json, expected);
        let books = house.books().await;
        for body in [
            purchase(&wallet, 300),
            purchase(&wallet, 100),
            purchase(&Wallet::random(), 300),
        ] {
            let again = house.pay_for(&body, &payment).await;
            let again = again.expect(200);
            let expected = json!({
                "success": true,
                "purchase_id": id,
                "status": "credited",
                "credits_purchased": 300,
                "transaction": transaction,
                "network": "eip155:84532",
            });
            assert_eq!(again.json, expected);
            assert_eq!(again.payment_response(), Some(settled.clone()));
        }
        assert_eq!(house.books().await, books);
        assert_eq!(books.payments("purchase credited"), 1);

        let unknown = format!("{STATUS}/{}", flip_last(&id));
        for path in [&unknown, "/api/external/credits/purchases/none"] {
            house.get(path).await.problem(404, "PURCHASE_NOT_FOUND");
        }
    });
}

/// The same id but for its last digit.
fn flip_last(id: &str) -> String {
    let (rest, last) = id.split_at(id.len() - 1);
    format!("{rest}{}", if last == "0" { "1" } else { "0" })
}

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
        |payment, _| payment.signature = crate::support::wallet::malleated(&payment.signature),
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
fn check_refusal(reply: &Reply, reason: &str, payer: &Wallet) {
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
fn a_payment_without_funds_is_refused_and_good_once_they_are_there() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let payment = house.quote(&wallet, 100).await;
        let before = house.books().await;
        let reply = house.pay(&wallet, 100, &payment).await;
        check_refusal(&reply, "insufficient_funds", &wallet);
        assert_eq!(house.books().await, before);
        house.chain_dollars(&wallet, 100).await;
        let reply = house.pay(&wallet, 100, &payment).await.expect(200);
        assert_eq!(reply.json["balance_credits"], 100);
    });
}

#[test]
fn the_amount_asked_for_is_told_before_the_payment_is_judged() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let payment = house.quote(&wallet, 100).await;
        let before = house.books().await;
        // Paid for 100, asked for 200: the offer is for what is asked.
        let reply = house.pay(&wallet, 200, &payment).await;
        let reason = "invalid_exact_evm_payload_authorization_value";
        check_refusal(&reply, reason, &wallet);
        assert_eq!(reply.json["accepts"][0]["amount"], "2000000");
        let reply = house.pay(&wallet, 150, &payment).await;
        let reply = reply.problem(400, "CREDITS_NOT_A_MULTIPLE");
        assert_eq!(reply.json["suggested_credits"], 200);
        assert_eq!(house.books().await, before);
    });
}

#[test]
fn a_header_that_is_no_payment_is_refused() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let good = house.quote(&wallet, 100).await;
        let other = house.quote(&wallet, 100).await;
        let before = house.books().await;
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
        for (what, header) in [
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
        ] {
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

#[test]
fn somebody_else_pays_with_a_word_for_it() {
    run(async {
        let house = House::new().await;
        let (payer, agent, other) = (Wallet::random(), Wallet::random(), Wallet::random());
        house.chain_dollars(&payer, 200).await;
        let payment = house.quote(&payer, 100).await;
        let nonce = payment.nonce();
        let mut other_nonce = nonce;
        other_nonce.0[31] ^= 1;
        let before = house.books().await;
        let (missing, invalid) = ("sponsor_signature_missing", "sponsor_signature_invalid");
        for (what, signature, reason) in [
            ("none", None, missing),
            (
                "other credits",
                Some(payer.sponsor(&agent, 200, nonce)),
                invalid,
            ),
            (
                "other nonce",
                Some(payer.sponsor(&agent, 100, other_nonce)),
                invalid,
            ),
            (
                "other recipient",
                Some(payer.sponsor(&other, 100, nonce)),
                invalid,
            ),
            (
                "by the recipient",
                Some(agent.sponsor(&agent, 100, nonce)),
                invalid,
            ),
            (
                "by a stranger",
                Some(other.sponsor(&agent, 100, nonce)),
                invalid,
            ),
            ("of another text", Some(payer.sign("I pay")), invalid),
        ] {
            let reply = house.pay_for(&sponsored(&agent, signature), &payment).await;
            assert_eq!(reply.status, 402, "{what}: {}", reply.text());
            check_refusal(&reply, reason, &payer);
            assert_eq!(house.books().await, before, "{what}");
        }
        let malformed = sponsored(&agent, Some("0x12".into()));
        let reply = house.pay_for(&malformed, &payment).await;
        let reply = reply.problem(400, "INVALID_REQUEST");
        assert_eq!(reply.pointers(), ["/sponsor_signature"]);

        let mut body = sponsored(&agent, Some(payer.sponsor(&agent, 100, nonce)));
        body["payer_wallet_address"] = json!(other.name());
        let reply = house.pay_for(&body, &payment).await;
        check_refusal(&reply, "payer_mismatch", &payer);
        assert_eq!(house.books().await, before);

        body["payer_wallet_address"] = json!(payer.name());
        let reply = house.pay_for(&body, &payment).await;
        let reply = reply.expect(200);
        assert_eq!(reply.json["wallet_address"], agent.name());
        assert_eq!(reply.json["balance_credits"], 100);
        let books = house.books().await;
        assert_eq!((books.units(&agent), books.units(&payer)), (1_000_000, 0));

        // The word was for that payment alone.
        let next = house.quote(&payer, 100).await;
        let reply = house.pay_for(&body, &next).await;
        check_refusal(&reply, invalid, &payer);
    });
}

fn sponsored(agent: &Wallet, signature: Option<String>) -> Value {
    let mut body = purchase(agent, 100);
    if let Some(signature) = signature {
        body["sponsor_signature"] = json!(signature);
    }
    body
}

#[test]
fn a_payment_that_waits_for_its_block_is_known_by_its_id() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let setup =
            Setup::on(chain.clone()).with("settle_wait_seconds = 20", "settle_wait_seconds = 0");
        let house = House::with(setup).await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        chain.set_automine(false).await.unwrap();
        let payment = house.quote(&wallet, 100).await;

        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        assert_eq!(reply.json["status"], "settling");
        assert_eq!(reply.payment_response(), None);
        assert_eq!(reply.header("payment-required"), None);
        let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!(wait > 0);
        let id = reply.json["purchase_id"].as_str().unwrap();
        let url = reply.json["status_url"].as_str().unwrap();
        let path = url.strip_prefix("http://counterfoil.test").unwrap();
        assert_eq!(path, format!("{STATUS}/{id}"));
        until("it is not broadcast", async || {
            house.get(path).await.expect(200).json["status"] == "broadcast"
        })
        .await;
        assert_eq!(house.balance(&wallet).await["balance_credits"], 0);

        // Sent again it is the same purchase: never a second offer.
        let again = house.pay(&wallet, 100, &payment).await.expect(202);
        assert_eq!(again.json["purchase_id"], id);

        until("it is not credited", async || {
            chain.mine(1).await.unwrap();
            house.get(path).await.expect(200).json["status"] == "credited"
        })
        .await;
        let done = house.pay(&wallet, 100, &payment).await.expect(200);
        assert_eq!(done.json["purchase_id"], id);
        assert_eq!(house.books().await.units(&wallet), 1_000_000);
        assert_eq!(house.received().await, U256::from(1_000_000));
    });
}

#[test]
fn a_purchase_may_name_its_network_and_a_label() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let mut body = purchase(&wallet, 100);
        body["network"] = json!("eip155:84532");
        body["request_id"] = json!("order 17, für später");
        let reply = house.post(PURCHASE, &body).await.expect(402);
        assert_eq!(reply.json["accepts"].as_array().unwrap().len(), 1);
        let payment = Payment::of(&reply, &wallet);
        let reply = house.pay_for(&body, &payment).await;
        assert!(keys(&reply.expect(200).json).contains(&"purchase_id"));

        // A label is no key: the next purchase may have the same.
        house.chain_dollars(&wallet, 100).await;
        let payment = house.quote(&wallet, 100).await;
        let reply = house.pay_for(&body, &payment).await;
        assert_eq!(reply.expect(200).json["balance_credits"], 200);

        body["network"] = json!("eip155:1");
        let reply = house
            .post(PURCHASE, &body)
            .await
            .problem(400, "INVALID_REQUEST");
        assert_eq!(reply.pointers(), ["/network"]);
    });
}

#[test]
fn each_asset_has_its_offer_and_a_payment_finds_its_own() {
    run(async {
        // A second token, with more decimals, listed first. Nobody pays with it.
        let other = "0x00000000000000000000000000000000000000d1";
        let first = format!(
            "[[network.asset]]\naddress = \"{other}\"\nsymbol = \"DAI\"\ndecimals = 18\n\
             eip712_name = \"DAI\"\neip712_version = \"1\"\n\n[[network.asset]]"
        );
        let house = House::with(Setup::default().with("[[network.asset]]", &first)).await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 200).await;
        let offer = house
            .post(PURCHASE, &purchase(&wallet, 100))
            .await
            .expect(402);
        let accepts = offer.json["accepts"].as_array().unwrap();
        assert_eq!(accepts.len(), 2);
        assert_eq!(accepts[0]["asset"], other);
        assert_eq!(accepts[0]["amount"], "1000000000000000000");
        assert_eq!(
            accepts[0]["extra"],
            json!({ "name": "DAI", "version": "1" })
        );
        assert_eq!(accepts[1]["amount"], "1000000");

        // Named, and found by its signature.
        let named = Payment::accept(&accepts[1], &wallet);
        house.pay(&wallet, 100, &named).await.expect(200);
        let unnamed = Payment::accept(&accepts[1], &wallet);
        let header = encode(&json!({
            "x402Version": 2,
            "scheme": "exact",
            "network": "eip155:84532",
            "payload": unnamed.proof(),
        }));
        let body = purchase(&wallet, 100);
        let reply = house.pay_header(&body, "payment-signature", &header).await;
        assert_eq!(reply.expect(200).json["balance_credits"], 200);

        // Credits that do not run out are one grant.
        let balance = house.balance(&wallet).await;
        assert_eq!(balance["grants"].as_array().unwrap().len(), 1, "{balance}");
    });
}
