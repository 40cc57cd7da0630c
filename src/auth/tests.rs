//! Calls and their signatures, from the request to the verdict.

use k256::ecdsa::SigningKey;

use super::{
    Caller, Escape, Form, KeyOrder, Mismatch, PathBoundCall, PayloadHash, RECOVERIES_MAX,
    ScopedCall, ScopedPayload, Signature, SponsorMessage, SponsorReference, accepted_paths,
    address_of, eip191_digest,
    json::{Node, parse},
    payload_hashes,
};
use crate::base::{AgentAddress, Credits, RequestId};

/// Parameters that are written differently in each of the six forms.
const WILD: &str = "{\"\u{10000}\":0,\"\u{e000}\":0,\"10\":0,\"9\":0}";

struct Wallet(SigningKey);

impl Wallet {
    fn new(byte: u8) -> Self {
        Self(SigningKey::from_bytes(&[byte; 32].into()).unwrap())
    }

    fn address(&self) -> AgentAddress {
        address_of(self.0.verifying_key())
    }

    fn sign(&self, message: &str) -> Signature {
        Signature::sign(&self.0, eip191_digest(message))
    }

    fn caller<'a>(&self, session_nonce: &'a str, request_id: &'a RequestId) -> Caller<'a> {
        Caller {
            wallet: self.address(),
            session_nonce,
            request_id,
        }
    }
}

fn call<'a>(caller: Caller<'a>, parameters: &'a Node<'a>) -> PathBoundCall<'a> {
    PathBoundCall {
        caller,
        product: "weather",
        action: "forecast",
        parameters: Some(parameters),
    }
}

#[test]
fn every_path_and_likely_form_is_accepted() {
    let wallet = Wallet::new(1);
    let request_id = "r-1".parse().unwrap();
    let parameters = parse(WILD.as_bytes()).unwrap();
    let call = call(wallet.caller("s-1", &request_id), &parameters);
    let candidates = call.candidates(None);
    assert_eq!(candidates.list.len(), 24);
    for (position, candidate) in candidates.list.iter().enumerate() {
        let verified = candidates.verify(&wallet.sign(&candidate.message));
        assert_eq!(verified.is_ok(), position < RECOVERIES_MAX);
        assert!(candidates.contains(&candidate.message));
    }
    let hashes = payload_hashes(Some(&parameters), None);
    let tried = |path: &str, hash: &PayloadHash| {
        let message = call.caller.path_bound(path, hash);
        candidates.verify(&wallet.sign(&message)).is_ok()
    };
    let paths = accepted_paths("weather", "forecast");
    assert!(paths.iter().all(|path| tried(path, &hashes[0].1)));
    assert!(hashes.iter().all(|(_, hash)| tried(&paths[0], hash)));
}

#[test]
fn the_form_that_a_session_used_goes_first() {
    let wallet = Wallet::new(1);
    let request_id = "r-1".parse().unwrap();
    let parameters = parse(WILD.as_bytes()).unwrap();
    let call = call(wallet.caller("s-1", &request_id), &parameters);
    let rare = Form::new(KeyOrder::Utf16, Escape::Ascii);
    let candidates = call.candidates(Some(rare));
    for path in accepted_paths("weather", "forecast") {
        let (_, hash) = payload_hashes(Some(&parameters), Some(rare))[0];
        let message = call.caller.path_bound(&path, &hash);
        let verified = candidates.verify(&wallet.sign(&message)).unwrap();
        assert_eq!(
            (verified.message, verified.payload),
            (message, Some((rare, hash)))
        );
    }
    let stored = &call.candidates(None).list[23].message;
    assert!(
        candidates.contains(stored),
        "however the order changed since"
    );
}

#[test]
fn a_refusal_tells_the_client_what_to_sign() {
    let (wallet, other) = (Wallet::new(1), Wallet::new(2));
    let request_id = "r-1".parse().unwrap();
    let parameters = parse("{\"b\":\"é\",\"a\":{\"z\":1}}".as_bytes()).unwrap();
    let call = call(wallet.caller("s-1", &request_id), &parameters);
    let candidates = call.candidates(None);
    let hashes: Vec<_> = payload_hashes(Some(&parameters), None)
        .into_iter()
        .map(|(_, hash)| hash)
        .collect();
    let paths = accepted_paths("weather", "forecast");
    let expected = call.caller.path_bound(&paths[0], &hashes[0]);
    assert_eq!(candidates.expected_message(), expected);
    let refusal = candidates.verify(&other.sign(&expected)).unwrap_err();
    assert_eq!(
        *refusal,
        Mismatch {
            expected_message: expected,
            expected_wallet: wallet.address(),
            recovered_wallet_for_expected_message: Some(other.address()),
            accepted_paths: paths.into(),
            accepted_payload_hashes: hashes,
            payload_canonical_top_level_keys: vec!["a".into(), "b".into()],
        }
    );
}

#[test]
fn a_signature_covers_every_part_of_a_call() {
    let wallet = Wallet::new(1);
    let request_id: RequestId = "r-1".parse().unwrap();
    let other_request: RequestId = "r-2".parse().unwrap();
    let parameters = parse(br#"{"a":1}"#).unwrap();
    let other_parameters = parse(br#"{"a":1.0}"#).unwrap();
    let caller = wallet.caller("s-1", &request_id);
    let signed = call(caller, &parameters);
    let message = signed.candidates(None).expected_message().to_owned();
    let signature = wallet.sign(&message);
    assert!(signed.candidates(None).verify(&signature).is_ok());
    let other_wallet = Wallet::new(2).caller("s-1", &request_id);
    for (part, other) in [
        ("wallet", call(other_wallet, &parameters)),
        (
            "session",
            call(wallet.caller("s-2", &request_id), &parameters),
        ),
        (
            "request",
            call(wallet.caller("s-1", &other_request), &parameters),
        ),
        ("parameters", call(caller, &other_parameters)),
        (
            "no parameters",
            PathBoundCall {
                parameters: None,
                ..signed
            },
        ),
        (
            "product",
            PathBoundCall {
                product: "other",
                ..signed
            },
        ),
        (
            "action",
            PathBoundCall {
                action: "other",
                ..signed
            },
        ),
    ] {
        let candidates = other.candidates(None);
        assert!(candidates.verify(&signature).is_err(), "{part}");
        assert!(!candidates.contains(&message), "{part}");
    }
}

#[test]
fn scoped_calls_bind_action_product_and_payload() {
    let wallet = Wallet::new(1);
    let request_id = "r-1".parse().unwrap();
    let parameters = parse(WILD.as_bytes()).unwrap();
    let balance = ScopedCall {
        caller: wallet.caller("s-1", &request_id),
        action: "balance",
        product: "-",
        payload: ScopedPayload::Empty,
    };
    let invoke = ScopedCall {
        action: "invoke",
        product: "weather",
        payload: ScopedPayload::Parameters(Some(&parameters)),
        ..balance
    };
    for candidate in invoke.candidates(None).list {
        let signature = wallet.sign(&candidate.message);
        assert_eq!(invoke.candidates(None).verify(&signature), Ok(candidate));
        let refusal = balance.candidates(None).verify(&signature).unwrap_err();
        assert!(refusal.accepted_payload_hashes.is_empty());
        assert!(refusal.payload_canonical_top_level_keys.is_empty());
    }
    let without = ScopedCall {
        payload: ScopedPayload::Parameters(None),
        ..balance
    };
    let signature = wallet.sign(balance.candidates(None).expected_message());
    assert!(balance.candidates(None).verify(&signature).is_ok());
    assert!(
        without.candidates(None).verify(&signature).is_err(),
        "the hash of nothing is not nothing"
    );
}

#[test]
fn sponsors_sign_for_one_payment() {
    let (payer, recipient) = (Wallet::new(1), Wallet::new(2));
    let consent = SponsorMessage {
        payer: payer.address(),
        recipient: recipient.address(),
        credits: Credits::from_whole(500).unwrap(),
        reference: SponsorReference::Nonce([3; 32].into()),
    };
    let signature = payer.sign(&consent.to_string());
    assert!(consent.candidates().verify(&signature).is_ok());
    let by_recipient = recipient.sign(&consent.to_string());
    assert!(consent.candidates().verify(&by_recipient).is_err());
    let transaction = SponsorReference::Transaction([3; 32].into());
    for other in [
        SponsorMessage {
            credits: Credits::from_whole(501).unwrap(),
            ..consent
        },
        SponsorMessage {
            reference: transaction,
            ..consent
        },
        SponsorMessage {
            recipient: payer.address(),
            ..consent
        },
    ] {
        assert!(other.candidates().verify(&signature).is_err());
    }
}
