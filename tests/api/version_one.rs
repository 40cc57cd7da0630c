//! Clients of x402 version 1: offers in the body alone, networks by name, payments that name no
//! asset, and answers in the version of the payment.

use alloy::primitives::U256;
use serde_json::{Value, json};

use crate::support::{
    Call, House, Payment, Reply, Setup, Wallet,
    client::{PURCHASE, keys, purchase},
    payment::encode,
    run,
};

const NETWORK: &str = "eip155:84532";
const NAME: &str = "base-sepolia";
const USDC: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
/// A token that nobody deployed.
const OTHER: &str = "0x4200000000000000000000000000000000000042";
const FORECAST: &str = "/api/external/tools/weather/actions/forecast/invoke";
const REPLAY: &str = "EXTERNAL_SIGNATURE_REQUEST_REPLAY";
const SHOUT: &str = "/api/external/tools/echo/actions/shout/invoke";

fn asked(path: &str) -> String {
    format!("{path}?x402Version=1")
}

fn bern() -> Value {
    json!({ "place": "Bern" })
}

/// What is sold over a network that has no name in version 1, by a node that cannot be reached.
fn with_local_network(setup: Setup) -> Setup {
    let tools = "[[tool]]\nslug = \"weather\"";
    let network = r#"[[network]]
id = "eip155:31337"
rpc_url = "http://127.0.0.1:9"
confirmations = 1
pay_to = "0x4200000000000000000000000000000000000001"
facilitator = "local"
relayer_key_file = "relayer.key"

[[network.asset]]
address = "0x4200000000000000000000000000000000000002"
symbol = "USDC"
decimals = 6
eip712_name = "USDC"
eip712_version = "2"
"#;
    setup.with(tools, &format!("{network}\n{tools}"))
}

/// The payload of version 1 for a payment.
fn document(payment: &Payment) -> Value {
    named(payment, NAME)
}

fn named(payment: &Payment, network: &str) -> Value {
    json!({
        "x402Version": 1,
        "scheme": "exact",
        "network": network,
        "payload": payment.proof(),
    })
}

/// The offers of an answer in version 1.
#[track_caller]
fn offers(reply: &Reply) -> &[Value] {
    assert_eq!(reply.header("payment-required"), None);
    assert_eq!(reply.json["x402Version"], 1, "{}", reply.text());
    reply.json["accepts"].as_array().unwrap()
}

/// Signs what an offer of version 1 asks for.
fn accept(offer: &Value, wallet: &Wallet) -> Payment {
    assert_eq!(offer["network"], NAME);
    let mut accepted = offer.clone();
    accepted["network"] = json!(NETWORK);
    accepted["amount"] = offer["maxAmountRequired"].clone();
    Payment::accept(&accepted, wallet)
}

/// That a payment was refused in version 1 with this reason, and may be tried again.
#[track_caller]
fn refused(reply: &Reply, reason: &str, network: &str, wallet: &Wallet) {
    assert_eq!(reply.status, 402, "{}", reply.text());
    assert!(!offers(reply).is_empty(), "{}", reply.text());
    assert_eq!(keys(&reply.json), ["x402Version", "error", "accepts"]);
    assert_eq!(reply.json["error"], reason);
    let expected = json!({
        "success": false,
        "errorReason": reason,
        "transaction": "",
        "network": network,
        "payer": wallet.name(),
    });
    assert_eq!(reply.payment_response(), Some(expected));
}

#[test]
fn an_offer_is_made_in_the_body_alone() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let before = house.books().await;
        let body = purchase(&wallet, 300);
        let reply = house.post(&asked(PURCHASE), &body).await.expect(402);
        assert_eq!(reply.header("payment-required"), None);
        assert_eq!(reply.payment_response(), None);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let error = &reply.json["error"];
        assert!(error.as_str().is_some_and(|it| it.contains("X-PAYMENT")));
        let pay_to = format!("{:#x}", house.pay_to);
        let extra = json!({ "name": "USDC", "version": "2" });
        assert_eq!(
            reply.json,
            json!({
                "x402Version": 1,
                "error": error,
                "accepts": [{
                    "scheme": "exact",
                    "network": "base-sepolia",
                    "maxAmountRequired": "3000000",
                    "resource": "http://counterfoil.test/api/external/credits/purchase",
                    "description": format!("300 credits for {}", wallet.name()),
                    "mimeType": "application/json",
                    "payTo": pay_to,
                    "maxTimeoutSeconds": 300,
                    "asset": USDC,
                    "extra": extra,
                }],
            })
        );
        for path in [asked(FORECAST), format!("{FORECAST}/?a=b&x402Version=1&c")] {
            let reply = house.post(&path, &bern()).await.expect(402);
            let [offer] = offers(&reply) else {
                panic!("{}", reply.text());
            };
            assert_eq!(offer["maxAmountRequired"], "50000");
            assert_eq!(offer["description"], "Forecast for a place");
            let url = format!("http://counterfoil.test{FORECAST}");
            assert_eq!(offer["resource"], url);
        }
        // Version 2 may be asked for too.
        let path = format!("{PURCHASE}?x402Version=2");
        let reply = house.post(&path, &body).await.expect(402);
        assert_eq!(reply.payment_required()["x402Version"], 2);
        assert_eq!(house.books().await, before);
    });
}

#[test]
fn a_wrong_version_is_pointed_at() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let bodies = [
            (PURCHASE, purchase(&wallet, 100)),
            (FORECAST, bern()),
            ("/api/external/tools/weather/invoke", bern()),
        ];
        for query in [
            "x402Version=3",
            "x402Version=x",
            "x402Version=",
            "x402Version=1&x402Version=1",
            "x402Version=2&x402Version=1",
        ] {
            for (path, body) in &bodies {
                let reply = house.post(&format!("{path}?{query}"), body).await;
                let reply = reply.problem(400, "INVALID_REQUEST");
                assert_eq!(reply.pointers(), ["/x402Version"], "{path}?{query}");
                assert_eq!(reply.header("payment-required"), None);
            }
        }
    });
}

#[test]
fn a_network_without_a_name_is_left_out() {
    run(async {
        let house = House::with(with_local_network(Setup::default())).await;
        let wallet = Wallet::random();
        let mut body = purchase(&wallet, 100);
        let both = house.post(PURCHASE, &body).await.expect(402);
        let accepts = &both.payment_required()["accepts"];
        assert_eq!(accepts.as_array().unwrap().len(), 2);
        for (path, body) in [(PURCHASE, &body), (FORECAST, &bern())] {
            let reply = house.post(&asked(path), body).await.expect(402);
            let names: Vec<_> = offers(&reply).iter().map(|it| &it["network"]).collect();
            assert_eq!(names, [NAME]);
        }
        body["network"] = json!("eip155:31337");
        let none = house.post(&asked(PURCHASE), &body).await.expect(402);
        assert!(offers(&none).is_empty());
        let error = none.json["error"].as_str().unwrap();
        assert!(error.contains("no words for the ways to pay"), "{error}");
    });
}

#[test]
fn a_payment_under_any_header_is_answered_in_its_version() {
    run(async {
        let house = House::new().await;
        for (name, path) in [
            ("X-PAYMENT", asked(PURCHASE)),
            ("PAYMENT-SIGNATURE", PURCHASE.to_owned()),
            ("PAYMENT", format!("{PURCHASE}?x402Version=2")),
        ] {
            let wallet = Wallet::random();
            house.chain_dollars(&wallet, 100).await;
            let body = purchase(&wallet, 100);
            let quote = house.post(&asked(PURCHASE), &body).await.expect(402);
            let payment = accept(&offers(&quote)[0], &wallet);
            let header = encode(&document(&payment));
            let headers = [(name, header.as_str())];
            let reply = house.post_with(&path, body.to_string(), &headers).await;
            let reply = reply.expect(200);
            let transaction = &reply.json["transaction"];
            let settled = json!({
                "success": true,
                "transaction": transaction,
                "network": "base-sepolia",
                "payer": wallet.name(),
            });
            assert_eq!(reply.payment_response(), Some(settled), "{name}");
            assert_eq!(reply.json["balance_credits"], 100);
            assert_eq!(reply.json["network"], NETWORK);
        }
        assert_eq!(house.received().await, U256::from(3_000_000));
        assert_eq!(house.books().await.payments("purchase credited"), 3);
    });
}

#[test]
fn a_payment_of_version_2_is_answered_in_version_2() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let payment = house.quote(&wallet, 100).await;
        let body = purchase(&wallet, 100).to_string();
        let header = payment.header();
        let headers = [("X-PAYMENT", header.as_str())];
        let path = asked(PURCHASE);
        let poor = house.post_with(&path, body.clone(), &headers).await;
        let poor = poor.expect(402);
        assert_eq!(poor.json, poor.payment_required());
        assert_eq!(poor.payment_response().unwrap()["network"], NETWORK);
        house.chain_dollars(&wallet, 100).await;
        let paid = house.post_with(&path, body, &headers).await.expect(200);
        let settled = paid.payment_response().unwrap();
        assert_eq!(settled["network"], NETWORK);
        assert_eq!(settled["amount"], "1000000");
    });
}

#[test]
fn a_refusal_is_in_version_1() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let body = purchase(&wallet, 100);
        let good = house.quote(&wallet, 100).await;
        let mut stolen = good.clone();
        stolen.sign(&Wallet::random());
        let mut less = good.clone();
        less.authorization.value -= U256::ONE;
        less.sign(&wallet);
        let mut scheme = document(&good);
        scheme["scheme"] = json!("upto");
        for (document, reason, network) in [
            (document(&good), "insufficient_funds", NAME),
            (named(&good, "base"), "invalid_network", "base"),
            (
                document(&stolen),
                "invalid_exact_evm_payload_signature",
                NAME,
            ),
            (
                document(&less),
                "invalid_exact_evm_payload_authorization_value",
                NAME,
            ),
            (scheme, "unsupported_scheme", NAME),
        ] {
            let header = encode(&document);
            let reply = house.pay_header(&body, "X-PAYMENT", &header).await;
            refused(&reply, reason, network, &wallet);
            let headers = [("X-PAYMENT", header.as_str())];
            let called = house.post_with(FORECAST, bern().to_string(), &headers);
            let called = called.await.expect(402);
            assert_eq!(offers(&called)[0]["maxAmountRequired"], "50000");
            let response = called.payment_response().unwrap();
            assert_eq!(response["network"], network);
            assert_eq!(response["success"], false);
        }
        assert!(house.books().await.payments.is_empty());
        assert_eq!(house.tools.count(), 0);
    });
}

#[test]
fn each_version_has_names_of_its_own() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let payment = house.quote(&wallet, 100).await;
        let mut second = payment.document();
        second["accepted"]["network"] = json!(NAME);
        let mut third = document(&payment);
        third["x402Version"] = json!(3);
        let mut nameless = payment.document();
        nameless["x402Version"] = json!(1);
        for (document, said) in [
            (named(&payment, NETWORK), "/network"),
            (named(&payment, "Base-Sepolia"), "/network"),
            (named(&payment, "solana"), "/network"),
            (named(&payment, ""), "/network"),
            (second, "/accepted/network"),
            (nameless, "/scheme"),
            (third, "version"),
        ] {
            let header = encode(&document);
            let body = purchase(&wallet, 100);
            let reply = house.pay_header(&body, "X-PAYMENT", &header).await;
            let reply = reply.problem(400, "INVALID_PAYMENT");
            let detail = reply.json["detail"].as_str().unwrap();
            assert!(detail.contains(said), "{detail}");
        }
        assert!(house.books().await.payments.is_empty());
        // None of it spent the payment.
        let header = encode(&document(&payment));
        let body = purchase(&wallet, 100);
        let reply = house.pay_header(&body, "X-PAYMENT", &header).await;
        reply.expect(200);
    });
}

#[test]
fn the_asset_is_the_one_that_was_signed_for() {
    run(async {
        let usdc = format!("[[network.asset]]\naddress = \"{USDC}\"");
        let other = format!(
            "[[network.asset]]\naddress = \"{OTHER}\"\nsymbol = \"OTHER\"\ndecimals = 6\n\
             eip712_name = \"USDC\"\neip712_version = \"2\"\n\n{usdc}"
        );
        let house = House::with(Setup::default().with(&usdc, &other)).await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let body = purchase(&wallet, 100);
        let quote = house.post(&asked(PURCHASE), &body).await.expect(402);
        let [first, second] = offers(&quote) else {
            panic!("{}", quote.text());
        };
        assert_eq!(
            (&first["asset"], &second["asset"]),
            (&json!(OTHER), &json!(USDC))
        );
        let payment = accept(second, &wallet);
        let header = encode(&document(&payment));
        let reply = house.pay_header(&body, "X-PAYMENT", &header).await;
        assert_eq!(reply.expect(200).json["balance_credits"], 100);
        assert_eq!(house.received().await, U256::from(1_000_000));
    });
}

#[test]
fn one_authorization_in_both_versions_is_one_purchase() {
    run(async {
        let house = House::new().await;
        for versions in [[1, 2], [2, 1]] {
            let wallet = Wallet::random();
            // Twice what it takes: a second transfer would not fail for want of funds.
            house.chain_dollars(&wallet, 200).await;
            let payment = house.quote(&wallet, 100).await;
            let body = purchase(&wallet, 100);
            let header = |version| match version {
                1 => encode(&document(&payment)),
                _ => payment.header(),
            };
            let [first, second] = versions.map(header);
            let first = house.pay_header(&body, "PAYMENT-SIGNATURE", &first).await;
            let first = first.expect(200);
            let second = house.pay_header(&body, "PAYMENT-SIGNATURE", &second).await;
            let second = second.expect(200);
            assert_eq!(first.json["purchase_id"], second.json["purchase_id"]);
            assert_eq!(first.json["transaction"], second.json["transaction"]);
            assert_eq!(house.balance(&wallet).await["balance_credits"], 100);
        }
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 200).await;
        let payment = house.quote(&wallet, 100).await;
        let body = purchase(&wallet, 100);
        let (first, second) = (payment.header(), encode(&document(&payment)));
        let (first, second) = tokio::join!(
            house.pay_header(&body, "PAYMENT-SIGNATURE", &first),
            house.pay_header(&body, "X-PAYMENT", &second),
        );
        let (first, second) = (first.expect(200), second.expect(200));
        assert_eq!(first.json["purchase_id"], second.json["purchase_id"]);
        assert_eq!(house.balance(&wallet).await["balance_credits"], 100);
        assert_eq!(house.received().await, U256::from(3_000_000));
        assert_eq!(house.books().await.payments("purchase credited"), 3);
    });
}

#[test]
fn a_call_is_paid_in_version_1() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 10).await;
        let quote = house.post(&asked(FORECAST), &bern()).await.expect(402);
        let payment = accept(&offers(&quote)[0], &wallet);
        let header = encode(&document(&payment));
        let headers = [("X-PAYMENT", header.as_str())];
        let call = || house.post_with(FORECAST, bern().to_string(), &headers);
        let reply = call().await.expect(200);
        assert_eq!(reply.json["x402"]["network"], NETWORK);
        let settled = json!({
            "success": true,
            "transaction": reply.json["x402"]["transaction"],
            "network": "base-sepolia",
            "payer": wallet.name(),
        });
        assert_eq!(reply.payment_response(), Some(settled));
        call().await.problem(409, REPLAY);
        // Nor does the same authorization in version 2 pay another call.
        let header = payment.header();
        let headers = [("PAYMENT-SIGNATURE", header.as_str())];
        let again = house.post_with(FORECAST, bern().to_string(), &headers);
        again.await.problem(409, REPLAY);
        assert_eq!(house.tools.count(), 1);
        assert_eq!(house.received().await, U256::from(50_000));
    });
}

#[test]
fn a_signed_call_without_credits_is_offered_version_1_beside_the_problem() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "poor");
        let path = asked(&call.url_path());
        let reply = house.post(&path, &call.body()).await;
        let reply = reply.problem(402, "INSUFFICIENT_CREDITS");
        assert_eq!(reply.json["price_credits"], 5);
        let payment = accept(&offers(&reply)[0], &wallet);
        house.chain_dollars(&wallet, 5).await;
        let header = encode(&document(&payment));
        let headers = [("X-PAYMENT", header.as_str())];
        let paid = house.post_with(&path, call.body().to_string(), &headers);
        let paid = paid.await.expect(200);
        assert_eq!(paid.payment_response().unwrap()["network"], NAME);

        // What takes credits only offers nothing, and says so.
        let call = Call::of(&wallet, &session, "poor", "echo", "shout");
        let reply = house.post(&asked(&call.url_path()), &call.body()).await;
        let reply = reply.problem(402, "INSUFFICIENT_CREDITS");
        assert_eq!(reply.json.get("accepts"), None);
        let bare = house.post(&asked(SHOUT), &json!({})).await.expect(402);
        assert!(offers(&bare).is_empty());
        let error = bare.json["error"].as_str().unwrap();
        assert!(error.contains("credits only"), "{error}");
    });
}

#[test]
fn the_parameter_is_documented_wherever_it_is_read() {
    run(async {
        let house = House::new().await;
        let document = house.get("/openapi.json").await.expect(200).json;
        let paths = document["paths"].as_object().unwrap();
        let takes = |operation: &Value| {
            let parameters = operation["post"]["parameters"].as_array();
            parameters.is_some_and(|all| all.iter().any(|it| it["name"] == "x402Version"))
        };
        let named = paths.iter().filter(|(_, operation)| takes(operation));
        let mut named: Vec<&str> = named.map(|(path, _)| path.as_str()).collect();
        named.sort_unstable();
        assert_eq!(
            named,
            [
                PURCHASE,
                "/api/external/tools/{product}/actions/{action}/invoke",
                "/api/external/tools/{product}/invoke",
            ]
        );
    });
}
