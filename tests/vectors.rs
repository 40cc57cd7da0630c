//! Messages signed by third-party signers, in Python and in JavaScript: every one is reproduced
//! and verified, and every malleated twin is refused.

use counterfoil::{
    auth::{
        Caller, Candidates, Form, PathBoundCall, ScopedCall, ScopedPayload, Signature,
        SignatureError, SponsorMessage, SponsorReference, accepted_paths, canonical, eip191_digest,
        json, payload_hashes,
    },
    base::{AgentAddress, Credits},
};
use serde_json::Value;

/// One vector, with its fields by name.
struct Vector(Value);

impl Vector {
    fn text(&self, field: &str) -> &str {
        let text = self.0[field].as_str();
        text.unwrap_or_else(|| panic!("no {field} in {}", self.0))
    }

    fn wallet(&self, field: &str) -> AgentAddress {
        self.text(field).parse().expect("an address")
    }

    fn form(&self) -> Form {
        match self.text("canonical_form") {
            "python_ascii" => Form::PYTHON,
            "python_utf8" => Form::PYTHON_UTF8,
            "javascript" => Form::JAVASCRIPT,
            other => panic!("unknown form {other}"),
        }
    }
}

fn vectors() -> Vec<Vector> {
    let file: Value = serde_json::from_str(include_str!("vectors/signed_messages.json"))
        .expect("the file of vectors is JSON");
    let vectors = file["vectors"].as_array().expect("a list of vectors");
    assert!(!vectors.is_empty());
    vectors.iter().cloned().map(Vector).collect()
}

#[test]
fn every_signer_is_recovered() {
    let vectors = vectors();
    for vector in &vectors {
        match vector.text("case") {
            "sponsor_nonce" | "sponsor_tx" => check_sponsor(vector),
            "balance" => check_scoped(vector, "balance", "-", ScopedPayload::Empty),
            _ => check_call(vector),
        }
    }
    println!("{} vectors", vectors.len());
}

#[test]
fn every_malleated_twin_is_refused() {
    let mut twins = 0;
    for vector in vectors() {
        if vector.0.get("high_s_signature").is_some() {
            let twin = vector.text("high_s_signature").parse::<Signature>();
            assert_eq!(twin, Err(SignatureError::HighS), "{}", vector.0);
            twins += 1;
        }
    }
    assert!(twins > 0);
    println!("{twins} malleated twins");
}

/// The text, and the wallet behind it, by either implementation.
fn check(vector: &Vector, wallet: AgentAddress, candidates: &Candidates<'_>) {
    let message = vector.text("message");
    let signature: Signature = vector.text("signature").parse().expect("a signature");
    assert!(candidates.contains(message), "{}", vector.0);
    let verified = candidates.verify(&signature);
    let verified = verified.unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert_eq!(verified.message, message);
    let digest = eip191_digest(message);
    assert_eq!(signature.recover(digest), Some(wallet));
    assert_eq!(signature.recover_portable(digest), Some(wallet));
    assert_eq!(signature.to_string(), vector.text("signature"));
}

fn check_call(vector: &Vector) {
    let parameters = json::parse(vector.text("parameters_json").as_bytes()).expect("parameters");
    let form = vector.form();
    assert_eq!(canonical(&parameters, form), vector.text("canonical_json"));
    let (_, hash) = payload_hashes(Some(&parameters), Some(form))[0];
    assert_eq!(hex::encode(hash), vector.text("payload_hash"));

    let (product, action) = (vector.text("product"), vector.text("action"));
    let path = match vector.text("case") {
        "path_bound" => 0,
        "path_bound_with_api" => 1,
        "path_bound_trailing_slash" => 2,
        "action_bound" => {
            let payload = ScopedPayload::Parameters(Some(&parameters));
            return check_scoped(vector, "invoke", product, payload);
        }
        other => panic!("unknown case {other}"),
    };
    let request_id = vector.text("request_id").parse().expect("a request id");
    let call = PathBoundCall {
        caller: Caller {
            wallet: vector.wallet("wallet_address"),
            session_nonce: vector.text("session_nonce"),
            request_id: &request_id,
        },
        product,
        action,
        parameters: Some(&parameters),
    };
    let path = &accepted_paths(product, action)[path];
    assert_eq!(call.caller.path_bound(path, &hash), vector.text("message"));
    // Found whatever the session used before.
    for preferred in [None, Some(form), Some(Form::PYTHON), Some(Form::JAVASCRIPT)] {
        check(vector, call.caller.wallet, &call.candidates(preferred));
    }
}

fn check_scoped(vector: &Vector, action: &str, product: &str, payload: ScopedPayload<'_>) {
    let wallet = vector.wallet("wallet_address");
    assert_eq!(vector.wallet("checksum_address"), wallet);
    let request_id = vector.text("request_id").parse().expect("a request id");
    let call = ScopedCall {
        caller: Caller {
            wallet,
            session_nonce: vector.text("session_nonce"),
            request_id: &request_id,
        },
        action,
        product,
        payload,
    };
    check(vector, wallet, &call.candidates(None));
}

fn check_sponsor(vector: &Vector) {
    let reference = vector.text("reference").parse().expect("32 bytes");
    let payer = vector.wallet("payer_wallet_address");
    let credits = vector.0["credits"].as_i64().and_then(Credits::from_whole);
    let consent = SponsorMessage {
        payer,
        recipient: vector.wallet("recipient_wallet_address"),
        credits: credits.expect("an amount of credits"),
        reference: match vector.text("case") {
            "sponsor_nonce" => SponsorReference::Nonce(reference),
            _ => SponsorReference::Transaction(reference),
        },
    };
    assert_eq!(consent.to_string(), vector.text("message"));
    check(vector, payer, &consent.candidates());
}
