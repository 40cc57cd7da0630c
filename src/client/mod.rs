//! The agent's side: buys credits over x402 and spends them by signed calls.
//!
//! ```no_run
//! # use counterfoil::{app, client::{BuyOptions, Client, Wallet}};
//! # async fn agent() -> Result<(), Box<dyn std::error::Error>> {
//! let wallet = Wallet::read("agent.key".as_ref())?;
//! let client = Client::new("http://127.0.0.1:4020", Some(wallet), app::clock::now)?;
//! client.buy("100".parse()?, &BuyOptions::default()).await?;
//! let reply = client.call("weather", "forecast", &serde_json::json!({"place": "Lisbon"})).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Two promises run through it. A call is signed once and its bytes are sent until they are
//! answered, so a lost reply costs nothing. A payment is signed once and its header is sent until
//! it is answered, so nothing is paid twice.
//!
//! Owns what an agent must get right on the wire of docs/PROTOCOL.md sections 1 to 4. Must never know
//! how the service works inside, and reads neither clock nor environment.

mod answer;
mod body;
mod buy;
mod call;
mod claim;
mod deliver;
mod direct;
mod error;
mod offer;
mod payment;
mod session;
mod token;
mod transport;
mod wallet;

#[cfg(test)]
mod tests;

use tokio::sync::Mutex;

pub use answer::{ActionInfo, Balance, CallReply, Catalogue, DirectReply, Purchase, ToolInfo};
pub use buy::BuyOptions;
pub use call::CallOptions;
pub use claim::ClaimOptions;
pub use deliver::Patience;
pub use error::{ClientError, Problem};
pub use offer::{OfferError, Spending};
pub use wallet::{Wallet, WalletError};

use crate::base::{RequestId, Slug, Timestamp};
use deliver::Delivered;
use session::KeptSession;
use transport::{Outgoing, Transport};

/// Speaks to one service, for at most one wallet.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
    wallet: Option<Wallet>,
    /// Payments are signed with an end, so the time must be known.
    clock: fn() -> Timestamp,
    patience: Patience,
    /// Held while one is opened, so that many calls at once open one.
    session: Mutex<Option<KeptSession>>,
}

impl Client {
    /// `base_url` is what stands before `/api/external`. Without a wallet only the catalogue can
    /// be read.
    ///
    /// # Errors
    /// When the URL is not `http` or `https` with a host, or TLS cannot be set up.
    pub fn new(
        base_url: &str,
        wallet: Option<Wallet>,
        clock: fn() -> Timestamp,
    ) -> Result<Self, ClientError> {
        let patience = Patience::default();
        Ok(Self {
            transport: Transport::new(base_url, patience.request_timeout)?,
            wallet,
            clock,
            patience,
            session: Mutex::default(),
        })
    }

    /// How long and how often the same bytes are sent.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn with_patience(self, patience: Patience) -> Result<Self, ClientError> {
        let transport = self.transport.with_timeout(patience.request_timeout)?;
        Ok(Self {
            transport,
            patience,
            ..self
        })
    }

    /// The wallet that signs.
    ///
    /// # Errors
    /// [`ClientError::NoWallet`] when the client was made without one.
    pub fn wallet(&self) -> Result<&Wallet, ClientError> {
        self.wallet.as_ref().ok_or(ClientError::NoWallet)
    }

    /// Everything that is for sale, with its prices.
    ///
    /// # Errors
    /// When the service cannot be reached or answers otherwise than it should.
    pub async fn tools(&self) -> Result<Catalogue, ClientError> {
        let reply = self
            .read(&Outgoing::get("/api/external/tools".into()))
            .await?;
        Catalogue::read(&reply.into_success()?)
    }

    /// One tool.
    ///
    /// # Errors
    /// As [`Client::tools`], and when there is no such tool.
    pub async fn tool(&self, tool: &str) -> Result<ToolInfo, ClientError> {
        let path = format!("/api/external/tools/{}", slug("tool", tool)?);
        let reply = self.read(&Outgoing::get(path)).await?;
        ToolInfo::read(&reply.into_success()?)
    }

    /// Sends what may be sent any number of times.
    async fn read(&self, request: &Outgoing) -> Result<transport::Reply, ClientError> {
        match self.deliver(request).await {
            Ok(Delivered { reply, .. }) => Ok(reply),
            Err(failure) => Err(failure.cause),
        }
    }
}

fn slug(what: &'static str, text: &str) -> Result<Slug, ClientError> {
    text.parse()
        .map_err(|problem| ClientError::Name { what, problem })
}

/// The path of an action, as signatures name it.
fn signed_path(tool: &str, action: &str) -> Result<String, ClientError> {
    let (tool, action) = (slug("tool", tool)?, slug("action", action)?);
    let [path, ..] = crate::auth::accepted_paths(tool.as_str(), action.as_str());
    Ok(path)
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], ClientError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|_| ClientError::Randomness)?;
    Ok(bytes)
}

fn random_request_id() -> Result<RequestId, ClientError> {
    let text = hex::encode(random::<16>()?);
    Ok(text
        .parse()
        .expect("32 hexadecimal digits are a request id"))
}
