//! Which configuration, and which network of it.

use std::path::PathBuf;

use crate::{
    app::{
        cli::outcome::Failed,
        config::{self, Config},
        keys::{self, SecretKey},
    },
    base::NetworkId,
    chain::{ChainError, FacilitatorSettings, Network, NetworkSettings},
};

#[derive(Debug, clap::Args)]
pub(super) struct PlaceArgs {
    /// The service's configuration (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A network of the configuration, such as eip155:84532
    #[arg(long, value_name = "ID")]
    network: NetworkId,
}

impl PlaceArgs {
    pub(super) fn load(&self) -> Result<config::Network, Failed> {
        let Config { networks, .. } = config::load(&self.config)
            .map_err(|error| Failed::usage("BAD_CONFIGURATION", format!("{error}.")))?;
        let configured: Vec<String> = networks.iter().map(|it| it.id.to_string()).collect();
        let found = networks.into_iter().find(|it| it.id == self.network);
        found.ok_or_else(|| {
            let detail = format!("The configuration has no network {}.", self.network);
            let next = match configured.as_slice() {
                [] => "add a [[network]] to the configuration".to_owned(),
                _ => format!("name one that it has: {}", configured.join(", ")),
            };
            Failed::usage("NETWORK_NOT_CONFIGURED", detail).next(next)
        })
    }
}

/// The way to a network, for work that needs none of the service's own keys.
pub(super) fn network(config: &config::Network) -> Result<Network, Failed> {
    let settings = NetworkSettings {
        id: config.id,
        rpc_urls: config.rpc_urls.clone(),
        confirmations: config.confirmations,
        pay_to: config.pay_to,
        assets: Vec::new(),
        wallet_factories: Vec::new(),
        facilitators: vec![FacilitatorSettings::Local],
        relayer_keys: Vec::new(),
        low_settlements: 0,
        float_key: None,
        max_fee_per_gas: config.max_fee_per_gas,
    };
    Network::new(settings).map_err(|error| {
        Failed::usage(
            "BAD_CONFIGURATION",
            format!("network {}: {error}.", config.id),
        )
    })
}

pub(super) fn key(path: &std::path::Path) -> Result<SecretKey, Failed> {
    keys::plain_key(path).map_err(|error| {
        Failed::usage("BAD_KEY_FILE", format!("{error}."))
            .next("make a key with `counterfoil keygen --out FILE`, and send gas to its address")
    })
}

/// What to tell of a chain that has no answer.
pub(super) fn chain_failed(error: &ChainError) -> Failed {
    let detail = error.to_string();
    match error {
        ChainError::Unreachable { .. } => Failed::unreachable("NODE_UNREACHABLE", detail)
            .next("check rpc_url, and run the same command again"),
        ChainError::GasTooDear { .. } => Failed::refused("GAS_TOO_DEAR", detail)
            .next("run the same command later, or raise max_fee_gwei"),
        ChainError::WrongChain { .. } => Failed::refused("WRONG_CHAIN", detail),
        _ => Failed::refused("NODE_FAILED", detail).next("run the same command again"),
    }
}
