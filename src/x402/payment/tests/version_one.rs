use super::*;

/// What npm `x402-fetch` 1.2 made of an offer in version 1, with key 0x11…11.
const TYPESCRIPT_V1: &str = r#"{"x402Version":1,"scheme":"exact","network":"base-sepolia","payload":{"signature":"0x36ca33428939139f9ef34b283d7e485b176c8bc9cfbeb08cf91cc6b8648acb7c67c9ebd48ef2211048793390e0583317a9dbe5a6412cd653ea0c315babe17fbc1c","authorization":{"from":"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A","to":"0x209693bc6afc0c5328ba36faf03c514ef312287c","value":"1000000","validAfter":"1795373011","validBefore":"1795373911","nonce":"0x3f96d39412055de04d4c7def7ff4086336c781f0bd9eb531a1b79ab6675f88c0"}}}"#;

/// What the crate `x402-reqwest` 2.0 made of the same offer.
const RUST_V1: &str = r#"{"x402Version":1,"scheme":"exact","network":"base-sepolia","payload":{"signature":"0xbac8323ee2a6fb56f3affce4f2a44fba9371c5d1eb4c14fa2fac68a31eddd4f3730a711afdbe51e0220eea5d244767415bf3fb7a768f72c07778a6f40498501e1b","authorization":{"from":"0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a","to":"0x209693bc6afc0c5328ba36faf03c514ef312287c","value":"1000000","validAfter":"1795373012","validBefore":"1795373912","nonce":"0x52919bb28050d3d2ad2ad383e1430dd639d058c5a7dcaa4f99f3e5ec9d50c6aa"}}}"#;

fn version_one() -> Value {
    serde_json::from_str(TYPESCRIPT_V1).unwrap()
}

#[test]
fn a_payment_names_its_network_by_a_word_and_its_asset_not_at_all() {
    let payment = read(&version_one()).unwrap();
    assert_eq!(payment.version, X402Version::One);
    assert_eq!((payment.network, payment.terms), (NETWORK, None));
    assert_eq!(payment.scheme, "exact");
    assert_eq!(payment.authorization.from, PAYER);
    assert_eq!(payment.authorization.to, PAY_TO);
    assert_eq!(payment.authorization.value, U256::from(1_000_000));
    assert_eq!(payment.authorization.valid_before, 1_795_373_911);
    assert_eq!(payment.payment_identifier, None);
}

#[test]
fn the_digest_of_both_clients_recovers_their_payer() {
    for sample in [TYPESCRIPT_V1, RUST_V1] {
        recovers_payer(sample);
    }
}

#[test]
fn the_version_decides_which_names_count() {
    let mut caip = version_one();
    caip["network"] = json!("eip155:84532");
    let mut unknown = version_one();
    unknown["network"] = json!("solana");
    let mut named = altered("/accepted", Value::Null);
    named["scheme"] = json!("exact");
    named["network"] = json!("base-sepolia");
    for document in [caip, unknown, named] {
        let error = read(&document).unwrap_err();
        match error {
            PaymentHeaderError::BadField { pointer, .. } => assert_eq!(pointer, "/network"),
            other => panic!("{document}: {other}"),
        }
    }
}

#[test]
fn a_payload_of_version_2_that_says_1_lacks_what_version_1_has() {
    assert_eq!(
        read(&altered("/x402Version", json!(1))),
        Err(PaymentHeaderError::MissingField {
            pointer: "/scheme".into()
        })
    );
}
