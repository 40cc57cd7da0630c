//! The HTTP call to a tool.
//!
//! What goes out is written here and nowhere else: the parameters, a user agent, an
//! `Idempotency-Key`. Nothing of the client's own request is at hand, so nothing can be forwarded.
//! Redirects, proxies of the environment, retries and decompression are off.

use std::{collections::BTreeMap, error::Error, iter, time::Duration};

use reqwest::{
    Client, ClientBuilder, Response, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderValue},
    redirect, retry,
};
use serde_json::value::RawValue;

use super::{
    action::Action,
    catalogue::Tool,
    private_address::{PrivateAddress, PublicOnly},
    reply::{ToolError, ToolReply},
    target::{HttpTarget, Target},
};

const USER_AGENT: &str = concat!("counterfoil/", env!("CARGO_PKG_VERSION"));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest query that servers can be expected to take.
const QUERY_BYTES_MAX: usize = 8_192;
/// How much of a failure's body is kept.
const FAILURE_BYTES_MAX: usize = 4_096;
const CONTENT_TYPE_BYTES_MAX: usize = 128;
/// Kept below the usual idle limits of servers, so that a call seldom meets a closing connection.
const IDLE_CONNECTION_LIMIT: Duration = Duration::from_secs(4);
const IDLE_CONNECTIONS_MAX: usize = 64;

/// Calls tools. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// For names: dials public addresses only.
    public: Client,
    /// For hosts that the operator wrote out or allowed.
    allowed: Client,
    reply_bytes_max: usize,
}

/// The reply of `internal://echo`: the parameters themselves.
#[must_use]
pub fn echo(parameters: &[u8]) -> ToolReply {
    ToolReply::new(200, Some("application/json".into()), parameters)
}

impl Upstream {
    /// A client that takes replies of at most `reply_bytes_max` bytes, both as they arrive and as
    /// the JSON that they become.
    ///
    /// # Errors
    /// When TLS cannot be set up on this machine.
    pub fn new(reply_bytes_max: usize) -> Result<Self, reqwest::Error> {
        Ok(Self {
            public: builder().dns_resolver(PublicOnly).build()?,
            allowed: builder().build()?,
            reply_bytes_max,
        })
    }

    /// Calls an action with parameters that its schema accepted: the client's own bytes, `{}` when
    /// it sent none. `idempotency_key` is the same whenever the call is for the same charge.
    ///
    /// # Errors
    /// Everything but a whole 2xx reply within the limits of time and size.
    pub async fn call(
        &self,
        tool: &Tool,
        action: &Action,
        parameters: &[u8],
        idempotency_key: &str,
    ) -> Result<ToolReply, ToolError> {
        let target = match tool.target() {
            Target::Echo => return Ok(echo(parameters)),
            Target::Http(target) => target,
        };
        let exchange = self.exchange(target, action, parameters, idempotency_key);
        tokio::time::timeout(action.timeout(), exchange)
            .await
            .unwrap_or(Err(ToolError::Timeout))
    }

    async fn exchange(
        &self,
        target: &HttpTarget,
        action: &Action,
        parameters: &[u8],
        idempotency_key: &str,
    ) -> Result<ToolReply, ToolError> {
        let client = if target.private_allowed() {
            &self.allowed
        } else {
            &self.public
        };
        let mut url = target.url(action.path());
        let method = action.method();
        if method.sends_query() {
            append_query(&mut url, parameters)?;
        }
        let mut request = client
            .request(method.into(), url)
            .header(ACCEPT, JSON)
            .header(IDEMPOTENCY_KEY, idempotency_key);
        if !method.sends_query() {
            request = request.header(CONTENT_TYPE, JSON).body(parameters.to_vec());
        }
        let response = request.send().await.map_err(classify)?;
        self.read(response).await
    }

    async fn read(&self, mut response: Response) -> Result<ToolReply, ToolError> {
        let status = response.status();
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type
            .and_then(|value| value.to_str().ok())
            .filter(|text| text.len() <= CONTENT_TYPE_BYTES_MAX)
            .map(str::to_owned);
        if !status.is_success() {
            let body = start_of_body(&mut response).await;
            let reply = ToolReply::new(status.as_u16(), content_type, &body);
            return Err(ToolError::Status(reply));
        }
        let limit_bytes = self.reply_bytes_max;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(classify)? {
            if chunk.len() > limit_bytes - body.len() {
                return Err(ToolError::TooLarge { limit_bytes });
            }
            body.extend_from_slice(&chunk);
        }
        let reply = ToolReply::new(status.as_u16(), content_type, &body);
        // A text of control characters grows sixfold when it is escaped.
        if reply.data.get().len() > limit_bytes {
            return Err(ToolError::TooLarge { limit_bytes });
        }
        Ok(reply)
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_proxy()
        .http1_only()
        .pool_idle_timeout(IDLE_CONNECTION_LIMIT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
}

/// What a failed call says helps to repair it, so it is kept even when it breaks off.
async fn start_of_body(response: &mut Response) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < FAILURE_BYTES_MAX
        && let Ok(Some(chunk)) = response.chunk().await
    {
        let room = FAILURE_BYTES_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    body
}

/// Strings go in as they are, numbers and booleans as their tokens, `null` not at all; arrays and
/// objects as their JSON text. In the order of their names.
fn append_query(url: &mut Url, parameters: &[u8]) -> Result<(), ToolError> {
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_slice(parameters).map_err(ToolError::Query)?;
    for (name, value) in members {
        match value.get() {
            "null" => {}
            text if text.starts_with('"') => {
                let text: String = serde_json::from_str(text).map_err(ToolError::Query)?;
                url.query_pairs_mut().append_pair(&name, &text);
            }
            token => {
                url.query_pairs_mut().append_pair(&name, token);
            }
        }
    }
    if url
        .query()
        .is_some_and(|query| query.len() > QUERY_BYTES_MAX)
    {
        return Err(ToolError::QueryTooLong {
            limit_bytes: QUERY_BYTES_MAX,
        });
    }
    Ok(())
}

fn classify(error: reqwest::Error) -> ToolError {
    let first: &(dyn Error + 'static) = &error;
    let mut causes = iter::successors(Some(first), |&cause| cause.source());
    if causes.any(<dyn Error>::is::<PrivateAddress>) {
        return ToolError::PrivateAddress;
    }
    // The URL may hold a client's parameters, and errors are logged.
    let error = error.without_url();
    if error.is_connect() {
        ToolError::Unreachable(error)
    } else {
        ToolError::Broken(error)
    }
}

#[cfg(test)]
mod tests;
