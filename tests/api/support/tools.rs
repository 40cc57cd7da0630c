//! Tools to call: one that works, and one for each way to fail.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::post,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
    sync::watch,
};

/// More than a test's configuration takes of a tool.
const HUGE_BYTES: usize = 100_000;
const NAP: Duration = Duration::from_millis(40);
const PATIENCE: Duration = Duration::from_secs(20);

/// The tool server of one test.
pub(crate) struct Tools {
    /// Where the tools listen.
    pub(crate) url: String,
    /// Breaks off each reply after its first bytes.
    pub(crate) breaking_url: String,
    /// Nobody listens here.
    pub(crate) closed_url: String,
    seen: Arc<Seen>,
    /// Keeps the closed port from being given to anyone.
    _closed: TcpSocket,
}

/// What the tools were asked.
struct Seen {
    calls: Mutex<Vec<Asked>>,
    count: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

/// One request as a tool saw it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: &'static str,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Asked {
    /// The key under which the service asked.
    pub(crate) fn key(&self) -> &str {
        self.headers["idempotency-key"].to_str().unwrap()
    }
}

impl Seen {
    fn note(&self, path: &'static str, headers: HeaderMap, body: &Bytes) {
        let body = String::from_utf8(body.to_vec()).unwrap();
        self.calls.lock().unwrap().push(Asked {
            path,
            headers,
            body,
        });
        self.count.send_modify(|count| *count += 1);
    }
}

impl Tools {
    pub(crate) async fn start() -> Self {
        let seen = Arc::new(Seen {
            calls: Mutex::default(),
            count: watch::Sender::new(0),
            open: watch::Sender::new(false),
        });
        let router = Router::new()
            .route("/forecast", post(forecast))
            .route("/nap", post(nap))
            .route("/fail", post(fail))
            .route("/stall", post(stall))
            .route("/gate", post(gate))
            .route("/huge", post(huge))
            .route("/redirect", post(redirect))
            .with_state(seen.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let breaking_url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(break_off(listener));

        let closed = TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let closed_url = format!("http://{}", closed.local_addr().unwrap());
        Self {
            url,
            breaking_url,
            closed_url,
            seen,
            _closed: closed,
        }
    }

    /// Every request so far, in order.
    pub(crate) fn calls(&self) -> Vec<Asked> {
        self.seen.calls.lock().unwrap().clone()
    }

    /// How often the tools were asked.
    pub(crate) fn count(&self) -> usize {
        self.seen.calls.lock().unwrap().len()
    }

    /// How often they were asked under each idempotency key.
    pub(crate) fn by_key(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for asked in self.calls() {
            *counts.entry(asked.key().to_owned()).or_default() += 1;
        }
        counts
    }

    /// Waits until the tools were asked so often.
    pub(crate) async fn asked(&self, times: usize) {
        let mut count = self.seen.count.subscribe();
        let asked = count.wait_for(|count| *count >= times);
        let asked = tokio::time::timeout(PATIENCE, asked).await;
        asked.expect("the tools were not asked").unwrap();
    }

    /// Makes calls wait at `/gate` again.
    pub(crate) fn close_gate(&self) {
        self.seen.open.send_replace(false);
    }

    /// Lets the calls that wait at `/gate` go on, and all that come later.
    pub(crate) fn open_gate(&self) {
        self.seen.open.send_replace(true);
    }
}

async fn forecast(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> Json<Value> {
    seen.note("/forecast", headers, &body);
    let asked: Value = serde_json::from_slice(&body).unwrap();
    Json(json!({ "place": asked["place"], "forecast": "sunny" }))
}

/// Works, and takes its time.
async fn nap(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> Json<Value> {
    seen.note("/nap", headers, &body);
    tokio::time::sleep(NAP).await;
    Json(json!({ "nap": "over" }))
}

async fn fail(
    State(seen): State<Arc<Seen>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    seen.note("/fail", headers, &body);
    let complaint = Json(json!({ "error": "out of order" }));
    (StatusCode::INTERNAL_SERVER_ERROR, complaint)
}

async fn stall(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> Infallible {
    seen.note("/stall", headers, &body);
    std::future::pending().await
}

async fn gate(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> Json<Value> {
    seen.note("/gate", headers, &body);
    let mut open = seen.open.subscribe();
    open.wait_for(|open| *open).await.unwrap();
    Json(json!({ "gate": "open" }))
}

async fn huge(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> Json<Value> {
    seen.note("/huge", headers, &body);
    Json(json!({ "huge": "x".repeat(HUGE_BYTES) }))
}

async fn redirect(
    State(seen): State<Arc<Seen>>,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    seen.note("/redirect", headers, &body);
    (
        StatusCode::TEMPORARY_REDIRECT,
        [(header::LOCATION, "/forecast")],
    )
}

/// Answers with the head of a reply and less than the body it announces.
async fn break_off(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                        content-length: 1000\r\n\r\n{\"fore";
            let _ = stream.write_all(head.as_bytes()).await;
        });
    }
}
