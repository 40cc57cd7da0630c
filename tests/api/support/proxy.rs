//! A node as seen over a bad line: a proxy before the real one that fails single methods.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy::primitives::B256;
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
    /// The node never sees them, and they are answered with this error's message.
    Refused(&'static str),
    /// The node does what they ask, and its answer becomes this error's message.
    Denied(&'static str),
    /// The node never sees them, and they are answered with nothing: as by a node that is behind.
    Nothing,
    /// The same, with an empty list.
    Empty,
    /// They take so much longer.
    Slow(Duration),
    /// Logs of more than so many blocks are refused.
    Narrow(u64),
    /// Logs that come to more than one address at once are refused, whatever the range.
    Crowded,
    /// What is asked of this transaction is lost.
    LostOf(B256),
}

impl Fault {
    /// Whether it happens to this very call.
    fn strikes(self, call: &Value) -> bool {
        match self {
            Self::Narrow(blocks) => blocks_asked(call) > blocks,
            Self::Crowded => call["params"][0]["topics"][2].is_array(),
            Self::LostOf(transaction) => call["params"][0] == json!(transaction),
            _ => true,
        }
    }

    /// Whether the node sees the call.
    const fn passes(self) -> bool {
        matches!(self, Self::Unheard | Self::Denied(_) | Self::Slow(_))
    }

    /// What is answered instead of the node's answer; `None` for its own.
    fn answer(self, id: &Value) -> Option<Response> {
        let result = |result: Value| {
            let reply = json!({ "jsonrpc": "2.0", "id": id, "result": result });
            Some(Json(reply).into_response())
        };
        match self {
            Self::Slow(_) => None,
            Self::Lost | Self::LostOf(_) | Self::Unheard => {
                Some(StatusCode::BAD_GATEWAY.into_response())
            }
            Self::Says(text) => result(json!(text)),
            Self::Nothing => result(Value::Null),
            Self::Empty => result(json!([])),
            Self::Narrow(_) => Self::Refused("query exceeds max block range").answer(id),
            Self::Crowded => Self::Refused("query returned more than 10000 results").answer(id),
            Self::Refused(message) | Self::Denied(message) => {
                let error = json!({ "code": -32000, "message": message });
                let reply = json!({ "jsonrpc": "2.0", "id": id, "error": error });
                Some(Json(reply).into_response())
            }
        }
    }

    /// Its name, for totals.
    const fn name(self) -> &'static str {
        match self {
            Self::Lost | Self::LostOf(_) => "lost",
            Self::Unheard => "done, unheard",
            Self::Says(_) => "misstated",
            Self::Refused(_) => "refused",
            Self::Denied(_) => "done, denied",
            Self::Nothing | Self::Empty => "answered with nothing",
            Self::Slow(_) => "slow",
            Self::Narrow(_) | Self::Crowded => "narrow",
        }
    }
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
    struck: Mutex<BTreeMap<String, usize>>,
}

const EVERY: &str = "*";

impl Proxy {
    pub(crate) async fn start(chain: &Chain) -> Self {
        let line = Arc::new(Line {
            node: chain.rpc_url().to_string(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            faults: Mutex::default(),
            calls: Mutex::default(),
            struck: Mutex::default(),
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

    /// How many calls were struck, by method and fault.
    pub(crate) fn struck(&self) -> BTreeMap<String, usize> {
        self.line.struck.lock().unwrap().clone()
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
    let fault = line.fault(&method).filter(|fault| fault.strikes(&call));
    if let Some(Fault::Slow(time)) = fault {
        tokio::time::sleep(time).await;
    }
    let passes = fault.is_none_or(Fault::passes);
    let answer = if passes { line.ask(body).await } else { None };
    let instead = fault.and_then(|fault| fault.answer(&call["id"]));
    instead
        .or(answer.map(IntoResponse::into_response))
        .unwrap_or_else(|| StatusCode::BAD_GATEWAY.into_response())
}

impl Line {
    /// What happens to this call, counted.
    fn fault(&self, method: &str) -> Option<Fault> {
        let mut calls = self.calls.lock().unwrap();
        *calls.entry(method.to_owned()).or_default() += 1;
        let faults = self.faults.lock().unwrap();
        let fault = *faults.get(method).or_else(|| faults.get(EVERY))?;
        let mut struck = self.struck.lock().unwrap();
        *struck
            .entry(format!("{method} {}", fault.name()))
            .or_default() += 1;
        Some(fault)
    }

    async fn ask(&self, body: Bytes) -> Option<Bytes> {
        let sent = self.http.post(&self.node).body(body);
        let sent = sent.header("content-type", "application/json").send();
        sent.await.ok()?.bytes().await.ok()
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
