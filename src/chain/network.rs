//! A configured network: its nodes, its assets, its relayers.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use alloy::primitives::{Address, U256};
use reqwest::Url;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{
    ChainError, Facilitator, FacilitatorSettings, FacilitatorSettingsError,
    node::Node,
    relayer::Relayer,
    rpc::{Rpc, http_client},
};
use crate::{
    base::{AssetId, Credits, NetworkId, UsdRate},
    payment::{Confirmations, TokenDomain, TransferMethod},
};

/// What an operator says of a network.
pub struct NetworkSettings {
    pub id: NetworkId,
    /// At least one; asked in this order. May hold credentials.
    pub rpc_urls: Vec<Url>,
    pub confirmations: Confirmations,
    pub pay_to: Address,
    pub assets: Vec<Asset>,
    /// Contracts that may be called to make payers' wallets (ERC-6492).
    pub wallet_factories: Vec<Address>,
    /// At least one; asked in this order.
    pub facilitators: Vec<FacilitatorSettings>,
    /// Keys of the accounts that pay gas; each settles payments of its own. Absent where somebody
    /// else settles.
    pub relayer_keys: Vec<Zeroizing<[u8; 32]>>,
    /// The key of the account that refunds are paid from; it holds gas too.
    pub float_key: Option<Zeroizing<[u8; 32]>>,
    /// The most that is offered for a unit of gas, in wei.
    pub max_fee_per_gas: u128,
    /// For how many settlements each relayer should hold gas.
    pub low_settlements: u32,
}

/// A token that is taken in payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    pub token: Address,
    pub symbol: String,
    pub decimals: u8,
    /// What a whole token is worth.
    pub usd_rate: UsdRate,
    /// How payments in it are signed.
    pub transfer_method: TransferMethod,
    /// Empty when nobody knows it: then `transfer_method` must be one that does without.
    pub eip712_name: String,
    pub eip712_version: String,
}

impl Asset {
    /// What `credits` cost in base units, rounded up; `None` for less than nothing.
    #[must_use]
    pub fn price(&self, credits: Credits) -> Option<U256> {
        self.usd_rate.base_units(credits, self.decimals)
    }

    /// The credits that so many base units are worth, rounded down; `None` when they do not fit.
    #[must_use]
    pub fn worth(&self, amount: U256) -> Option<Credits> {
        self.usd_rate.worth(amount, self.decimals)
    }
}

/// Why settings describe no network. Each message names the setting.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NetworkSettingsError {
    #[error("rpc_url must name at least one node")]
    NoNode,
    #[error("rpc_url must be http:// or https:// with a host")]
    NotHttp,
    #[error("facilitator {0}")]
    Facilitator(#[from] FacilitatorSettingsError),
    #[error("relayer_key_file must hold a private key of secp256k1: 32 bytes in hexadecimal")]
    RelayerKey,
    #[error("relayer_key_file names the account {0} twice: give each relayer a key of its own")]
    RelayerTwice(Address),
    #[error("refund_key_file must hold a private key of secp256k1: 32 bytes in hexadecimal")]
    FloatKey,
    #[error(
        "refund_key_file holds the key of {0}, which is pay_to or a relayer: refunds are paid from an \
         account of their own"
    )]
    FloatNotApart(Address),
    #[error("the HTTP client cannot start: {0}")]
    HttpClient(String),
}

/// The way to one network. Cheap to clone.
#[derive(Clone)]
pub struct Network(Arc<Inner>);

pub(super) struct Inner {
    pub(super) id: NetworkId,
    pub(super) confirmations: Confirmations,
    facilitators: Vec<Facilitator>,
    pub(super) relayers: Vec<Relayer>,
    pub(super) float: Option<Relayer>,
    pub(super) max_fee_per_gas: u128,
    low_settlements: u32,
    pay_to: Address,
    assets: Vec<Asset>,
    wallet_factories: Vec<Address>,
    nodes: Vec<Arc<Node>>,
    /// The node that answered last, which is asked first.
    preferred: AtomicUsize,
}

impl Network {
    /// Takes the settings as they are; nothing is sent yet.
    ///
    /// # Errors
    /// When no node or no facilitator is named, a URL is not one of HTTP, or a relayer's key is none or
    /// there twice.
    pub fn new(settings: NetworkSettings) -> Result<Self, NetworkSettingsError> {
        if settings.rpc_urls.is_empty() {
            return Err(NetworkSettingsError::NoNode);
        }
        let is_http = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        if !settings.rpc_urls.iter().all(is_http) {
            return Err(NetworkSettingsError::NotHttp);
        }
        let relayers = relayers(&settings)?;
        let float = float(&settings, &relayers)?;
        let client = http_client()
            .map_err(|error| NetworkSettingsError::HttpClient(error.without_url().to_string()))?;
        let nodes = settings.rpc_urls.into_iter().map(|url| {
            let rpc = Rpc::new(url, client.clone());
            Arc::new(Node::new(rpc, settings.id))
        });
        if settings.facilitators.is_empty() {
            return Err(FacilitatorSettingsError::Nobody.into());
        }
        let facilitators = settings.facilitators.into_iter();
        let facilitators =
            facilitators.map(|settings_of| Facilitator::new(settings_of, settings.id));
        Ok(Self(Arc::new(Inner {
            id: settings.id,
            facilitators: facilitators.collect::<Result<_, _>>()?,
            confirmations: settings.confirmations,
            relayers,
            float,
            max_fee_per_gas: settings.max_fee_per_gas,
            low_settlements: settings.low_settlements,
            pay_to: settings.pay_to,
            assets: settings.assets,
            wallet_factories: settings.wallet_factories,
            nodes: nodes.collect(),
            preferred: AtomicUsize::new(0),
        })))
    }

    #[must_use]
    pub fn id(&self) -> NetworkId {
        self.0.id
    }

    /// Where payments go.
    #[must_use]
    pub fn pay_to(&self) -> Address {
        self.0.pay_to
    }

    #[must_use]
    pub fn assets(&self) -> &[Asset] {
        &self.0.assets
    }

    /// Who settles, in the order in which they are asked; at least one.
    #[must_use]
    pub fn facilitators(&self) -> &[Facilitator] {
        &self.0.facilitators
    }

    /// For how many settlements each relayer should hold gas: with less it is low.
    #[must_use]
    pub fn low_settlements(&self) -> u32 {
        self.0.low_settlements
    }

    /// Whether the operator lets payers have their wallets made there.
    pub(super) fn makes_wallets(&self, factory: Address) -> bool {
        self.0.wallet_factories.contains(&factory)
    }

    /// The EIP-712 domain under which payments in `asset` are signed.
    #[must_use]
    pub fn domain(&self, asset: &Asset) -> TokenDomain {
        TokenDomain {
            asset: AssetId {
                network: self.0.id,
                token: asset.token,
            },
            name: asset.eip712_name.clone(),
            version: asset.eip712_version.clone(),
        }
    }

    /// Makes sure that no node that can be reached is on another chain.
    ///
    /// # Errors
    /// [`ChainError::WrongChain`] when one is; another error when none can be reached.
    pub async fn verify_chain_id(&self) -> Result<(), ChainError> {
        let mut verified = Err(self.nobody());
        for node in &self.0.nodes {
            match node.ask_chain().await {
                Ok(()) => verified = Ok(()),
                Err(error @ ChainError::WrongChain { .. }) => return Err(error),
                Err(error) => verified = verified.or(Err(error)),
            }
        }
        verified
    }

    /// Whether a node of the right chain answers now. Asks as few as it can.
    ///
    /// # Errors
    /// [`ChainError::WrongChain`] when one is on another chain; another error when none answers.
    pub async fn check_live(&self) -> Result<(), ChainError> {
        let mut failure = self.nobody();
        for (_, node) in self.nodes() {
            match node.ask_chain().await {
                Ok(()) => return Ok(()),
                Err(error @ ChainError::WrongChain { .. }) => return Err(error),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }

    /// Asks one node; if it has no answer, the next. A whole operation runs on a single node, so
    /// that its reads are of one view of the chain.
    pub(super) async fn on_one_node<T, F>(
        &self,
        operation: impl Fn(Arc<Node>) -> F,
    ) -> Result<T, ChainError>
    where
        F: Future<Output = Result<T, ChainError>>,
    {
        let mut failure = self.nobody();
        for (index, node) in self.nodes() {
            let outcome = match node.check_chain().await {
                Ok(()) => operation(Arc::clone(node)).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(answer) => {
                    self.0.preferred.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => {
                    tracing::debug!(network = %self.0.id, %error, "a node had no answer");
                    failure = error;
                }
            }
        }
        Err(failure)
    }

    fn nobody(&self) -> ChainError {
        ChainError::Unreachable {
            node: self.0.id.to_string(),
            reason: "no node is configured".to_owned(),
        }
    }

    /// Every node, the preferred one first.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (usize, &Arc<Node>)> {
        let nodes = &self.0.nodes;
        let (before, from) = nodes.split_at(self.0.preferred.load(Ordering::Relaxed));
        let offset = before.len();
        let from = from.iter().enumerate();
        from.map(move |(index, node)| (offset + index, node))
            .chain(before.iter().enumerate())
    }
}

fn relayers(settings: &NetworkSettings) -> Result<Vec<Relayer>, NetworkSettingsError> {
    let mut relayers: Vec<Relayer> = Vec::new();
    for key in &settings.relayer_keys {
        let relayer = Relayer::new(key, settings.id, settings.max_fee_per_gas)
            .ok_or(NetworkSettingsError::RelayerKey)?;
        let address = relayer.address();
        if relayers.iter().any(|other| other.address() == address) {
            return Err(NetworkSettingsError::RelayerTwice(address));
        }
        relayers.push(relayer);
    }
    Ok(relayers)
}

fn float(
    settings: &NetworkSettings,
    relayers: &[Relayer],
) -> Result<Option<Relayer>, NetworkSettingsError> {
    let Some(key) = &settings.float_key else {
        return Ok(None);
    };
    let float = Relayer::new(key, settings.id, settings.max_fee_per_gas)
        .ok_or(NetworkSettingsError::FloatKey)?;
    let address = float.address();
    let mut others = relayers.iter().map(Relayer::address);
    if address == settings.pay_to || others.any(|other| other == address) {
        return Err(NetworkSettingsError::FloatNotApart(address));
    }
    Ok(Some(float))
}

impl fmt::Debug for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<&str> = self.0.nodes.iter().map(|node| node.rpc.name()).collect();
        formatter
            .debug_struct("Network")
            .field("id", &self.0.id)
            .field("nodes", &nodes)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for NetworkSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NetworkSettings")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
