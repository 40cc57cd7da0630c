//! Whatever a stranger may send: each is told what is wrong and where, and nothing is written.

use alloy::primitives::U256;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    Call, House, Payment, Wallet,
    client::{BALANCE, PURCHASE, SESSION, balance_body, purchase},
    now, run,
};

const FORECAST: &str = "/api/external/tools/weather/actions/forecast/invoke";

#[test]
fn amounts_that_are_not_for_sale() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let payment = house.quote(&wallet, 100).await.header();
        let before = house.books().await;
        // As text: some of these no JSON value of ours can hold.
        for credits in [
            "0",
            "-0",
            "-100",
            "1.5",
            "100.0",
            "1e2",
            "\"100\"",
            "null",
            "true",
            "[]",
            "[100]",
            "{}",
            "1000100",
            "9223372036854775807",
            "9223372036854775900",
            "18446744073709551616",
            "100000000000000000000000000000000000000000000000000000000000",
        ] {
            let name = wallet.name();
            let body = format!(r#"{{"wallet_address":"{name}","credits":{credits}}}"#);
            // With a payment or without: the amount itself is wrong.
            for headers in [&[][..], &[("payment-signature", payment.as_str())]] {
                let reply = house.post_with(PURCHASE, body.clone(), headers).await;
                let multiple = matches!(credits, "9223372036854775807");
                assert_eq!(reply.status, 400, "{credits}: {}", reply.text());
                assert_eq!(
                    reply.pointers(),
                    ["/credits"],
                    "{credits}: {}",
                    reply.text()
                );
                if !multiple {
                    assert_eq!(reply.json["code"], "INVALID_REQUEST", "{credits}");
                }
            }
        }
        for (credits, suggested) in [(1, 100), (99, 100), (101, 200), (999_901, 1_000_000)] {
            let reply = house.post(PURCHASE, &purchase(&wallet, credits)).await;
            let reply = reply.problem(400, "CREDITS_NOT_A_MULTIPLE");
            assert_eq!(reply.json["suggested_credits"], suggested);
            assert_eq!(reply.pointers(), ["/credits"]);
        }
        let reply = house.post(PURCHASE, &purchase(&wallet, 1_000_000)).await;
        reply.expect(402);
        assert_eq!(house.books().await, before);
    });
}

/// What an address may not be.
fn bad_addresses() -> [Value; 12] {
    [
        json!(null),
        json!(""),
        json!("0x"),
        json!("agent"),
        json!(7),
        json!(["0x036cbd53842c5426634e7929541ec2318f3dcf7e"]),
        json!({ "address": "0x036cbd53842c5426634e7929541ec2318f3dcf7e" }),
        json!("036cbd53842c5426634e7929541ec2318f3dcf7e"),
        json!("0x036cbd53842c5426634e7929541ec2318f3dcf7"),
        json!("0x036cbd53842c5426634e7929541ec2318f3dcf7e0"),
        json!("0x036cbd53842c5426634e7929541ec2318f3dcf7g"),
        // One letter of the checksum is wrong.
        json!("0x036cbD53842c5426634e7929541eC2318f3dCF7e"),
    ]
}

#[test]
fn fields_that_are_not_what_they_should_be() {
    run(async {
        let house = House::new().await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "fields").body();
        let balance = balance_body(&wallet, &session);
        let buy = purchase(&wallet, 100);
        let opening = json!({ "wallet_address": wallet.name() });
        let before = house.books().await;

        let mut cases: Vec<(&str, &Value, &str, Value)> = Vec::new();
        for address in bad_addresses() {
            for (path, body) in [
                (SESSION, &opening),
                (PURCHASE, &buy),
                (BALANCE, &balance),
                (FORECAST, &call),
            ] {
                cases.push((path, body, "wallet_address", address.clone()));
            }
            if !address.is_null() {
                cases.push((PURCHASE, &buy, "payer_wallet_address", address));
            }
        }
        let long = "x".repeat(129);
        for wrong in [
            json!(null),
            json!(""),
            json!(1),
            json!("white space"),
            json!("line\nbreak"),
            json!("größe"),
            json!(long),
        ] {
            cases.push((BALANCE, &balance, "request_id", wrong.clone()));
            cases.push((FORECAST, &call, "request_id", wrong));
        }
        for wrong in [json!(null), json!(1), json!(["s-1"])] {
            cases.push((BALANCE, &balance, "session_nonce", wrong.clone()));
            cases.push((BALANCE, &balance, "signature", wrong.clone()));
            if !wrong.is_null() {
                cases.push((FORECAST, &call, "session_nonce", wrong.clone()));
                cases.push((FORECAST, &call, "signature", wrong));
            }
        }
        for (field, wrong) in [
            ("payment_method", json!("card")),
            ("payment_method", json!(402)),
            ("request_id", json!(7)),
            ("request_id", json!(long)),
            ("network", json!("base-sepolia")),
            ("network", json!(84_532)),
            ("sponsor_signature", json!("0x")),
            ("sponsor_signature", json!(1)),
            ("transaction_hash", json!(format!("0x{}", "00".repeat(31)))),
        ] {
            cases.push((PURCHASE, &buy, field, wrong));
        }
        for (path, body, field, wrong) in cases {
            let mut body = body.clone();
            body[field] = wrong;
            let reply = house.post(path, &body).await;
            assert_eq!(reply.status, 400, "{path} {body}: {}", reply.text());
            assert_eq!(reply.json["code"], "INVALID_REQUEST", "{path} {body}");
            assert_eq!(reply.pointers(), [format!("/{field}")], "{path} {body}");
        }
        // Of a signed body, everything must be there.
        let body = json!({ "signature": "0x", "session_nonce": 1 });
        let reply = house
            .post("/api/external/tools/weather/invoke", &body)
            .await;
        let reply = reply.problem(400, "INVALID_REQUEST");
        let signed = ["/wallet_address", "/session_nonce", "/request_id"];
        assert_eq!(reply.pointers(), signed);
        // All that is wrong is told at once.
        let reply = house.post(PURCHASE, &json!({})).await;
        let reply = reply.problem(400, "INVALID_REQUEST");
        assert_eq!(reply.pointers(), ["/wallet_address", "/credits"]);
        let reply = house.post(BALANCE, &json!({ "request_id": 1 })).await;
        let reply = reply.problem(400, "INVALID_REQUEST");
        assert_eq!(
            reply.pointers(),
            [
                "/wallet_address",
                "/session_nonce",
                "/request_id",
                "/signature"
            ]
        );
        assert_eq!(house.books().await, before);
    });
}

#[test]
fn bodies_that_are_not_json_objects() {
    run(async {
        let house = House::new().await;
        let before = house.books().await;
        let object = |inner: &str| format!("{{{inner}}}").into_bytes();
        let deep = |open: &str, close: &str| {
            format!("{}1{}", open.repeat(5_000), close.repeat(5_000)).into_bytes()
        };
        let nested = format!(
            r#"{{"wallet_address":{}"x"{}}}"#,
            "[".repeat(5_000),
            "]".repeat(5_000)
        );
        let bodies: [(&str, Vec<u8>, Option<&str>); 19] = [
            ("nothing", Vec::new(), None),
            ("white space", b" \n".to_vec(), None),
            ("words", b"hello".to_vec(), Some("")),
            ("half", br#"{"credits":"#.to_vec(), None),
            ("two", b"{}{}".to_vec(), Some("")),
            ("array", b"[]".to_vec(), Some("")),
            ("string", b"\"{}\"".to_vec(), Some("")),
            ("null", b"null".to_vec(), Some("")),
            ("comment", b"{} // done".to_vec(), Some("")),
            ("trailing comma", object(r#""credits":1,"#), None),
            ("single quotes", object("'credits':1"), None),
            ("leading zero", object(r#""credits":0100"#), None),
            (
                "bad UTF-8",
                object("\"credits\":\"\u{7f}\"")
                    .iter()
                    .map(|byte| if *byte == 0x7f { 0xff } else { *byte })
                    .collect(),
                None,
            ),
            (
                "lone surrogate",
                object(r#""note":"\ud800""#),
                Some("/note"),
            ),
            (
                "duplicate",
                object(r#""credits":100,"credits":200"#),
                Some("/credits"),
            ),
            (
                "escaped duplicate",
                object(r#""note":{"a":1,"\u0061":2}"#),
                Some("/note/a"),
            ),
            ("deep arrays", deep("[", "]"), None),
            ("deep objects", deep("{\"a\":", "}"), None),
            ("deep member", nested.into_bytes(), None),
        ];
        for (what, body, pointer) in bodies {
            for path in [SESSION, PURCHASE, BALANCE, FORECAST] {
                let bare = path == FORECAST;
                // Without a payment, bare parameters are asked for one, whatever they are.
                if bare && matches!(what, "nothing" | "array" | "string" | "null") {
                    continue;
                }
                let reply = house.post_with(path, body.clone(), &[]).await;
                assert_eq!(reply.status, 400, "{what} {path}: {}", reply.text());
                let shown = reply.text().chars().take(300).collect::<String>();
                assert_eq!(
                    reply.json["code"], "INVALID_REQUEST",
                    "{what} {path}: {shown}"
                );
                assert!(reply.body.len() < 2_000, "{what} {path}: {shown}");
                if let Some(pointer) = pointer {
                    assert_eq!(reply.pointers(), [pointer], "{what} {path}: {shown}");
                }
            }
        }
        // Numbers that no double holds, also where nobody looks.
        for number in ["1e400", "-1e999", &"1".repeat(65)] {
            let body = object(&format!(r#""note":[{number}]"#));
            let reply = house.post_with(PURCHASE, body, &[]).await;
            let reply = reply.problem(400, "INVALID_REQUEST");
            assert_eq!(reply.pointers(), ["/note/0"]);
        }
        assert_eq!(house.books().await, before);
    });
}

#[test]
fn bodies_that_are_too_large_or_of_another_kind() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let huge = format!(r#"{{"note":"{}"}}"#, "x".repeat(20_000_000));
        for path in [SESSION, PURCHASE, BALANCE, FORECAST] {
            let reply = house.post_with(path, huge.clone(), &[]).await;
            reply.problem(413, "PAYLOAD_TOO_LARGE");
        }
        let body = purchase(&wallet, 100).to_string();
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "jason",
            "",
        ] {
            let reply = house
                .post_with(PURCHASE, body.clone(), &[("content-type", kind)])
                .await;
            reply.problem(415, "UNSUPPORTED_MEDIA_TYPE");
        }
        for kind in [
            "application/json; charset=utf-8",
            "APPLICATION/JSON",
            "application/x+json",
        ] {
            let reply = house
                .post_with(PURCHASE, body.clone(), &[("content-type", kind)])
                .await;
            reply.expect(402);
        }
        house.get("/healthz").await.expect(200);
    });
}

#[test]
fn a_body_of_unknown_length_is_read_to_the_limit() {
    run(async {
        let house = House::new().await;
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(65_536));
        let head = format!(
            "POST {PURCHASE} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             transfer-encoding: chunked\r\n\r\n"
        );
        // Three mebibytes, and the answer comes after them.
        let mut connection = TcpStream::connect(house.address()).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..48 {
            connection.write_all(chunk.as_bytes()).await.unwrap();
        }
        connection.write_all(b"0\r\n\r\n").await.unwrap();
        let mut start = [0; 12];
        connection.read_exact(&mut start).await.unwrap();
        assert_eq!(start, *b"HTTP/1.1 413");

        // One that never ends comes to its end.
        let mut connection = TcpStream::connect(house.address()).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut chunks = 0;
        while connection.write_all(chunk.as_bytes()).await.is_ok() {
            chunks += 1;
            assert!(chunks < 2_000, "it reads for ever");
        }
    });
}

#[test]
fn parameters_that_the_schema_refuses() {
    run(async {
        let house = House::new().await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let before = house.books().await;
        for (parameters, pointer) in [
            (json!({}), "/place"),
            (json!({ "place": 3 }), "/place"),
            (json!({ "place": null }), "/place"),
            (json!([]), ""),
            (json!("Bern"), ""),
        ] {
            let call = Call {
                parameters: parameters.clone(),
                ..Call::forecast(&wallet, &session, "schema")
            };
            let reply = house.call(&call).await.problem(400, "INVALID_REQUEST");
            let expected = format!("/parameters{pointer}");
            assert_eq!(reply.pointers(), [expected], "{parameters}");
            assert_eq!(house.books().await, before);
        }
        // The request id is still free.
        let call = Call::forecast(&wallet, &session, "schema");
        house.call(&call).await.expect(200);
        assert_eq!(house.tools.count(), 1);
    });
}

#[test]
fn tools_that_are_not_there() {
    run(async {
        let house = House::new().await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let before = house.books().await;
        for (product, action) in [
            ("weather", "history"),
            ("history", "forecast"),
            ("Weather", "forecast"),
            ("weather%00", "forecast"),
        ] {
            let call = Call::of(&wallet, &session, "nowhere", product, action);
            let reply = house.call(&call).await;
            assert_eq!(reply.json["code"], "TOOL_NOT_FOUND", "{product}/{action}");
            let bare = house.post(&call.url_path(), &json!({})).await;
            bare.problem(404, "TOOL_NOT_FOUND");
        }
        assert_eq!(house.books().await, before);
    });
}

/// A change to a payment by the wallet.
type Change = fn(&mut Payment, &Wallet);

#[test]
fn payments_of_a_call_that_are_not_what_was_asked() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let body = json!({ "place": "Bern" });
        let offer = house.post(FORECAST, &body).await.expect(402);
        let good = Payment::of(&offer, &wallet);
        let before = house.books().await;
        let changes: [(&str, Change); 4] = [
            ("authorization_value", |payment, wallet| {
                payment.authorization.value -= U256::ONE;
                payment.sign(wallet);
            }),
            ("recipient_mismatch", |payment, wallet| {
                payment.authorization.to = wallet.address();
                payment.sign(wallet);
            }),
            ("authorization_valid_before", |payment, wallet| {
                payment.authorization.valid_before = now() - 1;
                payment.sign(wallet);
            }),
            ("signature", |payment, _| payment.sign(&Wallet::random())),
        ];
        for (reason, change) in changes {
            let mut payment = good.clone();
            change(&mut payment, &wallet);
            let header = payment.header();
            let headers = [("payment-signature", header.as_str())];
            let reply = house.post_with(FORECAST, body.to_string(), &headers).await;
            let reply = reply.expect(402);
            let response = reply.payment_response().expect("PAYMENT-RESPONSE");
            let expected = format!("invalid_exact_evm_payload_{reason}");
            assert_eq!(response["errorReason"], expected);
            assert_eq!(reply.payment_required()["accepts"][0], good.accepted);
        }
        assert_eq!(house.books().await, before);
        assert_eq!(house.tools.count(), 0);
    });
}
