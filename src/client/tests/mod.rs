//! The client against a socket that answers as each test says, and tells what it was asked.

mod buy;
mod call;
mod claim;
mod direct;

use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::*;

/// Anvil's first account.
const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const NOW: i64 = 1_760_000_000;

const PATIENCE: Patience = Patience {
    request_timeout: Duration::from_secs(10),
    total: Duration::from_secs(20),
    first_pause: Duration::from_millis(1),
    attempts_max: 4,
};

/// What the service does with one request.
enum Answer {
    /// Takes it, and closes the connection without a word.
    Lost,
    Reply(String),
}

/// One request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    /// Method and path.
    line: String,
    body: String,
    payment: Option<String>,
}

impl Asked {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A service that answers one request after another, and is gone when it has no more answers.
struct Service {
    client: Client,
    asked: mpsc::Receiver<Asked>,
}

impl Service {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut answers: VecDeque<_> = answers.into_iter().collect();
        let (sender, asked) = mpsc::channel();
        thread::spawn(move || {
            while let Some(answer) = answers.pop_front() {
                let (mut stream, _) = listener.accept().unwrap();
                sender.send(read_request(&mut stream)).unwrap();
                if let Answer::Reply(text) = answer {
                    stream.write_all(text.as_bytes()).unwrap();
                }
            }
        });
        let client = client(&url);
        Self { client, asked }
    }

    /// Everything that was asked, once the last answer was given.
    fn asked(self) -> Vec<Asked> {
        self.asked.into_iter().collect()
    }
}

fn client(url: &str) -> Client {
    let wallet = Wallet::from_hex(KEY).unwrap();
    let clock = || Timestamp::from_seconds(NOW);
    let client = Client::new(url, Some(wallet), clock).unwrap();
    client.with_patience(PATIENCE).unwrap()
}

fn read_request(stream: &mut TcpStream) -> Asked {
    let mut text = String::new();
    let mut buffer = [0; 4_096];
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
            let length = header("content-length: ").map_or(0, |length| length.parse().unwrap());
            if body.len() == length {
                let line = head.lines().next().unwrap();
                return Asked {
                    line: line.trim_end_matches(" HTTP/1.1").to_owned(),
                    body: body.to_owned(),
                    payment: header("payment-signature: ").map(str::to_owned),
                };
            }
        }
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the request ended early: {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
}

fn reply(status: u16, headers: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let length = body.len();
    Answer::Reply(format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\nretry-after: 0\r\n{headers}\
         content-length: {length}\r\n\r\n{body}"
    ))
}

fn ok(body: &Value) -> Answer {
    reply(200, "", body)
}

fn problem(status: u16, code: &str) -> Answer {
    reply(status, "", &json!({ "code": code, "detail": "No." }))
}

fn session(nonce: &str) -> Answer {
    ok(&json!({ "session_nonce": nonce, "expires_in": 900, "expires_at": "later" }))
}

#[tokio::test]
async fn nobody_there_is_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&url).balance().await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    assert!(error.to_string().contains(&url), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let service = Service::new([reply(307, "location: http://127.0.0.1:1/\r\n", &json!({}))]);
    let error = service.client.tools().await.unwrap_err();
    assert_eq!(error.code(), "UNEXPECTED_ANSWER");
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test]
async fn reads_the_catalogue() {
    let schema = json!({ "type": "object" });
    let tool = json!({ "slug": "weather", "name": "Weather", "description": "Forecasts", "actions": [
        { "slug": "forecast", "description": "For a place", "price_credits": 0.25,
          "price_usd": "0.0025", "x402": true, "parameters": schema },
    ]});
    let service = Service::new([ok(&json!({ "tools": [tool] })), ok(&tool)]);
    let catalogue = service.client.tools().await.unwrap();
    let action = &catalogue.tools[0].actions[0];
    assert_eq!(action.price.to_string(), "0.25");
    assert!(action.x402);
    assert_eq!(
        service.client.tool("weather").await.unwrap().name,
        "Weather"
    );
    let error = service.client.tool("../credits").await.unwrap_err();
    assert_eq!(error.code(), "BAD_NAME");
    let asked = service.asked();
    assert_eq!(asked[0].line, "GET /api/external/tools");
    assert_eq!(asked[1].line, "GET /api/external/tools/weather");
}

#[test]
fn a_client_shows_no_key() {
    let text = format!("{:?}", client("http://127.0.0.1:1"));
    assert!(
        text.contains("0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"),
        "{text}"
    );
    assert!(!text.contains(&KEY[..16]), "{text}");
}
