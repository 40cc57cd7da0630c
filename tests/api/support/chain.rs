//! A node with USDC on it, ended with the tests however they end.

use std::{path::Path, process::Stdio, sync::Arc};

use alloy::primitives::{Address, U256};
use counterfoil::chain::devnet::{CHAIN_ID, Devnet, DevnetOptions};
use serde_json::{Value, json};
use tokio::{
    process::{ChildStdin, Command},
    sync::{Mutex, OnceCell},
};

use super::until;

/// A local node.
pub(crate) struct Chain {
    devnet: Devnet,
    /// The node takes account nonces of its own accounts twice when it is asked twice at once.
    minting: Mutex<()>,
    _watchdog: ChildStdin,
}

static SHARED: OnceCell<Arc<Chain>> = OnceCell::const_new();

impl Chain {
    /// The node that tests share. A block for each transaction; nobody stops it or its clock.
    pub(crate) async fn shared() -> Arc<Self> {
        let chain = SHARED.get_or_init(|| async { Arc::new(Self::own().await) });
        chain.await.clone()
    }

    /// A node for one test, to do with as it likes.
    pub(crate) async fn own() -> Self {
        Self::own_on(CHAIN_ID).await
    }

    /// The same with another chain id.
    pub(crate) async fn own_on(chain_id: u64) -> Self {
        let node_modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts/node_modules");
        let mut options = DevnetOptions::from_node_modules(&node_modules)
            .unwrap_or_else(|error| panic!("{error}"));
        options.chain_id = chain_id;
        let devnet = Devnet::start(options).await.unwrap();
        let id = devnet.process_id().unwrap();
        Self {
            devnet,
            minting: Mutex::const_new(()),
            _watchdog: watch(id),
        }
    }

    /// Ends the node: nobody answers any more.
    pub(crate) async fn stop(&self) {
        let id = self.devnet.process_id().unwrap().to_string();
        let ended = Command::new("kill").args(["-9", &id]).status().await;
        assert!(ended.unwrap().success());
        until("the node still answers", async || {
            self.rpc::<Value>("eth_chainId", json!([])).await.is_err()
        })
        .await;
    }

    /// Gives an account USDC, in base units.
    pub(crate) async fn mint(&self, to: Address, base_units: U256) {
        let _alone = self.minting.lock().await;
        self.devnet.mint(to, base_units).await.unwrap();
    }
}

impl std::ops::Deref for Chain {
    type Target = Devnet;

    fn deref(&self) -> &Devnet {
        &self.devnet
    }
}

/// Statics are not dropped when a process ends, and a killed one drops nothing at all. So a shell
/// waits for the end of its input, which comes with the end of this process.
fn watch(process: u32) -> ChildStdin {
    let mut shell = Command::new("sh")
        .args(["-c", "read -r _; kill -9 \"$1\"", "watchdog"])
        .arg(process.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    shell.stdin.take().unwrap()
}
