//! Payments by Permit2, in x402 version 2 alone.

use super::*;

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
