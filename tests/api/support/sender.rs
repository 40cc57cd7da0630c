//! Requests that are kept to be sent again, also to a service that may die under them.

use std::{fmt::Debug, time::Duration};

use alloy::{
    hex,
    primitives::{Address, B256},
    signers::local::PrivateKeySigner,
};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    Books, Call, House, Payment, Reply, Wallet,
    books::{self, Relayed},
    client::{PURCHASE, purchase},
};

const PATIENCE: Duration = Duration::from_secs(30);
const UNJAM_EVERY: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A request, byte for byte.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) body: String,
    /// `PAYMENT-SIGNATURE`.
    pub(crate) payment: Option<String>,
}

impl Request {
    pub(crate) fn signed(call: &Call) -> Self {
        Self {
            path: call.url_path(),
            body: call.body().to_string(),
            payment: None,
        }
    }

    pub(crate) fn purchase(wallet: &Wallet, credits: u64, payment: &Payment) -> Self {
        Self {
            path: PURCHASE.to_owned(),
            body: purchase(wallet, credits).to_string(),
            payment: Some(payment.header()),
        }
    }

    /// Bare parameters with a payment.
    pub(crate) fn direct(path: &str, parameters: &Value, payment: &Payment) -> Self {
        Self {
            path: path.to_owned(),
            body: parameters.to_string(),
            payment: Some(payment.header()),
        }
    }
}

/// Sends requests to the service as it runs now, from any task.
#[derive(Clone)]
pub(crate) struct Sender {
    http: reqwest::Client,
    base: String,
}

impl Sender {
    /// The answer, unless the server died first.
    pub(crate) async fn send(&self, request: &Request) -> Option<Reply> {
        let Request {
            path,
            body,
            payment,
        } = request;
        let mut post = self.http.post(format!("{}{path}", self.base));
        if let Some(payment) = payment {
            post = post.header("payment-signature", payment);
        }
        let post = post.header(CONTENT_TYPE, "application/json");
        Reply::try_read(post.body(body.clone()).send().await.ok()?).await
    }

    /// Sends all of them at once; the answers are in their order.
    pub(crate) async fn send_all(&self, requests: &[Request]) -> Vec<Option<Reply>> {
        let mut tasks = Vec::with_capacity(requests.len());
        for request in requests {
            let (sender, request) = (self.clone(), request.clone());
            tasks.push(tokio::spawn(async move { sender.send(&request).await }));
        }
        let mut replies = Vec::with_capacity(tasks.len());
        for task in tasks {
            replies.push(task.await.unwrap());
        }
        replies
    }
}

impl House {
    pub(crate) fn sender(&self) -> Sender {
        Sender {
            http: self.http.clone(),
            base: self.url(""),
        }
    }

    /// Sends what must be answered.
    pub(crate) async fn send(&self, request: &Request) -> Reply {
        let reply = self.sender().send(request).await;
        reply.expect("an answer")
    }

    /// Sends the request again for as long as it is told to come back.
    pub(crate) async fn outcome(&self, request: &Request) -> Reply {
        let ask = async || {
            let reply = self.send(request).await;
            let in_flight = reply.json["code"] == "EXTERNAL_SIGNATURE_REQUEST_IN_FLIGHT";
            let done = reply.status != 202 && !in_flight;
            if done { Ok(reply) } else { Err(reply) }
        };
        self.wait(ask).await
    }

    /// A purchase as its id shows it.
    pub(crate) async fn status(&self, id: &Value) -> Value {
        let path = format!("{PURCHASE}s/{}", id.as_str().unwrap());
        self.get(&path).await.expect(200).json
    }

    /// Waits until a purchase has this state.
    pub(crate) async fn becomes(&self, id: &Value, state: &str) -> Value {
        let ask = async || {
            let status = self.status(id).await;
            let done = status["status"] == state;
            if done { Ok(status) } else { Err(status) }
        };
        self.wait(ask).await
    }

    /// The books once every payment is at its end.
    pub(crate) async fn settled_books(&self) -> Books {
        let ask = async || {
            let books = self.books().await;
            let done = books.open_payments() == 0;
            if done { Ok(books) } else { Err(books) }
        };
        self.wait(ask).await
    }

    /// Asks until the answer is the one that is waited for.
    async fn wait<T, E: Debug>(&self, ask: impl AsyncFn() -> Result<T, E>) -> T {
        let start = Instant::now();
        let asking = async {
            loop {
                match ask().await {
                    Ok(answer) => return answer,
                    Err(answer) => assert!(start.elapsed() < PATIENCE, "{answer:#?}"),
                }
                sleep(LOOK_EVERY).await;
            }
        };
        tokio::pin!(asking);
        loop {
            tokio::select! {
                answer = &mut asking => return answer,
                () = sleep(UNJAM_EVERY) => self.unjam().await,
            }
        }
    }

    /// Takes the relayer's transactions out of the node's pool and puts them back, one after the
    /// other. This node at times files a transaction behind another that it is just mining, and leaves
    /// it there for good. What the node does not hold is left to the service.
    async fn unjam(&self) {
        let automine = self.chain.rpc::<bool>("anvil_getAutomine", json!([]));
        if !automine.await.unwrap() {
            return;
        }
        for Relayed { hash, raw, .. } in self.relayed().await {
            let held = self.chain.rpc("eth_getTransactionByHash", json!([hash]));
            let held: Value = held.await.unwrap();
            if !held.is_object() || !held["blockHash"].is_null() {
                continue;
            }
            let forget = self.chain.rpc("anvil_dropTransaction", json!([hash]));
            let _: Value = forget.await.unwrap();
            let again = json!([hex::encode_prefixed(raw)]);
            // The service may have been faster: then the node refuses what it knows.
            drop(
                self.chain
                    .rpc::<B256>("eth_sendRawTransaction", again)
                    .await,
            );
            sleep(LOOK_EVERY).await;
        }
    }

    /// What the relayer signed.
    pub(crate) async fn relayed(&self) -> Vec<Relayed> {
        books::relayed(&self.path("books.db")).await
    }

    /// Hashes of what the relayer signed and replaced.
    pub(crate) async fn replaced(&self) -> Vec<B256> {
        books::replaced(&self.path("books.db")).await
    }

    /// How many of the relayer's transactions may still be mined.
    pub(crate) async fn open_relayed(&self) -> i64 {
        books::open_relayed(&self.path("books.db")).await
    }

    /// The relayer's account.
    pub(crate) fn relayer(&self) -> Address {
        let key = std::fs::read_to_string(self.path("relayer.key")).unwrap();
        key.trim().parse::<PrivateKeySigner>().unwrap().address()
    }
}
