//! Payments by Permit2, in x402 version 2 alone.

use super::*;
use crate::{payment::TokenPermit, x402::gas_sponsoring_offer};

/// As `@x402/evm` writes it.
fn by_permit2() -> Value {
    let mut document = altered("/payload/authorization", Value::Null);
    document["payload"]["permit2Authorization"] = json!({
        "from": PAYER,
        "permitted": { "token": TOKEN, "amount": "1000000" },
        "spender": "0x402085c248EeA27D92E8b30b2C58ed07f9E20001",
        "nonce": "33247007178036348590600198031289925668252061821958005840077069883511451257277",
        "deadline": "1740672154",
        "witness": { "to": PAY_TO, "validAfter": "1740672089" },
    });
    document
}

#[test]
fn reads_a_permit2_authorization() {
    let read = read(&by_permit2()).unwrap();
    assert_eq!(
        read.authorization,
        Authorization {
            method: TransferMethod::Permit2,
            from: PAYER,
            to: PAY_TO,
            value: U256::from(1_000_000),
            valid_after: 1_740_672_089,
            valid_before: 1_740_672_154,
            nonce: b256!("498123a32ace7410e0f8321e7684c7c048aefe69db43416c333dbfec5ec989bd"),
        }
    );
}

#[test]
fn names_what_is_wrong_with_a_permit2_authorization() {
    let base = "/payload/permit2Authorization";
    for (place, value, bad) in [
        ("/spender", json!(PAYER), "/spender"),
        ("/permitted/token", json!(PAYER), "/permitted/token"),
        ("/permitted/amount", json!("1.5"), "/permitted/amount"),
        ("/nonce", json!("0x01"), "/nonce"),
        ("/deadline", json!(U256::MAX.to_string()), "/deadline"),
        ("/witness/to", json!("0x12"), "/witness/to"),
    ] {
        let mut document = by_permit2();
        *document.pointer_mut(&format!("{base}{place}")).unwrap() = value;
        let error = read(&document).unwrap_err();
        assert!(
            matches!(&error, PaymentHeaderError::BadField { pointer, .. } if *pointer == format!("{base}{bad}")),
            "{error}"
        );
    }
    for missing in [
        "from",
        "permitted",
        "spender",
        "nonce",
        "deadline",
        "witness",
    ] {
        let mut document = by_permit2();
        let proof = document.pointer_mut(base).unwrap();
        proof.as_object_mut().unwrap().remove(missing);
        let pointer = format!("{base}/{missing}");
        assert_eq!(
            read(&document),
            Err(PaymentHeaderError::MissingField { pointer })
        );
    }
}

fn with_leave() -> Value {
    let mut document = by_permit2();
    document["extensions"] = json!({ "eip2612GasSponsoring": { "info": {
        "from": PAYER,
        "asset": TOKEN,
        "spender": "0x000000000022D473030F116dDEE9F6B43aC78BA3",
        "amount": "1000000",
        "nonce": "3",
        "deadline": "1740672154",
        "signature": format!("0x{}", "1b".repeat(65)),
        "version": "1",
    } } });
    document
}

#[test]
fn a_leave_for_permit2_is_read_and_must_be_for_this_payment() {
    let leave = TokenPermit {
        nonce: U256::from(3),
        deadline: 1_740_672_154,
        signature: [0x1b; 65],
    };
    assert_eq!(read(&with_leave()).unwrap().permit, Some(leave));
    let base = "/extensions/eip2612GasSponsoring/info";
    for (name, value) in [
        ("from", json!(TOKEN)),
        ("asset", json!(PAYER)),
        ("spender", json!(PAYER)),
        ("amount", json!("1000001")),
        ("nonce", json!("x")),
        ("deadline", json!("-1")),
        ("signature", json!("0x12")),
    ] {
        let mut document = with_leave();
        *document.pointer_mut(&format!("{base}/{name}")).unwrap() = value;
        let error = read(&document).unwrap_err();
        let place = format!("{base}/{name}");
        assert!(
            matches!(&error, PaymentHeaderError::BadField { pointer, .. } if *pointer == place),
            "{error}"
        );
    }
    // The offer alone, as clients send it back that do not know it.
    let mut document = with_leave();
    document["extensions"] = json!({ "eip2612GasSponsoring": gas_sponsoring_offer() });
    assert_eq!(read(&document).unwrap().permit, None);
    // A payment by EIP-3009 needs none.
    let mut document = typescript();
    document["extensions"] = with_leave()["extensions"].clone();
    assert_eq!(read(&document).unwrap().permit, None);
}
