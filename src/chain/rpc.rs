//! JSON-RPC over HTTP to one node, with a bound on time and on size.
//!
//! Only the fields that are judged are read: a node of a rollup whose blocks hold transaction types
//! that no library knows cannot stop a judgement.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use alloy::primitives::Bytes;
use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{ChainError, RpcRefusal, exchange};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Room for the receipt of a transaction that fills its gas limit (2^24, EIP-7825) with logs.
const REPLY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// One node.
pub(super) struct Rpc {
    url: Url,
    /// Host and port.
    name: String,
    client: Client,
    next_id: AtomicU64,
}

#[derive(Serialize)]
struct Request<'a, P> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: P,
}

#[derive(Deserialize)]
struct Reply {
    /// Present and `null` is an answer; absent is none.
    #[serde(default, deserialize_with = "present")]
    result: Option<Box<RawValue>>,
    error: Option<ErrorObject>,
}

#[derive(Deserialize)]
struct ErrorObject {
    code: i64,
    #[serde(default)]
    message: String,
    data: Option<serde_json::Value>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

/// A client for nodes.
pub(super) fn http_client() -> Result<Client, reqwest::Error> {
    exchange::client(REQUEST_TIMEOUT)
}

impl Rpc {
    pub(super) fn new(url: Url, client: Client) -> Self {
        Self {
            name: exchange::host_and_port(&url),
            url,
            client,
            next_id: AtomicU64::new(1),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn call<R, P>(&self, method: &str, params: P) -> Result<R, ChainError>
    where
        R: DeserializeOwned,
        P: Serialize + Send + Sync,
    {
        self.call_within(method, params, None).await
    }

    /// A call that may take longer, or less long, than others.
    pub(super) async fn call_within<R, P>(
        &self,
        method: &str,
        params: P,
        timeout: Option<Duration>,
    ) -> Result<R, ChainError>
    where
        R: DeserializeOwned,
        P: Serialize + Send + Sync,
    {
        let request = Request {
            jsonrpc: "2.0",
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            method,
            params,
        };
        let posted = self.client.post(self.url.clone()).json(&request);
        let posted = posted.timeout(timeout.unwrap_or(REQUEST_TIMEOUT));
        let response = posted
            .send()
            .await
            .map_err(|error| self.unreachable(exchange::in_words(&error).to_owned()))?;
        let status = response.status();
        let body = exchange::bounded_body(response, REPLY_BYTES_MAX).await;
        let body = body.map_err(|reason| self.unreachable(reason))?;
        self.read_reply(status, &body, method)
    }

    fn read_reply<R: DeserializeOwned>(
        &self,
        status: StatusCode,
        body: &[u8],
        method: &str,
    ) -> Result<R, ChainError> {
        let bad_reply = || ChainError::BadReply {
            node: self.name.clone(),
            method: method.to_owned(),
        };
        let reply: Option<Reply> = serde_json::from_slice(body).ok();
        // Some nodes put an error object under an HTTP status of 4xx or 5xx.
        if let Some(error) = reply.as_ref().and_then(|reply| reply.error.as_ref()) {
            return Err(ChainError::Rpc(self.refusal(error)));
        }
        if !status.is_success() {
            return Err(self.unreachable(format!("HTTP status {}", status.as_u16())));
        }
        let result = reply.and_then(|reply| reply.result).ok_or_else(bad_reply)?;
        serde_json::from_str(result.get()).map_err(|_| bad_reply())
    }

    fn unreachable(&self, reason: String) -> ChainError {
        ChainError::Unreachable {
            node: self.name.clone(),
            reason,
        }
    }

    fn refusal(&self, error: &ErrorObject) -> RpcRefusal {
        RpcRefusal {
            node: self.name.clone(),
            code: error.code,
            message: exchange::redacted(&error.message, self.secrets()),
            data: error.data.as_ref().and_then(revert_data),
        }
    }

    /// The parts of the URL that may be keys.
    fn secrets(&self) -> impl Iterator<Item = &str> {
        let path = self.url.path_segments().into_iter().flatten();
        path.chain(self.url.password())
            .chain([self.url.username()])
            .chain(self.url.query())
    }
}

/// The bytes that a reverted call returned: nodes send them bare or under another `data`.
fn revert_data(data: &serde_json::Value) -> Option<Bytes> {
    let text = data.as_str().or_else(|| data.get("data")?.as_str())?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rpc() -> Rpc {
        let url = "https://user:hunter2hunter2@node.example/v3/0123456789abcdef?key=fedcba98";
        Rpc::new(url.parse().unwrap(), http_client().unwrap())
    }

    fn read(status: u16, body: &str) -> Result<Option<u64>, ChainError> {
        rpc().read_reply(
            StatusCode::from_u16(status).unwrap(),
            body.as_bytes(),
            "eth_test",
        )
    }

    #[test]
    fn null_is_an_answer_and_silence_is_not() {
        assert_eq!(read(200, r#"{"id":1,"result":7}"#), Ok(Some(7)));
        assert_eq!(read(200, r#"{"id":1,"result":null}"#), Ok(None));
        let bad = ChainError::BadReply {
            node: "node.example:443".into(),
            method: "eth_test".into(),
        };
        for body in [
            r#"{"id":1}"#,
            "[]",
            "",
            "<html>",
            r#"{"id":1,"result":"x"}"#,
        ] {
            assert_eq!(read(200, body), Err(bad.clone()), "{body}");
        }
    }

    #[test]
    fn an_error_object_counts_whatever_the_status() {
        let body = r#"{"id":1,"error":{"code":3,"message":"reverted\n","data":"0x0102"}}"#;
        for status in [200, 400, 500] {
            assert_eq!(
                read(status, body),
                Err(ChainError::Rpc(RpcRefusal {
                    node: "node.example:443".into(),
                    code: 3,
                    message: "reverted".into(),
                    data: Some(Bytes::from_static(&[1, 2])),
                }))
            );
        }
        assert!(matches!(
            read(503, "busy"),
            Err(ChainError::Unreachable { reason, .. }) if reason.contains("503")
        ));
    }

    #[test]
    fn no_error_repeats_the_secrets_of_the_url() {
        let body = r#"{"error":{"code":-32000,"message":"no project 0123456789abcdef, hunter2hunter2, key=fedcba98"}}"#;
        let error = read(200, body).unwrap_err();
        let told = format!("{error} {error:?}");
        for secret in ["0123456789abcdef", "hunter2", "fedcba98", "user"] {
            assert!(!told.contains(secret), "{told}");
        }
    }
}
