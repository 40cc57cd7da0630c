//! A node as seen over a bad line: a proxy before the real one that fails single methods.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::Chain;

/// What happens to the calls of one method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The node never sees them.
    Lost,
    /// The node does what they ask, and its answer is lost.
    Unheard,
    /// The node never sees them, and they are answered with this.
    Says(&'static str),
    /// They take so much longer.
    Slow(Duration),
    /// Logs of more than so many blocks are refused.
    Narrow(u64),
}

/// The line to a node.
pub(crate) struct Proxy {
    pub(crate) url: String,
    line: Arc<Line>,
}

struct Line {
    node: String,
    http: reqwest::Client,
    faults: Mutex<HashMap<String, Fault>>,
    calls: Mutex<HashMap<String, usize>>,
}

const EVERY: &str = "*";

impl Proxy {
    pub(crate) async fn start(chain: &Chain) -> Self {
        let line = Arc::new(Line {
            node: chain.rpc_url().to_string(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            faults: Mutex::default(),
            calls: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = Router::new().fallback(forward).with_state(line.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, line }
    }

    /// From now on, calls of `method` fail so.
    pub(crate) fn fail(&self, method: &str, fault: Fault) {
        let mut faults = self.line.faults.lock().unwrap();
        faults.insert(method.to_owned(), fault);
    }

    /// From now on, no call reaches the node.
    pub(crate) fn cut(&self) {
        self.fail(EVERY, Fault::Lost);
    }

    /// All is well again.
    pub(crate) fn mend(&self) {
        self.line.faults.lock().unwrap().clear();
    }

    /// How often a method was asked for, served or not.
    pub(crate) fn count(&self, method: &str) -> usize {
        let calls = self.line.calls.lock().unwrap();
        calls.get(method).copied().unwrap_or_default()
    }
}

async fn forward(State(line): State<Arc<Line>>, body: Bytes) -> Response {
    let call: Value = serde_json::from_slice(&body).unwrap();
    let method = call["method"].as_str().unwrap().to_owned();
    *line
        .calls
        .lock()
        .unwrap()
        .entry(method.clone())
        .or_default() += 1;
    let fault = {
        let faults = line.faults.lock().unwrap();
        faults.get(&method).or_else(|| faults.get(EVERY)).copied()
    };
    match fault {
        Some(Fault::Lost) => return StatusCode::BAD_GATEWAY.into_response(),
        Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
        Some(Fault::Says(result)) => {
            let reply = json!({ "jsonrpc": "2.0", "id": call["id"], "result": result });
            return Json(reply).into_response();
        }
        Some(Fault::Narrow(blocks)) if blocks_asked(&call) > blocks => {
            let message = format!("query exceeds max block range {blocks}");
            let error = json!({ "code": -32005, "message": message });
            return Json(json!({ "jsonrpc": "2.0", "id": call["id"], "error": error }))
                .into_response();
        }
        Some(Fault::Narrow(_) | Fault::Unheard) | None => {}
    }
    let sent = line.http.post(&line.node).body(body);
    let sent = sent.header("content-type", "application/json").send();
    let answer = match sent.await {
        Ok(answer) => answer.bytes().await,
        Err(error) => Err(error),
    };
    match (answer, fault) {
        (Ok(answer), None | Some(Fault::Slow(_) | Fault::Narrow(_))) => answer.into_response(),
        (_, _) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// How many blocks a filter covers.
fn blocks_asked(call: &Value) -> u64 {
    let number = |name: &str| {
        let text = call["params"][0][name].as_str().unwrap();
        u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
    };
    number("toBlock") - number("fromBlock") + 1
}
