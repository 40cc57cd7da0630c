//! What strangers can make the service do at one time, and how much of it.

use alloy::primitives::U256;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    Call, House, Payment, Request, Setup, Wallet,
    client::{PURCHASE, SESSION, purchase},
    run, until,
};

const LIMITS: &str = "response_bytes_max = 65_536";

/// A house with one more line among its limits.
async fn limited(line: &str) -> House {
    House::with(Setup::default().with(LIMITS, &format!("{LIMITS}\n{line}"))).await
}

/// A house that believes its peer, with so few failures for each client.
async fn behind_a_proxy(failures: u32) -> House {
    let setup = few_failures(failures).with(
        "public_url =",
        "trusted_proxies = [\"127.0.0.1\"]\npublic_url =",
    );
    House::with(setup).await
}

fn few_failures(failures: u32) -> Setup {
    let usual = "failed_signatures_per_minute = 300";
    Setup::default().with(usual, &format!("failed_signatures_per_minute = {failures}"))
}

#[test]
fn a_call_keeps_its_place_when_its_client_hangs_up() {
    run(async {
        let house = limited("in_flight_max = 1").await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::of(&wallet, &session, "left", "trouble", "gate");
        tokio::select! {
            reply = house.call(&call) => panic!("{}", reply.text()),
            () = house.tools.asked(1) => {}
        }
        // The client is gone, and the tool still runs.
        let other = Call::forecast(&wallet, &session, "other");
        for _ in 0..20 {
            let reply = house.call(&other).await.problem(503, "UNAVAILABLE");
            assert!(reply.header("retry-after").is_some());
            house.get("/healthz").await.expect(200);
        }
        house.tools.open_gate();
        until("the place is not given back", async || {
            house.call(&other).await.status == 200
        })
        .await;
        let reply = house.settled(&call).await.expect(200);
        assert_eq!(reply.header("idempotent-replayed"), Some("true"));
    });
}

#[test]
fn a_body_on_its_way_takes_no_place() {
    run(async {
        let house = limited("in_flight_max = 1").await;
        let mut slow = TcpStream::connect(house.address()).await.unwrap();
        let head = format!(
            "POST {SESSION} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             content-length: 100\r\nexpect: 100-continue\r\n\r\n"
        );
        slow.write_all(head.as_bytes()).await.unwrap();
        // Asked for its body, so the handler reads it.
        let mut answer = [0; 12];
        slow.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 100");
        slow.write_all(b"{\"wallet_address\":").await.unwrap();
        house.session(&Wallet::random()).await;
        drop(slow);
    });
}

#[test]
fn payments_take_the_places_of_payments_only() {
    run(async {
        let house = limited("payments_in_flight_max = 1").await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let path = Call::of(&wallet, &session, "-", "trouble", "gate").url_path();
        let offer = house.post(&path, &json!({})).await.expect(402);
        let payer = Wallet::random();
        house
            .chain
            .mint(payer.address(), U256::from(1_000_000))
            .await;
        let running = Request::direct(&path, &json!({}), &Payment::of(&offer, &payer));
        let meanwhile = async {
            house.tools.asked(1).await;
            let payment = house.quote(&payer, 100).await;
            let reply = house.pay(&payer, 100, &payment).await;
            let reply = reply.problem(503, "UNAVAILABLE");
            assert!(reply.header("retry-after").is_some());
            let call = Call::forecast(&wallet, &session, "paid-before");
            house.call(&call).await.expect(200);
            house.tools.open_gate();
        };
        let (reply, ()) = tokio::join!(house.send(&running), meanwhile);
        reply.expect(200);
    });
}

#[test]
fn connections_are_bounded_for_each_peer_and_in_all() {
    run(async {
        for line in ["connections_per_peer_max = 2", "connections_max = 2"] {
            let house = limited(line).await;
            let mut first = TcpStream::connect(house.address()).await.unwrap();
            let mut second = TcpStream::connect(house.address()).await.unwrap();
            assert!(
                lives(&mut first).await && lives(&mut second).await,
                "{line}"
            );
            let mut third = TcpStream::connect(house.address()).await.unwrap();
            assert!(!lives(&mut third).await, "{line}");
            assert!(lives(&mut first).await, "{line}");
            drop(second);
            until("a place is not given back", async || {
                let mut next = TcpStream::connect(house.address()).await.unwrap();
                lives(&mut next).await
            })
            .await;
        }
    });
}

/// Whether the service answers on a connection.
async fn lives(stream: &mut TcpStream) -> bool {
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    if stream.write_all(request).await.is_err() {
        return false;
    }
    let mut read = Vec::new();
    loop {
        match stream.read_buf(&mut read).await {
            Ok(0) | Err(_) => return false,
            Ok(_) if read.ends_with(b"}") => return read.starts_with(b"HTTP/1.1 200"),
            Ok(_) => {}
        }
    }
}

#[test]
fn a_body_of_very_many_values_is_refused() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let zeros = |count: usize| format!("{{\"x\":[{}0]}}", "0,".repeat(count - 1));
        let path = Call::of(&wallet, "-", "-", "echo", "say").url_path();
        for path in [SESSION, PURCHASE, &path] {
            let reply = house.post_with(path, zeros(500_000), &[]).await;
            let reply = reply.problem(400, "INVALID_REQUEST");
            assert_eq!(reply.pointers(), ["/x/65534"], "{path}");
        }
        house.post_with(&path, zeros(65_534), &[]).await.expect(402);
    });
}

#[test]
fn behind_a_proxy_each_client_has_a_budget_of_its_own() {
    run(async {
        let house = behind_a_proxy(2).await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "forwarded");
        let wrong = call.body_with(&Wallet::random().sign(&call.message()));
        let from = async |client: &str, body: &serde_json::Value| {
            let headers = [("x-forwarded-for", client)];
            let body = body.to_string();
            house.post_with(&call.url_path(), body, &headers).await
        };
        let stranger = "198.51.100.1";
        for _ in 0..2 {
            from(stranger, &wrong).await.expect(401);
        }
        from(stranger, &call.body())
            .await
            .problem(429, "RATE_LIMITED");
        // Whatever a client writes itself stands to the left of what the proxy writes.
        let forged = format!("203.0.113.5, {stranger}");
        from(&forged, &call.body())
            .await
            .problem(429, "RATE_LIMITED");
        from("198.51.100.2", &call.body()).await.expect(200);
    });
}

#[test]
fn a_peer_that_is_no_proxy_speaks_for_itself_only() {
    run(async {
        let house = House::with(few_failures(2)).await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "forwarded");
        let wrong = call.body_with(&Wallet::random().sign(&call.message()));
        let statuses = async |client: &str| {
            let headers = [("x-forwarded-for", client)];
            let body = wrong.to_string();
            house
                .post_with(&call.url_path(), body, &headers)
                .await
                .status
        };
        assert_eq!(statuses("198.51.100.1").await, 401);
        assert_eq!(statuses("198.51.100.2").await, 401);
        assert_eq!(statuses("198.51.100.3").await, 429);
    });
}

#[test]
fn every_refused_payment_counts() {
    run(async {
        let house = House::with(few_failures(3)).await;
        let forecast = Call::forecast(&Wallet::random(), "-", "-");
        let (path, parameters) = (forecast.url_path(), &forecast.parameters);
        let offer = house.post(&path, parameters).await.expect(402);
        // Each payer signs for money that it does not have.
        for _ in 0..2 {
            let payer = Wallet::random();
            let payment = house.quote(&payer, 100).await;
            let reply = house.pay(&payer, 100, &payment).await.expect(402);
            assert_eq!(reply.json["error"], "insufficient_funds");
        }
        let call = Request::direct(&path, parameters, &Payment::of(&offer, &Wallet::random()));
        let reply = house.send(&call).await.expect(402);
        assert_eq!(reply.json["error"], "insufficient_funds");

        let payer = Wallet::random();
        let payment = house.quote(&payer, 100).await;
        house
            .pay(&payer, 100, &payment)
            .await
            .problem(429, "RATE_LIMITED");
        house.send(&call).await.problem(429, "RATE_LIMITED");
        // To ask what to pay is free.
        house
            .post(PURCHASE, &purchase(&payer, 100))
            .await
            .expect(402);
        house.post(&path, parameters).await.expect(402);
    });
}
