//! Calls to a real socket, which answers as each test says.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
};

use serde_json::json;

use super::*;
use crate::upstream::action::{ActionSpec, Method, tests::spec};

const LIMIT: usize = 4_096;

/// A server for one connection.
fn serve(answer: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || answer(listener.accept().unwrap().0));
    address
}

/// A server that gives one answer, and what it was asked.
fn serve_text(answer: impl Into<String>) -> (SocketAddr, mpsc::Receiver<String>) {
    let (sender, asked) = mpsc::channel();
    let answer = answer.into();
    let address = serve(move |mut stream| {
        sender.send(read_request(&mut stream)).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
    });
    (address, asked)
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 1_024];
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() == length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the request ended early: {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
}

fn ok(body: &str) -> String {
    answer("200 OK", body)
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn upstream() -> Upstream {
    Upstream::new(LIMIT).unwrap()
}

fn tool(base: &str, action: ActionSpec) -> Tool {
    Tool::new(
        "weather".parse().unwrap(),
        "Weather".into(),
        String::new(),
        Target::parse(base, false).unwrap(),
        vec![Action::new(action).unwrap()],
    )
    .unwrap()
}

async fn call(base: &str, action: ActionSpec, parameters: &str) -> Result<ToolReply, ToolError> {
    let tool = tool(base, action);
    let action = tool.only_action().unwrap();
    upstream()
        .call(&tool, action, parameters.as_bytes(), "chg_1")
        .await
}

async fn post(address: SocketAddr) -> Result<ToolReply, ToolError> {
    call(&format!("http://{address}"), spec("run", "1"), "{}").await
}

#[tokio::test]
async fn a_post_sends_the_clients_bytes_and_nothing_else() {
    let (address, asked) = serve_text(ok(r#"{"n":1.0}"#));
    let body = "{\"place\": \"oslo\",\"n\":1e3}";
    let base = format!("http://{address}/v1/");
    let reply = call(&base, spec("run", "1"), body).await.unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.content_type.as_deref(), Some("text/x"));
    assert_eq!(reply.data.get(), r#"{"n":1.0}"#);

    let asked = asked.recv().unwrap();
    let (head, sent) = asked.split_once("\r\n\r\n").unwrap();
    assert_eq!(sent, body);
    let mut lines: Vec<_> = head.lines().map(str::to_lowercase).collect();
    lines.sort_unstable();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        lines,
        [
            "accept: application/json".to_owned(),
            format!("content-length: {}", body.len()),
            "content-type: application/json".to_owned(),
            format!("host: {address}"),
            "idempotency-key: chg_1".to_owned(),
            "post /v1/run http/1.1".to_owned(),
            format!("user-agent: counterfoil/{version}"),
        ]
    );
}

#[tokio::test]
async fn a_get_sends_a_query() {
    let (address, asked) = serve_text(ok(""));
    let action = ActionSpec {
        method: Method::Get,
        ..spec("run", "1")
    };
    let parameters =
        r#"{"place":"caf\u00e9 & co","n":1.50,"ok":true,"none":null,"list":[1,{"a":2}]}"#;
    let reply = call(&format!("http://{address}"), action, parameters).await;
    assert_eq!(reply.unwrap().data.get(), "null");
    let asked = asked.recv().unwrap();
    let line = asked.lines().next().unwrap();
    assert_eq!(
        line,
        "GET /run?list=%5B1%2C%7B%22a%22%3A2%7D%5D&n=1.50&ok=true&place=caf%C3%A9+%26+co HTTP/1.1"
    );
    assert!(!asked.contains("content-type"));
}

#[tokio::test]
async fn a_query_is_bounded_and_must_be_an_object() {
    let get = || ActionSpec {
        method: Method::Get,
        ..spec("run", "1")
    };
    // Nothing listens: both are refused before a connection is tried.
    let base = "http://127.0.0.1:1";
    let long = json!({ "a": "x".repeat(QUERY_BYTES_MAX) }).to_string();
    let error = call(base, get(), &long).await.unwrap_err();
    assert!(matches!(error, ToolError::QueryTooLong { .. }), "{error:?}");
    let error = call(base, get(), "[1]").await.unwrap_err();
    assert!(matches!(error, ToolError::Query(_)), "{error:?}");
}

#[tokio::test]
async fn a_silent_tool_times_out() {
    let address = serve(|mut stream| {
        // Ends when the caller hangs up.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let action = ActionSpec {
        timeout_ms: 50,
        ..spec("run", "1")
    };
    let error = call(&format!("http://{address}"), action, "{}").await;
    assert!(matches!(error, Err(ToolError::Timeout)), "{error:?}");
}

#[tokio::test]
async fn the_time_limit_covers_the_body() {
    let address = serve(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[1,");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let action = ActionSpec {
        timeout_ms: 50,
        ..spec("run", "1")
    };
    let error = call(&format!("http://{address}"), action, "{}").await;
    assert!(matches!(error, Err(ToolError::Timeout)), "{error:?}");
}

#[tokio::test]
async fn an_endless_reply_is_cut() {
    let address = serve(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 1_024]).is_ok() {}
    });
    let error = post(address).await;
    assert!(
        matches!(error, Err(ToolError::TooLarge { limit_bytes: LIMIT })),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_size_limit_is_inclusive_and_counts_what_is_passed_on() {
    let number = |length: usize| format!("{}1", " ".repeat(length - 1));
    for (body, fits) in [
        (number(LIMIT), true),
        (number(LIMIT + 1), false),
        ("x".repeat(LIMIT - 2), true),
        ("x".repeat(LIMIT - 1), false),
        ("\u{1}".repeat(LIMIT / 2), false),
    ] {
        let (address, _asked) = serve_text(ok(&body));
        let result = post(address).await;
        match result {
            Ok(_) => assert!(fits, "{} bytes", body.len()),
            Err(ToolError::TooLarge { .. }) => assert!(!fits, "{} bytes", body.len()),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_not_followed() {
    let redirect = "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\n\
                    content-length: 0\r\n\r\n";
    let (address, _asked) = serve_text(redirect);
    let error = post(address).await.unwrap_err();
    assert!(
        matches!(&error, ToolError::Status(reply) if reply.status == 307),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_failure_carries_status_and_the_start_of_its_body() {
    let (address, _asked) = serve_text(answer("500 Oops", r#"{"reason":"rain"}"#));
    let error = post(address).await.unwrap_err();
    let ToolError::Status(reply) = error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (reply.status, reply.data.get()),
        (500, r#"{"reason":"rain"}"#)
    );

    let long = "x".repeat(FAILURE_BYTES_MAX + 1);
    let (address, _asked) = serve_text(answer("404 Not Found", &long));
    let error = post(address).await.unwrap_err();
    let ToolError::Status(reply) = error else {
        panic!("{error:?}")
    };
    assert_eq!(reply.data.get().len(), FAILURE_BYTES_MAX + 2);
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_told_from_one_that_never_was() {
    let before_the_reply = serve(|mut stream| {
        read_request(&mut stream);
    });
    let in_the_body = serve(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[1,");
    });
    let not_http = serve(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"220 smtp.example ESMTP\r\n");
    });
    for address in [before_the_reply, in_the_body, not_http] {
        let error = post(address).await;
        assert!(matches!(error, Err(ToolError::Broken(_))), "{error:?}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let error = post(address).await;
    assert!(matches!(error, Err(ToolError::Unreachable(_))), "{error:?}");
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_dialled() {
    // `localhost` is allowed when it is written out, so the strict client is put in its place.
    let strict = Upstream {
        allowed: upstream().public,
        ..upstream()
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let tool = tool(&format!("http://localhost:{port}"), spec("run", "1"));
    let action = tool.only_action().unwrap();
    let error = strict.call(&tool, action, b"{}", "chg_1").await;
    assert!(matches!(error, Err(ToolError::PrivateAddress)), "{error:?}");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "a connection was made");
}

#[tokio::test]
async fn errors_do_not_repeat_the_query() {
    let action = ActionSpec {
        method: Method::Get,
        ..spec("run", "1")
    };
    let error = call("http://127.0.0.1:1", action, r#"{"key":"hush"}"#).await;
    let error = error.unwrap_err();
    assert!(matches!(error, ToolError::Unreachable(_)), "{error:?}");
    assert!(!format!("{error:?}").contains("hush"));
}

#[tokio::test]
async fn the_echo_answers_with_the_parameters() {
    let reply = call("internal://echo", spec("run", "1"), r#"{"n":1.0}"#).await;
    let reply = reply.unwrap();
    assert_eq!((reply.status, reply.data.get()), (200, r#"{"n":1.0}"#));
}
