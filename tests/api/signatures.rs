//! Signatures and sessions that are not the wallet's: each refusal tells how to mend it.

use serde_json::json;

use crate::support::{
    Call, House, Reply, Setup, Wallet,
    client::{BALANCE, balance_body},
    run,
    wallet::{malleated, payload_hash},
};

const MALFORMED: &str = "EXTERNAL_SIGNATURE_MALFORMED";
const MISMATCH: &str = "EXTERNAL_SIGNATURE_WALLET_MISMATCH";
const SESSION_INVALID: &str = "EXTERNAL_SIGNATURE_SESSION_NONCE_INVALID";

#[test]
fn signatures_that_are_none() {
    run(async {
        let house = House::new().await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "malformed");
        let good = wallet.sign(&call.message());
        let bytes = hex::decode(&good[2..]).unwrap();
        let before = house.books().await;
        let mut zero_r = bytes.clone();
        zero_r[..32].fill(0);
        let mut zero_s = bytes.clone();
        zero_s[32..64].fill(0);
        let mut wrong_v = bytes.clone();
        wrong_v[64] = 29;
        for (what, signature) in [
            ("empty", String::new()),
            ("short", good[..130].to_owned()),
            ("long", format!("{good}00")),
            ("not hexadecimal", format!("{}zz", &good[..130])),
            ("words", "signed, me".into()),
            ("zero r", hex::encode(zero_r)),
            ("zero s", hex::encode(zero_s)),
            ("wrong v", hex::encode(wrong_v)),
            ("malleated", hex::encode(malleated(&bytes))),
            ("enormous", "ab".repeat(100_000)),
        ] {
            let reply = house
                .post(&call.url_path(), &call.body_with(&signature))
                .await;
            assert_eq!(reply.status, 401, "{what}: {}", reply.text());
            let reply = reply.problem(401, MALFORMED);
            assert_eq!(reply.json["expected_message"], call.message(), "{what}");
            let mut body = balance_body(&wallet, &session);
            body["signature"] = json!(signature);
            house.post(BALANCE, &body).await.problem(401, MALFORMED);
        }
        assert_eq!(house.books().await, before);
        house.call(&call).await.expect(200);
        // Not even a repeat takes the twin.
        let twin = call.body_with(&hex::encode(malleated(&bytes)));
        house
            .post(&call.url_path(), &twin)
            .await
            .problem(401, MALFORMED);
    });
}

#[test]
fn signatures_over_something_else() {
    run(async {
        let house = House::new().await;
        let (wallet, other) = (house.rich(100).await, house.rich(100).await);
        let session = house.session(&wallet).await;
        let next = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "mismatch");
        let before = house.books().await;
        let of = |other_call: &Call| wallet.sign(&other_call.message());
        let changed = |change: fn(&mut Call)| {
            let mut changed = call.clone();
            change(&mut changed);
            of(&changed)
        };
        let path = call.signed_path();
        for (what, signature) in [
            ("by another key", other.sign(&call.message())),
            (
                "another path",
                wallet.sign(&call.message_at("/external/tools/weather")),
            ),
            (
                "two slashes",
                wallet.sign(&call.message_at(&format!("{path}//"))),
            ),
            (
                "a query",
                wallet.sign(&call.message_at(&format!("{path}?x=1"))),
            ),
            (
                "a host",
                wallet.sign(&call.message_at(&format!("http://counterfoil.test{path}"))),
            ),
            (
                "another product",
                changed(|call| call.product = "echo".into()),
            ),
            (
                "another action",
                changed(|call| call.action = "history".into()),
            ),
            (
                "another payload",
                changed(|call| call.parameters = json!({ "place": "Basel" })),
            ),
            (
                "another request id",
                changed(|call| call.request_id = "mismatch-2".into()),
            ),
            (
                "another session",
                of(&Call {
                    session: next,
                    ..call.clone()
                }),
            ),
            (
                "another wallet",
                wallet.sign(
                    &Call {
                        wallet: other.clone(),
                        ..call.clone()
                    }
                    .message(),
                ),
            ),
            (
                "a newline more",
                wallet.sign(&format!("{}\n", call.message())),
            ),
            (
                "other line ends",
                wallet.sign(&call.message().replace('\n', "\r\n")),
            ),
            (
                "another method",
                wallet.sign(&call.message().replace("POST", "GET")),
            ),
        ] {
            let reply = house
                .post(&call.url_path(), &call.body_with(&signature))
                .await;
            assert_eq!(reply.status, 401, "{what}: {}", reply.text());
            check_mismatch(&reply.problem(401, MISMATCH), &call);
        }
        // What it recovers to is told: so a client finds that it signed with another key.
        let body = call.body_with(&other.sign(&call.message()));
        let reply = house.post(&call.url_path(), &body).await;
        let recovered = &reply.json["recovered_wallet_for_expected_message"];
        assert_eq!(*recovered, other.name());
        assert_eq!(house.books().await, before);
        house.call(&call).await.expect(200);
    });
}

#[test]
fn sessions_that_are_none() {
    run(async {
        let house = House::new().await;
        let (wallet, other) = (house.rich(100).await, Wallet::random());
        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "session");
        let before = house.books().await;
        let theirs = house.session(&other).await;
        for session in [
            &theirs,
            "s-1",
            "",
            &session[..session.len() - 1],
            &format!("{session}A"),
        ] {
            let call = Call {
                session: session.to_owned(),
                ..call.clone()
            };
            house.call(&call).await.problem(401, SESSION_INVALID);
        }
        assert_eq!(house.books().await, before);
        house.call(&call).await.expect(200);
    });
}

/// A mismatch tells a client how to mend itself.
fn check_mismatch(reply: &Reply, call: &Call) {
    let problem = &reply.json;
    assert_eq!(problem["expected_message"], call.message());
    assert_eq!(problem["expected_wallet"], call.wallet.name());
    assert_ne!(
        problem["recovered_wallet_for_expected_message"],
        call.wallet.name()
    );
    let path = call.signed_path();
    let paths = [
        path.clone(),
        format!("/api{path}"),
        format!("{path}/"),
        format!("/api{path}/"),
    ];
    assert_eq!(problem["accepted_paths"], json!(paths));
    let hash = payload_hash(&call.parameters);
    assert_eq!(problem["accepted_payload_hashes"], json!([hash]));
    assert_eq!(
        problem["payload_canonical_top_level_keys"],
        json!(["place"])
    );
}

#[test]
fn who_fails_too_often_has_to_wait() {
    run(async {
        let limit = "failed_signatures_per_minute = 300";
        let setup = Setup::default().with(limit, "failed_signatures_per_minute = 3");
        let house = House::with(setup).await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "limited");
        let wrong = call.body_with(&Wallet::random().sign(&call.message()));
        for _ in 0..3 {
            house
                .post(&call.url_path(), &wrong)
                .await
                .problem(401, MISMATCH);
        }
        let reply = house.post(&call.url_path(), &wrong).await;
        let reply = reply.problem(429, "RATE_LIMITED");
        let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        // What needs no signature goes on.
        house.get("/api/external/tools").await.expect(200);
        house.session(&wallet).await;
        assert_eq!(house.books().await.requests, 0);
    });
}
