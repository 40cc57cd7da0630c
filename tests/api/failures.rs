//! Tools that fail, and clients that do not wait: a call is charged once or not at all.

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{Call, House, Setup, run};

/// A tool, its action, and what a call of it comes to.
struct Failure {
    product: &'static str,
    action: &'static str,
    status: u16,
    code: &'static str,
    upstream: (Value, Value),
}

fn failures() -> [Failure; 7] {
    let failed = |product, action, upstream| Failure {
        product,
        action,
        status: 502,
        code: "TOOL_FAILED",
        upstream,
    };
    let unheard = (Value::Null, Value::Null);
    [
        failed(
            "trouble",
            "fail",
            (json!(500), json!({ "error": "out of order" })),
        ),
        failed("trouble", "redirect", (json!(307), Value::Null)),
        failed("trouble", "missing", (json!(404), Value::Null)),
        failed("trouble", "huge", unheard.clone()),
        failed("breaking", "off", unheard.clone()),
        failed("closed", "door", unheard.clone()),
        Failure {
            status: 504,
            code: "TOOL_TIMEOUT",
            ..failed("trouble", "stall", unheard)
        },
    ]
}

#[test]
fn a_failed_tool_costs_nothing() {
    run(async {
        let house = House::new().await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        for failure in failures() {
            let Failure {
                product,
                action,
                status,
                code,
                upstream,
            } = failure;
            let call = Call::of(&wallet, &session, action, product, action);
            let reply = house.call(&call).await.problem(status, code);
            let problem = &reply.json;
            assert_eq!(problem["charge_status"], "voided", "{problem}");
            assert_eq!(problem["charged_credits"], 0, "{problem}");
            assert!(problem["charge_id"].is_string(), "{problem}");
            assert_eq!(problem["upstream_status"], upstream.0, "{problem}");
            assert_eq!(problem["upstream_body"], upstream.1, "{problem}");
            assert_eq!(reply.header("idempotent-replayed"), None);

            // Sent again, it is told the same, and the tool is not asked again.
            let asked = house.tools.count();
            let again = house.call(&call).await.problem(status, code);
            assert_eq!(again.body, reply.body, "{action}");
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
            assert_eq!(house.tools.count(), asked, "{action}");
        }
        let books = house.books().await;
        books.nothing_held();
        assert_eq!(books.units(&wallet), 1_000_000);
        assert_eq!(books.charges("voided"), 7);
        // The redirect was not followed.
        assert!(
            house
                .tools
                .calls()
                .iter()
                .all(|asked| asked.path != "/forecast")
        );
        assert_eq!(house.balance(&wallet).await["available_credits"], 100);
    });
}

#[test]
fn a_client_that_hangs_up_is_charged_and_finds_its_reply() {
    run(async {
        let house = House::new().await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::of(&wallet, &session, "hang-up", "trouble", "gate");

        let body = call.body().to_string();
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            call.url_path(),
            body.len()
        );
        let mut connection = TcpStream::connect(house.address()).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.write_all(body.as_bytes()).await.unwrap();
        house.tools.asked(1).await;
        drop(connection);

        // It runs on.
        let running = house.call(&call).await;
        running.problem(409, "EXTERNAL_SIGNATURE_REQUEST_IN_FLIGHT");
        house.tools.open_gate();
        let reply = house.settled(&call).await.expect(200);
        assert_eq!(reply.header("idempotent-replayed"), Some("true"));
        assert_eq!(reply.json["response"]["data"], json!({ "gate": "open" }));
        assert_eq!(reply.json["charge_status"], "captured");
        assert_eq!(reply.json["balance_credits"], 97);
        assert_eq!(house.tools.count(), 1);
        assert_eq!(house.books().await.units(&wallet), 970_000);
    });
}

#[test]
fn a_server_that_stops_finishes_what_runs() {
    run(async {
        let mut house = House::new().await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::of(&wallet, &session, "last", "trouble", "gate");
        let (url, body) = (house.url(&call.url_path()), call.body().to_string());
        let request = house
            .http
            .post(url)
            .header("content-type", "application/json")
            .body(body);
        let answer = tokio::spawn(request.send());
        house.tools.asked(1).await;
        house.signal("-TERM").await;
        house.refuses_connections().await;
        house.tools.open_gate();
        let answer = answer.await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        let answer = answer.bytes().await.unwrap();
        let status = house.ended().await;
        assert!(status.success(), "{status}");
        house.books().await.nothing_held();

        house.start().await;
        let again = house.call(&call).await.expect(200);
        assert_eq!(again.body, answer);
        assert_eq!(house.tools.count(), 1);
    });
}

#[test]
fn a_server_that_stops_waits_no_longer_than_it_may() {
    run(async {
        let listen = "listen = \"127.0.0.1:0\"";
        let setup = Setup::default().with(listen, &format!("{listen}\nshutdown_seconds = 1"));
        let mut house = House::with(setup).await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::of(&wallet, &session, "endless", "trouble", "gate");
        let request = house.http.post(house.url(&call.url_path()));
        let request = request
            .header("content-type", "application/json")
            .body(call.body().to_string());
        let answer = tokio::spawn(request.send());
        house.tools.asked(1).await;
        let start = std::time::Instant::now();
        assert!(house.terminate().await.success());
        assert!(start.elapsed().as_secs() < 8, "{:?}", start.elapsed());
        assert!(answer.await.unwrap().is_err());

        house.start().await;
        house.books().await.nothing_held();
        house.call(&call).await.problem(503, "UNAVAILABLE");
        assert_eq!(house.balance(&wallet).await["available_credits"], 100);
    });
}

#[test]
fn when_no_more_replies_can_be_kept_nothing_is_charged() {
    run(async {
        let limit = "response_bytes_max = 65_536";
        let quota = format!("{limit}\nstored_replies_bytes_max = 1_048_576");
        let house = House::with(Setup::default().with(limit, &quota)).await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = |index: usize| Call {
            parameters: json!({ "text": "x".repeat(60_000) }),
            ..Call::of(&wallet, &session, &format!("full-{index}"), "echo", "shout")
        };
        let mut kept = Vec::new();
        let refused = loop {
            let reply = house.call(&call(kept.len())).await;
            if reply.status != 200 {
                break reply;
            }
            kept.push(reply);
            assert!(kept.len() < 20, "more is kept than may be");
        };
        let refused = refused.problem(503, "UNAVAILABLE");
        assert!(refused.header("retry-after").is_some());
        let charged = i64::try_from(kept.len()).unwrap() * 25_000;
        assert_eq!(house.books().await.units(&wallet), 1_000_000 - charged);
        // Those that are kept are told again.
        let again = house.call(&call(0)).await.expect(200);
        assert_eq!(again.body, kept[0].body);
    });
}
