//! The same signed message again, another one under the same request id: the table of the
//! protocol's first section.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Call, House, Setup, run};

const REPLAYED: &str = "idempotent-replayed";
const TAKEN: &str = "EXTERNAL_SIGNATURE_REQUEST_REPLAY";
const IN_FLIGHT: &str = "EXTERNAL_SIGNATURE_REQUEST_IN_FLIGHT";

#[test]
fn the_same_message_gets_the_same_bytes_also_after_a_restart() {
    run(async {
        let mut house = House::new().await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "again");
        let first = house.call(&call).await.expect(200);
        let second = house.call(&call).await.expect(200);
        // A later charge changes the balance, not the reply.
        let other = Call::forecast(&wallet, &session, "other");
        house.call(&other).await.expect(200);
        let books = house.books().await;
        house.restart().await;
        let third = house.call(&call).await.expect(200);
        assert_eq!(first.header(REPLAYED), None);
        for reply in [second, third] {
            assert_eq!(reply.body, first.body);
            assert_eq!(reply.header(REPLAYED), Some("true"));
            let content_type = reply.header("content-type");
            assert_eq!(content_type, first.header("content-type"));
        }
        assert_eq!(house.books().await, books);
        assert_eq!(house.tools.count(), 2);
    });
}

#[test]
fn other_spellings_of_one_signature_are_the_same() {
    run(async {
        let house = House::new().await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "spelling");
        let signature = wallet.sign(&call.message());
        let first = house.call(&call).await.expect(200);
        let v = u8::from_str_radix(&signature[130..], 16).unwrap() - 27;
        for spelling in [
            signature[2..].to_owned(),
            format!("0x{}", signature[2..].to_uppercase()),
            format!("{}{v:02x}", &signature[..130]),
        ] {
            let reply = house
                .post(&call.url_path(), &call.body_with(&spelling))
                .await;
            assert_eq!(reply.expect(200).body, first.body, "{spelling}");
        }
        let mut upper = call.body();
        upper["wallet_address"] = json!(format!("0x{}", wallet.name()[2..].to_uppercase()));
        let mut checksum = call.body();
        checksum["wallet_address"] = json!(wallet.address().to_checksum(None));
        let mut beside = call.body();
        beside["note"] = json!("members that nobody signs change nothing");
        for body in [upper, checksum, beside] {
            let reply = house.post(&call.url_path(), &body).await.expect(200);
            assert_eq!(reply.body, first.body, "{body}");
        }
        assert_eq!(house.books().await.charges("captured"), 1);
    });
}

#[test]
fn another_message_under_the_same_request_id_is_refused() {
    run(async {
        let house = House::new().await;
        let (wallet, stranger) = (house.rich(100).await, house.rich(100).await);
        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "taken");
        let first = house.call(&call).await.expect(200);
        let books = house.books().await;

        let parameters = json!({ "place": "Basel" });
        let other_parameters = Call {
            parameters,
            ..call.clone()
        };
        let other_action = Call::of(&wallet, &session, "taken", "echo", "say");
        let other_path = wallet.sign(&call.message_at(&call.url_path()));
        for body in [
            (call.url_path(), other_parameters.body()),
            (other_action.url_path(), other_action.body()),
            (call.url_path(), call.body_with(&other_path)),
        ] {
            let reply = house.post(&body.0, &body.1).await.problem(409, TAKEN);
            assert_eq!(reply.json["charge_id"], first.json["charge_id"]);
            assert_eq!(reply.json["charge_status"], "captured");
            assert_eq!(reply.header(REPLAYED), None);
        }
        // Whoever did not sign is told nothing of the charge.
        let body = call.body_with(&stranger.sign(&call.message()));
        let reply = house.post(&call.url_path(), &body).await;
        let reply = reply.problem(401, "EXTERNAL_SIGNATURE_WALLET_MISMATCH");
        assert_eq!(reply.json["charge_id"], json!(null));
        assert_eq!(house.books().await, books);

        // A request id belongs to one wallet and one session.
        let theirs = house.session(&stranger).await;
        let next = house.session(&wallet).await;
        for fresh in [
            Call::forecast(&stranger, &theirs, "taken"),
            Call::forecast(&wallet, &next, "taken"),
        ] {
            let reply = house.call(&fresh).await.expect(200);
            assert_ne!(reply.json["charge_id"], first.json["charge_id"]);
            assert_eq!(reply.header(REPLAYED), None);
        }
        assert_eq!(house.books().await.charges("captured"), 3);
    });
}

#[test]
fn a_call_in_flight_is_told_to_come_back() {
    run(async {
        let house = House::new().await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::of(&wallet, &session, "flying", "trouble", "gate");
        let meanwhile = async {
            house.tools.asked(1).await;
            let reply = house.call(&call).await.problem(409, IN_FLIGHT);
            let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
            assert!(wait > 0);
            assert_eq!(reply.json["charge_status"], "held");
            let other = Call::of(&wallet, &session, "flying", "echo", "say");
            let other = house.call(&other).await.problem(409, TAKEN);
            assert_eq!(other.json["charge_status"], "held");
            assert_eq!(other.json["charge_id"], reply.json["charge_id"]);
            house.tools.open_gate();
            reply.json["charge_id"].clone()
        };
        let (reply, charge) = tokio::join!(house.call(&call), meanwhile);
        assert_eq!(reply.expect(200).json["charge_id"], charge);
        assert_eq!(house.tools.count(), 1);
    });
}

#[test]
fn the_same_message_many_times_at_once_is_one_charge() {
    run(async {
        for (product, action) in [("weather", "forecast"), ("echo", "shout")] {
            let house = Arc::new(House::new().await);
            let wallet = house.rich(100).await;
            let session = house.session(&wallet).await;
            let call = Call {
                product: product.into(),
                action: action.into(),
                ..Call::forecast(&wallet, &session, "crowd")
            };
            let mut sends = JoinSet::new();
            for _ in 0..24 {
                let (house, call) = (house.clone(), call.clone());
                sends.spawn(async move { house.settled(&call).await });
            }
            let replies = sends.join_all().await;
            let first = replies
                .iter()
                .filter(|reply| reply.header(REPLAYED).is_none());
            assert_eq!(first.count(), 1, "{product}");
            for reply in &replies {
                assert_eq!(reply.status, 200, "{product}: {}", reply.text());
                assert_eq!(reply.body, replies[0].body, "{product}");
            }
            assert_eq!(house.books().await.charges("captured"), 1);
        }
    });
}

#[test]
fn a_reply_outlives_its_session() {
    run(async {
        let setup = Setup::default().with("lifetime_seconds = 900", "lifetime_seconds = 2");
        let house = House::with(setup).await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "early");
        let first = house.call(&call).await.expect(200);
        let late = Call::forecast(&wallet, &session, "late");
        house.expired(&session, &wallet).await;

        let reply = house.call(&late).await;
        reply.problem(401, "EXTERNAL_SIGNATURE_SESSION_NONCE_EXPIRED");
        let again = house.call(&call).await.expect(200);
        assert_eq!(again.body, first.body);
        assert_eq!(again.header(REPLAYED), Some("true"));
        let other = Call {
            parameters: json!({ "place": "Basel" }),
            ..call
        };
        house.call(&other).await.problem(409, TAKEN);
        assert_eq!(house.books().await.charges("captured"), 1);
    });
}

#[test]
fn a_reply_is_forgotten_when_its_time_is_over() {
    run(async {
        let setup = Setup::default()
            .with("lifetime_seconds = 900", "lifetime_seconds = 2")
            .with("replay_seconds = 86_400", "replay_seconds = 1");
        let mut house = House::with(setup).await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "brief");
        house.call(&call).await.expect(200);
        let charged = house.books().await;
        house.expired(&session, &wallet).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        // Each start sweeps once.
        house.restart().await;
        house.until_requests(0).await;
        let reply = house.call(&call).await;
        reply.problem(401, "EXTERNAL_SIGNATURE_SESSION_NONCE_EXPIRED");
        let books = house.books().await;
        assert_eq!(books.accounts, charged.accounts);
        assert_eq!(books.charges("captured"), 1);
    });
}

#[test]
fn a_call_broken_off_by_a_crash_is_voided() {
    run(async {
        let mut house = House::new().await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::of(&wallet, &session, "crash", "trouble", "gate");
        let request = house.http.post(house.url(&call.url_path()));
        let request = request
            .header("content-type", "application/json")
            .body(call.body().to_string());
        let answer = tokio::spawn(request.send());
        house.tools.asked(1).await;
        assert_eq!(house.books().await.charges("held"), 1);
        house.kill_9().await;
        assert!(answer.await.unwrap().is_err());

        house.start().await;
        house.books().await.nothing_held();
        for _ in 0..2 {
            let reply = house.call(&call).await.problem(503, "UNAVAILABLE");
            assert_eq!(reply.json["charge_status"], "voided");
            assert_eq!(reply.json["charged_credits"], 0);
        }
        let other = Call::of(&wallet, &session, "crash", "echo", "say");
        let other = house.call(&other).await.problem(409, TAKEN);
        assert_eq!(other.json["charge_status"], "voided");

        house.tools.open_gate();
        let next = Call::of(&wallet, &session, "after", "trouble", "gate");
        assert_eq!(
            house.call(&next).await.expect(200).json["balance_credits"],
            97
        );
    });
}
