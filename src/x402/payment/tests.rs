use alloy::primitives::{address, b256, hex};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::*;
use crate::{
    base::AssetId,
    payment::TokenDomain,
    x402::{PaymentPayload, PaymentRequirements, encode_header},
};

/// What `@x402/core` and `@x402/evm` 2.27 made of an offer, with key 0x11…11.
const TYPESCRIPT: &str = r#"{"x402Version":2,"payload":{"authorization":{"from":"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A","to":"0x209693Bc6afc0C5328bA36FaF03C514EF312287C","value":"1000000","validAfter":"0","validBefore":"1795361556","nonce":"0x5cd433164da7a3e4cea979ac79cd5a01dc39b586022718095239ea1907b3feab"},"signature":"0xcf2ef5b6478962509a74012efbe8642f3f663334b2c1d2cb1a141e5970dcfa825d758d14bad78ab8c63aba3e4545ee4b100381d01baeccce851bd5a6d6ec93711b"},"extensions":{"payment-identifier":{"info":{"required":false,"id":"pay_7d5d747be160e280504c099d984bcfe0"},"schema":{}}},"resource":{"url":"http://127.0.0.1:4020/api/external/credits/purchase","description":"100 credits","mimeType":"application/json"},"accepted":{"scheme":"exact","network":"eip155:84532","amount":"1000000","asset":"0x036cbd53842c5426634e7929541ec2318f3dcf7e","payTo":"0x209693bc6afc0c5328ba36faf03c514ef312287c","maxTimeoutSeconds":300,"extra":{"name":"USDC","version":"2"}}}"#;

/// What the Python package `x402` 2.25 made of the same offer.
const PYTHON: &str = r#"{"x402Version":2,"payload":{"authorization":{"from":"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A","to":"0x209693bc6afc0c5328ba36faf03c514ef312287c","value":"1000000","validAfter":"0","validBefore":"1795361790","nonce":"0xb5d3123f170b6493bf43c87301e40e4daaece8f232b5f8f4e7815cfb51ac0a09"},"signature":"0xdfbcfb596bc924678e7127212b597aba9b5d6f53efa84b210eb4c27ff6e207ca4c942e7e44a9605333491419550c0a87dd75e88ad5000726466fc331399038af1b"},"accepted":{"scheme":"exact","network":"eip155:84532","asset":"0x036cbd53842c5426634e7929541ec2318f3dcf7e","amount":"1000000","payTo":"0x209693bc6afc0c5328ba36faf03c514ef312287c","maxTimeoutSeconds":300,"extra":{"name":"USDC","version":"2"}},"resource":{"url":"http://127.0.0.1:4020/api/external/credits/purchase","description":"100 credits","mimeType":"application/json"}}"#;

const TOKEN: Address = address!("036CbD53842c5426634e7929541eC2318f3dCF7e");
const PAY_TO: Address = address!("209693Bc6afc0C5328bA36FaF03C514EF312287C");
const PAYER: Address = address!("19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A");
const NETWORK: NetworkId = NetworkId::from_chain_id(84532);

fn read(document: &Value) -> Result<SignedPayment, PaymentHeaderError> {
    SignedPayment::from_header(&STANDARD.encode(document.to_string()))
}

fn typescript() -> Value {
    serde_json::from_str(TYPESCRIPT).unwrap()
}

/// The TypeScript payload with one value replaced, or removed where `value` is null.
fn altered(pointer: &str, value: Value) -> Value {
    let mut document = typescript();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    match value {
        Value::Null => drop(parent.as_object_mut().unwrap().remove(name)),
        value => parent[name] = value,
    }
    document
}

#[test]
fn reads_the_typescript_client() {
    assert_eq!(
        SignedPayment::from_header(&STANDARD.encode(TYPESCRIPT)).unwrap(),
        SignedPayment {
            version: X402Version::Two,
            scheme: "exact".into(),
            network: NETWORK,
            terms: Some(AcceptedTerms {
                asset: TOKEN,
                pay_to: PAY_TO,
                amount: U256::from(1_000_000),
            }),
            authorization: Authorization {
                method: TransferMethod::Eip3009,
                from: PAYER,
                to: PAY_TO,
                value: U256::from(1_000_000),
                valid_after: 0,
                valid_before: 1_795_361_556,
                nonce: b256!("5cd433164da7a3e4cea979ac79cd5a01dc39b586022718095239ea1907b3feab"),
            },
            signature: hex!("cf2ef5b6478962509a74012efbe8642f3f663334b2c1d2cb1a141e5970dcfa825d758d14bad78ab8c63aba3e4545ee4b100381d01baeccce851bd5a6d6ec93711b").to_vec(),
            payment_identifier: Some("pay_7d5d747be160e280504c099d984bcfe0".into()),
        }
    );
}

#[test]
fn the_digest_of_both_reference_clients_recovers_their_payer() {
    for sample in [TYPESCRIPT, PYTHON] {
        recovers_payer(sample);
    }
}

#[track_caller]
fn recovers_payer(sample: &str) {
    let domain = TokenDomain {
        asset: AssetId {
            network: NETWORK,
            token: TOKEN,
        },
        name: "USDC".into(),
        version: "2".into(),
    };
    let payment = SignedPayment::from_header(&STANDARD.encode(sample)).unwrap();
    let signature = alloy::primitives::Signature::from_raw(&payment.signature).unwrap();
    let digest = payment.authorization.digest(&domain);
    let payer = signature.recover_address_from_prehash(&digest).unwrap();
    assert_eq!(payer, PAYER);
}

#[test]
fn a_payload_may_be_wrapped() {
    let plain = read(&typescript()).unwrap();
    let inner = typescript();
    let unversioned = altered("/x402Version", Value::Null);
    for wrapped in [
        json!({ "paymentPayload": inner, "paymentRequirements": inner["accepted"] }),
        json!({ "x402Version": 2, "paymentPayload": unversioned }),
    ] {
        assert_eq!(read(&wrapped).unwrap(), plain);
    }
}

#[test]
fn scheme_and_network_may_stand_in_place_of_accepted() {
    let mut document = altered("/accepted", Value::Null);
    document["scheme"] = json!("exact");
    document["network"] = json!("eip155:84532");
    let payment = read(&document).unwrap();
    assert_eq!((payment.terms, payment.network), (None, NETWORK));
    assert_eq!(payment.scheme, "exact");
}

#[test]
fn numbers_may_be_json_numbers_and_signatures_bare() {
    let plain = read(&typescript()).unwrap();
    for (pointer, value) in [
        ("/payload/authorization/value", json!(1_000_000)),
        ("/payload/authorization/validAfter", json!(0)),
        (
            "/payload/authorization/validBefore",
            json!(1_795_361_556_u64),
        ),
        ("/accepted/amount", json!(1_000_000)),
        ("/payload/signature", json!(hex::encode(&plain.signature))),
    ] {
        assert_eq!(read(&altered(pointer, value)).unwrap(), plain, "{pointer}");
    }
}

#[test]
fn reads_what_our_own_client_writes() {
    let plain = SignedPayment {
        payment_identifier: None,
        ..read(&typescript()).unwrap()
    };
    let accepted: PaymentRequirements =
        serde_json::from_value(typescript()["accepted"].clone()).unwrap();
    let payload = PaymentPayload::new(accepted, &plain.authorization, &plain.signature);
    let header = encode_header(&payload).unwrap();
    assert_eq!(SignedPayment::from_header(&header).unwrap(), plain);
}

#[test]
fn a_missing_field_is_named() {
    for pointer in [
        "/x402Version",
        "/accepted",
        "/payload",
        "/payload/signature",
        "/payload/authorization",
        "/payload/authorization/from",
        "/payload/authorization/nonce",
        "/accepted/network",
        "/accepted/amount",
    ] {
        assert_eq!(
            read(&altered(pointer, Value::Null)).unwrap_err(),
            PaymentHeaderError::MissingField {
                pointer: pointer.into()
            }
        );
    }
}

#[test]
fn a_bad_field_is_named() {
    let over_uint256 = format!("{}0", U256::MAX);
    for (pointer, value) in [
        ("/x402Version", json!("2")),
        ("/payload", json!("signed")),
        ("/payload/authorization/value", json!("-1")),
        ("/payload/authorization/value", json!("1e6")),
        ("/payload/authorization/value", json!("0x10")),
        ("/payload/authorization/value", json!("1_000")),
        ("/payload/authorization/value", json!("")),
        ("/payload/authorization/value", json!(1.5)),
        ("/payload/authorization/value", json!(over_uint256)),
        (
            "/payload/authorization/validBefore",
            json!(U256::MAX.to_string()),
        ),
        ("/payload/authorization/from", json!("0x12")),
        (
            "/payload/authorization/to",
            json!("0x209693bc6afc0c5328ba36faf03c514ef312287C"),
        ),
        ("/payload/authorization/nonce", json!("0x12")),
        ("/payload/authorization/nonce", json!("ab".repeat(33))),
        ("/payload/signature", json!("0xzz")),
        (
            "/payload/signature",
            json!("00".repeat(SIGNATURE_BYTES_MAX + 1)),
        ),
        ("/accepted/network", json!("base-sepolia")),
        ("/accepted/scheme", json!("x".repeat(65))),
        ("/accepted/asset", json!(7)),
        ("/extensions/payment-identifier/info/id", json!("too short")),
    ] {
        let error = read(&altered(pointer, value.clone())).unwrap_err();
        match error {
            PaymentHeaderError::BadField { pointer: named, .. } => assert_eq!(named, pointer),
            other => panic!("{pointer} {value}: {other}"),
        }
    }
}

#[test]
fn refuses_other_versions_documents_and_sizes() {
    for version in [0, 3] {
        assert_eq!(
            read(&altered("/x402Version", json!(version))),
            Err(PaymentHeaderError::UnsupportedVersion)
        );
    }
    assert_eq!(read(&json!([1])), Err(PaymentHeaderError::NotAnObject));
    let huge = "A".repeat(PAYMENT_HEADER_BYTES_MAX + 1);
    assert_eq!(
        SignedPayment::from_header(&huge),
        Err(PaymentHeaderError::TooLarge {
            bytes_max: PAYMENT_HEADER_BYTES_MAX
        })
    );
    let deep = STANDARD.encode("[".repeat(5_000));
    assert!(matches!(
        SignedPayment::from_header(&deep),
        Err(PaymentHeaderError::NotJson { .. })
    ));
}

mod permit2;
mod version_one;
