//! Vectors of the specification, and what others wrote: geth's form by Python's eth-account.

use serde_json::{Value, json};

use super::*;

const PASSWORD: &[u8] = b"correct horse";
const KEY: [u8; 32] = [0x22; 32];

fn scrypt() -> Value {
    json!({
        "address": "1563915e194D8CfBA1943570603F7606A3115508",
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": { "iv": "b5ea66bde770a16c4c4e92eb6aad7566" },
            "ciphertext": "4061992781ffda2e7501026590f12271ba346208736365901c61b70a7aa5e3c9",
            "kdf": "scrypt",
            "kdfparams": {
                "dklen": 32, "n": 8192, "r": 8, "p": 1,
                "salt": "e37e694c2c4416fddc075d3c17f65c5d",
            },
            "mac": "45e0bea551690385c1713e3b458b66940dbbe25d21d3e011ad6a43d0860ba3e0",
        },
        "id": "b92029c6-c8f7-4738-9158-208fd946c49c",
        "version": 3,
    })
}

fn pbkdf2() -> Value {
    json!({
        "address": "1563915e194D8CfBA1943570603F7606A3115508",
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": { "iv": "a5e94934f546fbb388c7917e84d26870" },
            "ciphertext": "7318570396c587e95ffee8ce8a25d3ad3ae687422f7b9ffeeff07935577dbee0",
            "kdf": "pbkdf2",
            "kdfparams": {
                "c": 10000, "dklen": 32, "prf": "hmac-sha256",
                "salt": "ec82c3047c873836d98355644e7241c7",
            },
            "mac": "6c2fdb16409ef5633675d9dcd1c3f97a2881fa29afd26577febc01d5ea511e5c",
        },
        "id": "c8f190c6-4953-4d56-ab4f-0e766c1d4e66",
        "version": 3,
    })
}

fn opened(keystore: &Value, password: &[u8]) -> Result<[u8; 32], KeystoreError> {
    open(keystore.to_string().as_bytes(), password).map(|key| *key)
}

#[test]
fn opens_the_keystores_of_the_specification() {
    let of = |cipher: Value, kdf: &str, kdfparams: Value| {
        let mut crypto = cipher;
        crypto["cipher"] = "aes-128-ctr".into();
        crypto["kdf"] = kdf.into();
        crypto["kdfparams"] = kdfparams;
        // Old files write it in upper case.
        json!({ "Crypto": crypto, "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6", "version": 3 })
    };
    let pbkdf2 = of(
        json!({
            "cipherparams": { "iv": "6087dab2f9fdbbfaddc31a909735c1e6" },
            "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
            "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
        }),
        "pbkdf2",
        json!({
            "c": 262_144, "dklen": 32, "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
        }),
    );
    let scrypt = of(
        json!({
            "cipherparams": { "iv": "83dbcc02d8ccb40e466191a123791e0e" },
            "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
            "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
        }),
        "scrypt",
        json!({
            "dklen": 32, "n": 262_144, "r": 1, "p": 8,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
        }),
    );
    for keystore in [pbkdf2, scrypt] {
        let key = opened(&keystore, b"testpassword").unwrap();
        let expected = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
        assert_eq!(hex::encode(key), expected);
    }
}

#[test]
fn opens_what_others_wrote_with_their_password_only() {
    for keystore in [scrypt(), pbkdf2()] {
        assert_eq!(opened(&keystore, PASSWORD), Ok(KEY));
        for wrong in [&b""[..], b"correct horse\n", b"Correct horse"] {
            assert_eq!(opened(&keystore, wrong), Err(WrongPassword));
        }
    }
}

#[test]
fn a_key_that_is_not_the_named_addresss_is_refused() {
    let mut keystore = pbkdf2();
    keystore["address"] = format!("0x{}", "33".repeat(20)).into();
    assert_eq!(opened(&keystore, PASSWORD), Err(OtherAddress));
    keystore.as_object_mut().unwrap().remove("address");
    assert_eq!(opened(&keystore, PASSWORD), Ok(KEY));
}

#[test]
fn what_is_no_keystore_or_asks_for_too_much_is_refused_at_once() {
    for (place, value) in [
        ("/version", json!(4)),
        ("/version", json!("3")),
        ("/crypto", json!(null)),
        ("/crypto/cipher", json!("aes-256-cbc")),
        ("/crypto/cipherparams/iv", json!("b5")),
        ("/crypto/ciphertext", json!("40".repeat(33))),
        ("/crypto/ciphertext", json!("4".repeat(1_000_000))),
        ("/crypto/mac", json!("zz")),
        ("/crypto/kdf", json!("argon2")),
        ("/crypto/kdfparams/dklen", json!(64)),
        ("/crypto/kdfparams/salt", json!("€")),
        ("/crypto/kdfparams/n", json!(8191)),
        ("/crypto/kdfparams/n", json!(0)),
        ("/crypto/kdfparams/n", json!(1_u64 << 20)),
        ("/crypto/kdfparams/n", json!(u64::MAX)),
        ("/crypto/kdfparams/r", json!(0)),
        ("/crypto/kdfparams/r", json!(u32::MAX)),
        ("/crypto/kdfparams/p", json!(0)),
        ("/crypto/kdfparams/p", json!(17)),
    ] {
        let mut keystore = scrypt();
        *keystore.pointer_mut(place).unwrap() = value.clone();
        let refused = opened(&keystore, PASSWORD);
        assert!(
            matches!(refused, Err(Malformed(_))),
            "{place} {value} {refused:?}"
        );
    }
    for (place, value) in [
        ("/crypto/kdfparams/c", json!(0)),
        ("/crypto/kdfparams/c", json!(10_000_001)),
        ("/crypto/kdfparams/prf", json!("hmac-sha1")),
    ] {
        let mut keystore = pbkdf2();
        *keystore.pointer_mut(place).unwrap() = value;
        assert!(
            matches!(opened(&keystore, PASSWORD), Err(Malformed(_))),
            "{place}"
        );
    }
    for text in [&b"{"[..], b"{}", b"{\"version\":3}", &[0xff; 9]] {
        assert!(matches!(open(text, PASSWORD), Err(Malformed(_))));
    }
}
