//! What every client meets before it pays: the catalogue, the documents, and errors outside of any
//! handler.

use serde_json::{Value, json};

use crate::support::{
    Call, House, Setup, Wallet,
    client::{SESSION, keys},
    now, run,
};

#[test]
fn the_catalogue_tells_what_is_for_sale() {
    run(async {
        let house = House::new().await;
        let reply = house.get("/api/external/tools").await.expect(200);
        assert_eq!(keys(&reply.json), ["price_list_hash", "tools"]);
        let hash = reply.json["price_list_hash"].as_str().unwrap();
        assert_eq!(hash.len(), 64);
        let weather = json!({
            "slug": "weather",
            "name": "Weather",
            "description": "Forecasts",
            "actions": [{
                "slug": "forecast",
                "description": "Forecast for a place",
                "invoke_url":
                    "http://counterfoil.test/api/external/tools/weather/actions/forecast/invoke",
                "price_credits": 5,
                "price_usd": "0.05",
                "x402": true,
                "parameters": {
                    "type": "object",
                    "properties": { "place": { "type": "string" } },
                    "required": ["place"],
                },
            }],
        });
        let tools = reply.json["tools"].as_array().unwrap();
        let slugs: Vec<&Value> = tools.iter().map(|tool| &tool["slug"]).collect();
        assert_eq!(slugs, ["weather", "echo", "trouble", "breaking", "closed"]);
        assert_eq!(tools[0], weather);
        assert_eq!(tools[1]["actions"][1]["x402"], false);
        assert!(reply.text().contains("\"price_credits\":0.0001,"));

        let page = house.get("/api/external/tools/weather").await.expect(200);
        let mut expected = json!({ "price_list_hash": hash });
        for (name, value) in weather.as_object().unwrap() {
            expected[name] = value.clone();
        }
        assert_eq!(page.json, expected);
        for missing in ["history", "Weather", "%00", "weather%2Factions"] {
            let reply = house.get(&format!("/api/external/tools/{missing}")).await;
            reply.problem(404, "TOOL_NOT_FOUND");
        }
    });
}

#[test]
fn a_session_says_how_long_it_lasts() {
    run(async {
        let setup = Setup::default().with("lifetime_seconds = 900", "lifetime_seconds = 120");
        let house = House::with(setup).await;
        let wallet = Wallet::random();
        let books = house.books().await;
        for path in [SESSION, "/api/external/session-nonce"] {
            let body = json!({ "wallet_address": wallet.address().to_checksum(None) });
            let reply = house.post(path, &body).await.expect(200);
            assert_eq!(
                keys(&reply.json),
                ["session_nonce", "expires_in", "expires_at"]
            );
            assert_eq!(reply.json["expires_in"], 120);
            let at = reply.json["expires_at"].as_str().unwrap();
            let end = i64::try_from(now()).unwrap() + 120;
            assert!((end - 5..=end).any(|second| at == rfc3339(second)), "{at}");
        }
        let sessions = [house.session(&wallet).await, house.session(&wallet).await];
        assert_ne!(sessions[0], sessions[1]);
        // Opening one writes nothing.
        assert_eq!(house.books().await, books);
    });
}

fn rfc3339(second: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(second).unwrap();
    at.format(&time::format_description::well_known::Rfc3339)
        .unwrap()
}

#[test]
fn the_api_describes_itself() {
    run(async {
        let house = House::new().await;
        let reply = house.get("/openapi.json").await.expect(200);
        assert!(
            reply
                .header("content-type")
                .unwrap()
                .starts_with("application/json")
        );
        let version = reply.json["openapi"].as_str().unwrap();
        assert!(version.starts_with("3.1"), "{version}");
        let listed: Vec<String> = reply.json["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                keys(item)
                    .into_iter()
                    .map(move |method| format!("{method} {path}"))
            })
            .collect();
        let mut listed: Vec<&str> = listed.iter().map(String::as_str).collect();
        listed.sort_unstable();
        assert_eq!(
            listed,
            [
                "get /api/external/credits/purchases/{id}",
                "get /api/external/tools",
                "get /api/external/tools/{product}",
                "get /healthz",
                "get /readyz",
                "post /api/external/auth/session",
                "post /api/external/credits/balance",
                "post /api/external/credits/purchase",
                "post /api/external/session-nonce",
                "post /api/external/tools/{product}/actions/{action}/invoke",
                "post /api/external/tools/{product}/invoke",
            ]
        );
        // Every reference leads somewhere.
        let text = reply.text();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(reply.json.pointer(pointer).is_some(), "{pointer}");
        }
        check_posts(&reply.json);
        let docs = house.get("/docs/").await.expect(200);
        assert!(
            docs.header("content-type")
                .unwrap()
                .starts_with("text/html")
        );
        // Without the slash too, also for those who follow redirects.
        let docs = house.get("/docs").await.expect(200);
        assert!(docs.text().contains("<html"), "{}", docs.text());
    });
}

/// What every request with a body may meet, and what a call may bring and be answered.
fn check_posts(api: &Value) {
    for (path, item) in api["paths"].as_object().unwrap() {
        let Some(post) = item.get("post") else {
            continue;
        };
        let session = path.contains("session");
        for status in ["400", "408", "413", "415", "429", "503"] {
            let listed = post["responses"].get(status).is_some();
            assert_eq!(listed, !(session && status == "429"), "{path} {status}");
        }
        let pays = path.ends_with("/purchase") || path.ends_with("/invoke");
        let parameters = post["parameters"].as_array();
        let header = parameters.into_iter().flatten().any(|parameter| {
            parameter["name"] == "PAYMENT-SIGNATURE"
                && parameter["in"] == "header"
                && parameter["required"] == false
        });
        assert_eq!(header, pays, "{path}");
        let schema = |status: &str| {
            let response = post["responses"].get(status)?;
            let reference = response["content"]["application/json"]["schema"]["$ref"].as_str()?;
            api.pointer(reference.strip_prefix('#')?)
        };
        if pays {
            let document = schema("202").unwrap();
            assert!(document["properties"].get("status_url").is_some(), "{path}");
        }
        if path.ends_with("/invoke") {
            let answers = schema("200").unwrap()["oneOf"].to_string();
            for document in ["/CallDocument\"", "/PaidCallDocument\""] {
                assert!(answers.contains(document), "{path}: {answers}");
            }
        }
    }
}

#[test]
fn errors_outside_of_handlers_are_problems_too() {
    run(async {
        let house = House::new().await;
        for path in [
            "/",
            "/api",
            "/api/external",
            "/api/external/nothing",
            "/api/external/tools/",
            "/api/external/credits/purchases/",
            "/favicon.ico",
            "/docs/nothing",
            "/..%2f..%2fetc/passwd",
        ] {
            let reply = house.get(path).await;
            assert_eq!(reply.status, 404, "{path}");
            assert_eq!(
                reply.header("content-type"),
                Some("application/problem+json"),
                "{path}"
            );
        }
        for path in [
            SESSION,
            "/api/external/credits/purchase",
            "/api/external/credits/balance",
        ] {
            let reply = house.get(path).await.problem(405, "METHOD_NOT_ALLOWED");
            assert_eq!(reply.header("allow"), Some("POST"), "{path}");
        }
        for path in ["/healthz", "/readyz", "/api/external/tools"] {
            let reply = house.post(path, &json!({})).await;
            reply.problem(405, "METHOD_NOT_ALLOWED");
        }
        let reply = house.get("/api/external/tools/%ff").await;
        assert!((400..500).contains(&reply.status), "{}", reply.text());
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json")
        );
        let call = Call::forecast(&Wallet::random(), "s-1", "percent");
        let path = call.url_path().replace("forecast", "%ff");
        let reply = house.post(&path, &json!({})).await;
        assert!((400..500).contains(&reply.status), "{}", reply.text());
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json")
        );
    });
}

#[test]
fn every_answer_has_its_headers() {
    run(async {
        let house = House::new().await;
        for path in ["/healthz", "/readyz", "/nothing", "/api/external/tools"] {
            let reply = house.get(path).await;
            assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
            assert_eq!(
                reply.header("x-content-type-options"),
                Some("nosniff"),
                "{path}"
            );
            assert!(
                reply
                    .header("x-request-id")
                    .is_some_and(|id| !id.is_empty()),
                "{path}"
            );
        }
        let named = [("x-request-id", "mine")];
        let reply = house.post_with(SESSION, "{}", &named).await.expect(400);
        assert_eq!(reply.header("x-request-id"), Some("mine"));
        let long = "x".repeat(1_000);
        let reply = house
            .post_with(SESSION, "{}", &[("x-request-id", &long)])
            .await;
        assert!(reply.header("x-request-id").unwrap().len() < 100);
    });
}

#[test]
fn what_is_secret_stays_out_of_the_log() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let reply = house.buy(&wallet, 100).await.expect(200);
        let id = reply.json["purchase_id"].as_str().unwrap();
        house
            .get(&format!("/api/external/credits/purchases/{id}"))
            .await
            .expect(200);
        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "quiet");
        house.call(&call).await.expect(200);
        let log = house.stderr();
        assert!(
            log.contains("/api/external/credits/purchases/{id}"),
            "{log}"
        );
        let signature = wallet.sign(&call.message());
        let relayer = std::fs::read_to_string(house.path("relayer.key")).unwrap();
        for (what, secret) in [
            ("the purchase's id", id),
            ("the session nonce", &session),
            ("the signature", &signature[2..]),
            ("the relayer's key", relayer.trim()),
        ] {
            assert!(!log.contains(secret), "{what} is in the log:\n{log}");
        }
    });
}

#[test]
fn too_many_requests_at_once_are_told_to_come_back() {
    run(async {
        let limit = "response_bytes_max = 65_536";
        let setup = Setup::default().with(limit, &format!("{limit}\nin_flight_max = 1"));
        let house = House::with(setup).await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::of(&wallet, &session, "busy", "trouble", "gate");
        let meanwhile = async {
            house.tools.asked(1).await;
            let other = Call::forecast(&wallet, &session, "shed");
            let reply = house.call(&other).await.problem(503, "UNAVAILABLE");
            assert!(reply.header("retry-after").is_some());
            house.tools.open_gate();
        };
        let (reply, ()) = tokio::join!(house.call(&call), meanwhile);
        reply.expect(200);
        assert_eq!(house.tools.count(), 1);
        let other = Call::forecast(&wallet, &session, "shed");
        house.call(&other).await.expect(200);
    });
}

#[test]
fn an_error_in_the_log_names_its_request() {
    run(async {
        let chain = std::sync::Arc::new(crate::support::Chain::own().await);
        let house = House::with(Setup::on(chain.clone())).await;
        let wallet = Wallet::random();
        let payment = house.quote(&wallet, 100).await;
        chain.stop().await;
        let body = crate::support::client::purchase(&wallet, 100).to_string();
        let (header, id) = (payment.header(), "find-me-again");
        let headers = [("payment-signature", header.as_str()), ("x-request-id", id)];
        let path = crate::support::client::PURCHASE;
        let reply = house.post_with(path, body, &headers).await;
        reply.problem(503, "UNAVAILABLE");
        let log = house.stderr();
        let error = log.lines().find(|line| line.contains("ERROR"));
        assert!(error.is_some_and(|line| line.contains(id)), "{log}");
    });
}
