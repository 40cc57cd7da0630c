//! Requests, written out as a client that read only the protocol would write them.

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{House, Payment, Wallet, until, wallet::payload_hash};

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// `null` where the body is no JSON.
    pub(crate) json: Value,
}

impl Reply {
    async fn read(response: reqwest::Response) -> Self {
        Self::try_read(response).await.expect("a whole answer")
    }

    /// Reads an answer of a server that may die meanwhile.
    pub(super) async fn try_read(response: reqwest::Response) -> Option<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.ok()?.to_vec();
        let json = serde_json::from_slice(&body).unwrap_or_default();
        Some(Self {
            status,
            headers,
            body,
            json,
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn decoded(&self, name: &str) -> Option<Value> {
        let json = STANDARD.decode(self.header(name)?).expect("padded base64");
        Some(serde_json::from_slice(&json).expect("JSON"))
    }

    /// The document in `PAYMENT-REQUIRED`.
    #[track_caller]
    pub(crate) fn payment_required(&self) -> Value {
        let document = self.decoded("payment-required");
        document.unwrap_or_else(|| panic!("no PAYMENT-REQUIRED: {}: {}", self.status, self.text()))
    }

    /// The document in `PAYMENT-RESPONSE`, which must be in `X-PAYMENT-RESPONSE` too.
    pub(crate) fn payment_response(&self) -> Option<Value> {
        let names = ["payment-response", "x-payment-response"];
        let [document, alias] = names.map(|name| self.decoded(name));
        assert_eq!(document, alias);
        document
    }

    /// That the status is this one; otherwise shows the answer.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}\n{}", self.headers, self.text());
        self
    }

    /// That it is a problem (RFC 9457) with this status and code.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Self {
        let reply = self.expect(status);
        let json = &reply.json;
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(json["code"], code, "{json}");
        assert_eq!(json["status"], status, "{json}");
        for member in ["type", "title", "detail"] {
            let text = json[member].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "no {member}: {json}");
        }
        reply
    }

    /// The pointers of a problem's `errors`, in order.
    pub(crate) fn pointers(&self) -> Vec<&str> {
        let errors = self.json["errors"].as_array();
        let errors = errors.map(Vec::as_slice).unwrap_or_default();
        let pointer = |error: &'_ Value| error["reason"].as_str().is_some_and(|it| !it.is_empty());
        assert!(errors.iter().all(pointer), "{}", self.json);
        errors
            .iter()
            .map(|error| error["pointer"].as_str().unwrap())
            .collect()
    }
}

/// A call to be signed.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) wallet: Wallet,
    pub(crate) session: String,
    pub(crate) request_id: String,
    pub(crate) product: String,
    pub(crate) action: String,
    pub(crate) parameters: Value,
}

impl Call {
    /// A call of `weather/forecast`.
    pub(crate) fn forecast(wallet: &Wallet, session: &str, request_id: &str) -> Self {
        Self {
            wallet: wallet.clone(),
            session: session.to_owned(),
            request_id: request_id.to_owned(),
            product: "weather".into(),
            action: "forecast".into(),
            parameters: json!({ "place": "Bern" }),
        }
    }

    /// A call of another action, without parameters.
    pub(crate) fn of(
        wallet: &Wallet,
        session: &str,
        request_id: &str,
        product: &str,
        action: &str,
    ) -> Self {
        Self {
            product: product.to_owned(),
            action: action.to_owned(),
            parameters: json!({}),
            ..Self::forecast(wallet, session, request_id)
        }
    }

    /// Where the call goes.
    pub(crate) fn url_path(&self) -> String {
        format!("/api{}", self.signed_path())
    }

    /// What its signature names.
    pub(crate) fn signed_path(&self) -> String {
        let Self {
            product, action, ..
        } = self;
        format!("/external/tools/{product}/actions/{action}/invoke")
    }

    pub(crate) fn message(&self) -> String {
        self.message_at(&self.signed_path())
    }

    /// The message, naming another path.
    pub(crate) fn message_at(&self, path: &str) -> String {
        let payload = payload_hash(&self.parameters);
        self.wallet
            .path_bound(&self.session, &self.request_id, path, &payload)
    }

    /// The body, signed.
    pub(crate) fn body(&self) -> Value {
        self.body_with(&self.wallet.sign(&self.message()))
    }

    /// The body with a signature of the test's own making.
    pub(crate) fn body_with(&self, signature: &str) -> Value {
        json!({
            "wallet_address": self.wallet.name(),
            "session_nonce": self.session,
            "request_id": self.request_id,
            "signature": signature,
            "parameters": self.parameters,
        })
    }
}

/// The names of an object's members, in order.
pub(crate) fn keys(object: &Value) -> Vec<&str> {
    let members = object.as_object().unwrap_or_else(|| panic!("{object}"));
    members.keys().map(String::as_str).collect()
}

/// The body of a purchase.
pub(crate) fn purchase(wallet: &Wallet, credits: u64) -> Value {
    json!({
        "wallet_address": wallet.name(),
        "credits": credits,
        "payment_method": "x402",
    })
}

pub(crate) const PURCHASE: &str = "/api/external/credits/purchase";
pub(crate) const BALANCE: &str = "/api/external/credits/balance";
pub(crate) const SESSION: &str = "/api/external/auth/session";

impl House {
    pub(crate) async fn get(&self, path: &str) -> Reply {
        let response = self.http.get(self.url(path)).send().await.unwrap();
        Reply::read(response).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_with(path, body.to_string(), &[]).await
    }

    /// Posts bytes as JSON, with headers beside.
    pub(crate) async fn post_with(
        &self,
        path: &str,
        body: impl Into<reqwest::Body>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let mut request = self.http.post(self.url(path)).body(body);
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::read(request.send().await.unwrap()).await
    }

    /// Opens a session.
    pub(crate) async fn session(&self, wallet: &Wallet) -> String {
        let reply = self
            .post(SESSION, &json!({ "wallet_address": wallet.name() }))
            .await;
        let nonce = reply.expect(200).json["session_nonce"]
            .as_str()
            .map(str::to_owned);
        nonce.unwrap()
    }

    pub(crate) async fn call(&self, call: &Call) -> Reply {
        self.post(&call.url_path(), &call.body()).await
    }

    /// Sends a call again for as long as it is in flight.
    pub(crate) async fn settled(&self, call: &Call) -> Reply {
        let start = Instant::now();
        loop {
            let reply = self.call(call).await;
            if reply.json["code"] != "EXTERNAL_SIGNATURE_REQUEST_IN_FLIGHT" {
                return reply;
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "{}",
                reply.text()
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a session is over.
    pub(crate) async fn expired(&self, session: &str, wallet: &Wallet) {
        until("the session does not expire", async || {
            let reply = self.post(BALANCE, &balance_body(wallet, session)).await;
            reply.json["code"] == "EXTERNAL_SIGNATURE_SESSION_NONCE_EXPIRED"
        })
        .await;
    }

    /// A wallet with so many credits, bought with USDC that it holds for this alone.
    pub(crate) async fn rich(&self, credits: u64) -> Wallet {
        let wallet = Wallet::random();
        self.buy(&wallet, credits).await.expect(200);
        wallet
    }

    /// Gives a wallet what so many credits cost, and buys them.
    pub(crate) async fn buy(&self, wallet: &Wallet, credits: u64) -> Reply {
        self.chain_dollars(wallet, credits).await;
        let payment = self.quote(wallet, credits).await;
        self.pay(wallet, credits, &payment).await
    }

    /// Gives a wallet the USDC that so many credits cost.
    pub(crate) async fn chain_dollars(&self, wallet: &Wallet, credits: u64) {
        let amount = alloy::primitives::U256::from(credits * 10_000);
        self.chain.mint(wallet.address(), amount).await;
    }

    /// A signed payment for so many credits.
    pub(crate) async fn quote(&self, wallet: &Wallet, credits: u64) -> Payment {
        let reply = self.post(PURCHASE, &purchase(wallet, credits)).await;
        Payment::of(&reply.expect(402), wallet)
    }

    pub(crate) async fn pay(&self, wallet: &Wallet, credits: u64, payment: &Payment) -> Reply {
        self.pay_for(&purchase(wallet, credits), payment).await
    }

    /// Sends a payment with a body of the test's own making.
    pub(crate) async fn pay_for(&self, body: &Value, payment: &Payment) -> Reply {
        self.pay_header(body, "payment-signature", &payment.header())
            .await
    }

    pub(crate) async fn pay_header(&self, body: &Value, name: &str, value: &str) -> Reply {
        self.post_with(PURCHASE, body.to_string(), &[(name, value)])
            .await
    }

    /// The answer to a signed question for the balance.
    pub(crate) async fn balance(&self, wallet: &Wallet) -> Value {
        let session = self.session(wallet).await;
        let body = balance_body(wallet, &session);
        self.post(BALANCE, &body).await.expect(200).json
    }
}

/// A signed question for the balance.
pub(crate) fn balance_body(wallet: &Wallet, session: &str) -> Value {
    let message = wallet.scoped(session, "balance-1", ("balance", "-"), "");
    json!({
        "wallet_address": wallet.name(),
        "session_nonce": session,
        "request_id": "balance-1",
        "signature": wallet.sign(&message),
    })
}
