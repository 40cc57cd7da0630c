//! An x402 facilitator that is honest unless it is told to be something else.

use std::{
    collections::{HashMap, VecDeque},
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use alloy::primitives::{Address, B256};
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{any, post},
};
use counterfoil::payment::{Authorization, TransferMethod};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Handle, sync::watch, task::spawn_blocking};

use super::{Chain, Payment, Wallet};

const CHUNK: &[u8] = &[b' '; 64 * 1024];
const HUGE_CHUNKS: usize = 100 * 16;
const PATIENCE: Duration = Duration::from_secs(20);

/// What it does with one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    Settle,
    /// Nothing.
    Nothing,
}

/// What it says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// That it settled, in the transaction that did or, if it did nothing, in one that it made up.
    Success,
    /// That it settled in this transaction.
    SuccessIn(B256),
    Failure,
    /// Nothing, until the test is over.
    Silence,
    /// The beginning of an answer.
    HalfAnAnswer,
    /// 100 MB, as fast as they are taken.
    Huge,
    /// That somebody else is to be asked.
    Redirect,
    Status(u16),
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) json: Value,
}

impl Request {
    fn payer(&self) -> Address {
        let from = &self.json["paymentPayload"]["payload"]["authorization"]["from"];
        from.as_str().unwrap().parse().unwrap()
    }

    /// The payment that it carries, read field by field.
    fn payment(&self) -> Payment {
        let proof = &self.json["paymentPayload"]["payload"];
        let text = |name: &str| proof["authorization"][name].as_str().unwrap();
        let signature = proof["signature"].as_str().unwrap();
        Payment {
            accepted: self.json["paymentRequirements"].clone(),
            authorization: Authorization {
                method: TransferMethod::Eip3009,
                from: text("from").parse().unwrap(),
                to: text("to").parse().unwrap(),
                value: text("value").parse().unwrap(),
                valid_after: text("validAfter").parse().unwrap(),
                valid_before: text("validBefore").parse().unwrap(),
                nonce: text("nonce").parse().unwrap(),
            },
            signature: hex::decode(signature.strip_prefix("0x").unwrap()).unwrap(),
            extensions: None,
        }
    }
}

/// A facilitator of one test.
pub(crate) struct Facilitator {
    pub(crate) url: String,
    desk: Arc<Desk>,
}

struct Desk {
    chain: Arc<Chain>,
    /// What becomes of a payer's next requests; honesty once there is nothing left.
    orders: Mutex<HashMap<Address, VecDeque<(Does, Says)>>>,
    /// What becomes of all others.
    usual: Mutex<(Does, Says)>,
    requests: Mutex<Vec<Request>>,
    count: watch::Sender<usize>,
    /// Bytes of huge answers that were taken.
    huge_bytes: AtomicUsize,
    /// Requests to where it redirects.
    elsewhere: AtomicUsize,
}

impl Facilitator {
    pub(crate) async fn start(chain: &Arc<Chain>) -> Self {
        let desk = Arc::new(Desk {
            chain: chain.clone(),
            orders: Mutex::default(),
            usual: Mutex::new((Does::Settle, Says::Success)),
            requests: Mutex::default(),
            count: watch::Sender::new(0),
            huge_bytes: AtomicUsize::new(0),
            elsewhere: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v2/x402", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/v2/x402/settle", post(settle))
            .route("/elsewhere", any(elsewhere))
            .with_state(desk.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, desk }
    }

    /// What becomes of the payer's next request.
    pub(crate) fn next(&self, payer: &Wallet, does: Does, says: Says) {
        let mut orders = self.desk.orders.lock().unwrap();
        let queue = orders.entry(payer.address()).or_default();
        queue.push_back((does, says));
    }

    /// What becomes of requests from now on.
    pub(crate) fn always(&self, does: Does, says: Says) {
        *self.desk.usual.lock().unwrap() = (does, says);
    }

    /// Every request so far, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.desk.requests.lock().unwrap().clone()
    }

    /// The requests for payments of one payer.
    pub(crate) fn requests_of(&self, payer: &Wallet) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| request.payer() == payer.address());
        requests
    }

    /// Waits until it was asked so often, and did what it does.
    pub(crate) async fn asked(&self, times: usize) {
        let mut count = self.desk.count.subscribe();
        let asked = count.wait_for(|count| *count >= times);
        let asked = tokio::time::timeout(PATIENCE, asked).await;
        asked.expect("the facilitator was not asked").unwrap();
    }

    /// Bytes of huge answers that somebody took off it.
    pub(crate) fn huge_bytes(&self) -> usize {
        self.desk.huge_bytes.load(Ordering::SeqCst)
    }

    /// How often its redirect was followed.
    pub(crate) fn elsewhere(&self) -> usize {
        self.desk.elsewhere.load(Ordering::SeqCst)
    }
}

async fn elsewhere(State(desk): State<Arc<Desk>>) -> StatusCode {
    desk.elsewhere.fetch_add(1, Ordering::SeqCst);
    StatusCode::NOT_FOUND
}

async fn settle(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> Response {
    // As servers do: what was begun ends, whether its client waits for it or not.
    let work = tokio::spawn(async move { desk.settle(headers, body).await });
    work.await.unwrap()
}

impl Desk {
    /// Settles on a thread of its own: waiting for the node is not for tasks that move.
    async fn bring_in(&self, payment: Payment) -> B256 {
        let (chain, runtime) = (self.chain.clone(), Handle::current());
        let settled = move || runtime.block_on(async { chain.front_run(&payment).await });
        spawn_blocking(settled).await.unwrap()
    }

    async fn settle(self: Arc<Self>, headers: HeaderMap, body: Bytes) -> Response {
        let request = Request {
            headers,
            json: serde_json::from_slice(&body).unwrap(),
            body,
        };
        let order = {
            let mut orders = self.orders.lock().unwrap();
            let queue = orders.get_mut(&request.payer());
            queue.and_then(VecDeque::pop_front)
        };
        let (does, says) = order.unwrap_or_else(|| *self.usual.lock().unwrap());
        let done = match does {
            Does::Nothing => B256::from(super::random()),
            Does::Settle => self.bring_in(request.payment()).await,
        };
        let secret = request.headers.get(header::AUTHORIZATION);
        let secret = secret.map(|secret| secret.to_str().unwrap().to_owned());
        self.requests.lock().unwrap().push(request);
        self.count.send_modify(|count| *count += 1);
        match says {
            Says::Success => success(done),
            Says::SuccessIn(transaction) => success(transaction),
            Says::Failure => {
                let reason = format!("invalid_transaction_state {}", secret.unwrap_or_default());
                Json(json!({
                    "success": false,
                    "errorReason": reason,
                    "transaction": "",
                    "network": "eip155:84532",
                }))
                .into_response()
            }
            Says::Silence => std::future::pending().await,
            Says::HalfAnAnswer => {
                let headers = [(header::CONTENT_LENGTH, "1000")];
                let broken = io::Error::other("broken off");
                let pieces = [Ok(Bytes::from_static(b"{\"success\":")), Err(broken)];
                (headers, Body::new(Pieces(pieces.into_iter()))).into_response()
            }
            Says::Huge => {
                let pieces = (0..HUGE_CHUNKS).map(move |_| {
                    self.huge_bytes.fetch_add(CHUNK.len(), Ordering::SeqCst);
                    Ok(Bytes::from_static(CHUNK))
                });
                Body::new(Pieces(pieces)).into_response()
            }
            Says::Redirect => {
                let status = StatusCode::TEMPORARY_REDIRECT;
                (status, [(header::LOCATION, "/elsewhere")]).into_response()
            }
            Says::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        }
    }
}

/// A body in pieces, each made when it is taken.
struct Pieces<I>(I);

impl<I: Iterator<Item = io::Result<Bytes>> + Unpin> hyper::body::Body for Pieces<I> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(self.0.next().map(|piece| piece.map(Frame::data)))
    }
}

fn success(transaction: B256) -> Response {
    Json(json!({
        "success": true,
        "transaction": format!("{transaction:#x}"),
        "network": "eip155:84532",
    }))
    .into_response()
}
