//! What the demo starts, in this order: a chain with USDC, a tool, a funded agent, the service.
//!
//! Everything ends with this value, whichever way it goes: the node's process is killed, the
//! directory removed.

use std::{
    fs::DirBuilder,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use alloy::primitives::{Address, U256};
use thiserror::Error;

use super::{directory::Directory, narrator::Narrator, paint, settings::Settings, tool::Tool};
use crate::{
    app::{
        config::{self, ConfigError},
        serve::{Running, ServeError},
    },
    chain::{
        ChainError,
        devnet::{Devnet, DevnetError, DevnetOptions},
    },
    client::{Wallet, WalletError},
};

/// Relative to the directory in which the demo is run.
const NODE_MODULES: &str = "contracts/node_modules";
const PORT: u16 = 4020;
/// 100 USDC, in base units.
const FUNDS: u64 = 100_000_000;
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Everything that runs. Fields are dropped in this order.
pub(super) struct Stage {
    running: Running,
    pub(super) tool: Tool,
    pub(super) devnet: Devnet,
    /// Where payments arrive.
    pub(super) pay_to: Address,
    /// Who pays for gas.
    pub(super) relayer: Address,
    pub(super) key_file: PathBuf,
    pub(super) config: PathBuf,
    _directory: Directory,
}

/// Why there is nothing to show.
#[derive(Debug, Error)]
pub(super) enum StageError {
    #[error("{0} (at the root of the repository, and start the demo there)")]
    Missing(DevnetError),
    #[error("the local chain: {0}")]
    Devnet(#[from] DevnetError),
    #[error("the local chain: {0}")]
    Chain(#[from] ChainError),
    #[error(
        "cannot listen on {address}: {error}; end what listens there (another demo?), or run the \
         demo with --once, which takes any free port"
    )]
    Port {
        address: SocketAddr,
        error: io::Error,
    },
    #[error("the example tool: {0}")]
    Tool(io::Error),
    #[error("the agent's wallet: {0}")]
    Wallet(#[from] WalletError),
    #[error("cannot write {}: {error}", path.display())]
    Write { path: PathBuf, error: io::Error },
    #[error("the configuration: {0}")]
    Config(#[from] ConfigError),
    #[error("the service: {0}")]
    Serve(#[from] ServeError),
}

/// What is asked of the stage.
pub(super) struct StageOptions {
    /// A free port, and nothing left behind; otherwise the usual one.
    pub(super) once: bool,
    /// The agent's key, which is made if it is not there; in the demo's own directory if absent.
    pub(super) key_file: Option<PathBuf>,
}

impl Stage {
    pub(super) async fn start(
        options: StageOptions,
        narrator: &mut Narrator,
    ) -> Result<Self, StageError> {
        let node = DevnetOptions::from_node_modules(Path::new(NODE_MODULES))
            .map_err(StageError::Missing)?;
        let listen = free_address(if options.once { 0 } else { PORT })?;
        let directory = Directory::create().map_err(cannot_write(&std::env::temp_dir()))?;
        let own_key_file = || directory.path().join("agent.key");
        let key_file = options.key_file.unwrap_or_else(own_key_file);

        let devnet = start_chain(node, narrator).await?;
        let tool = start_tool(narrator).await?;
        fund_agent(&devnet, &key_file, narrator).await?;

        let began = Instant::now();
        let relayer_key_file = directory.path().join("relayer.key");
        let relayer = wallet(&relayer_key_file)?.address().address();
        devnet.fund_gas(relayer).await?;
        let pay_to = Wallet::generate()?.address().address();
        let settings = Settings {
            listen,
            devnet: &devnet,
            pay_to,
            relayer_key_file: &relayer_key_file,
            tool: tool.address,
        };
        let config = settings
            .write(directory.path())
            .map_err(cannot_write(directory.path()))?;
        let running = Running::start(config::load(&config)?).await?;
        let told = format!("http://{}, {}", running.address, config.display());
        narrator.started("service", told, began);
        Ok(Self {
            running,
            tool,
            devnet,
            pay_to,
            relayer,
            key_file,
            config,
            _directory: directory,
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.running.address)
    }

    /// Lets what runs end, and takes everything down.
    pub(super) async fn stop(self) {
        let Self {
            running, devnet, ..
        } = self;
        running.stop(STOP_LIMIT).await;
        devnet.stop().await;
    }
}

async fn start_chain(node: DevnetOptions, narrator: &Narrator) -> Result<Devnet, StageError> {
    let began = Instant::now();
    let starting = Devnet::start(node);
    let devnet = narrator.wait("starting the chain", starting).await?;
    let told = format!(
        "{} at {}, with Circle's FiatTokenV2_2 at {}",
        devnet.network_id(),
        devnet.rpc_url(),
        paint::short(devnet.usdc().token.to_checksum(None)),
    );
    narrator.started("chain", told, began);
    Ok(devnet)
}

async fn start_tool(narrator: &Narrator) -> Result<Tool, StageError> {
    let began = Instant::now();
    let tool = Tool::start().await.map_err(StageError::Tool)?;
    narrator.started("tool", format!("http://{}", tool.address), began);
    Ok(tool)
}

async fn fund_agent(
    devnet: &Devnet,
    key_file: &Path,
    narrator: &Narrator,
) -> Result<(), StageError> {
    let began = Instant::now();
    let agent = wallet(key_file)?.address().address();
    let funds = U256::from(FUNDS);
    devnet.mint(agent, funds).await?;
    let (address, funds) = (agent.to_checksum(None), paint::usdc(funds));
    let told = format!(
        "{} with {funds}, {}",
        paint::short(address),
        key_file.display()
    );
    narrator.started("agent", told, began);
    Ok(())
}

fn cannot_write(path: &Path) -> impl FnOnce(io::Error) -> StageError {
    let path = path.to_owned();
    |error| StageError::Write { path, error }
}

/// The key in a file, made if there is none. A key that is there is used and never replaced.
fn wallet(path: &Path) -> Result<Wallet, StageError> {
    if path.exists() {
        return Ok(Wallet::read(path)?);
    }
    if let Some(directory) = path.parent() {
        let mut maker = DirBuilder::new();
        let made = maker.recursive(true).mode(0o700).create(directory);
        made.map_err(cannot_write(directory))?;
    }
    let wallet = Wallet::generate()?;
    wallet.write_new(path)?;
    Ok(wallet)
}

/// Asked before anything is started, because it is what most often stands in the way.
fn free_address(port: u16) -> Result<SocketAddr, StageError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address)
        .and_then(|listener| listener.local_addr())
        .map_err(|error| StageError::Port { address, error })
}
