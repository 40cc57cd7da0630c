//! From the configuration to a service.

use std::{num::NonZeroU32, time::Duration};

use tokio::task::JoinHandle;

use super::{ServeError, connections::ConnectionLimits};
use crate::{
    app::{
        authorization::{self, AuthorizationError},
        clock,
        config::{self, Config},
        keys::{self, Signing},
    },
    auth::SessionKey,
    base::{Credits, NetworkId},
    chain::{Asset, FacilitatorSettings, Network, NetworkSettings, RemoteSettings},
    http::HttpLimits,
    service::{Clock, Parts, Service, Settings, WatchSettings},
    store::{Store, StoreLimits},
    upstream::Upstream,
};

const BODY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn http_limits(config: &Config) -> HttpLimits {
    HttpLimits {
        request_bytes_max: config.limits.request_bytes_max,
        in_flight_max: config.limits.in_flight_max,
        payments_in_flight_max: config.limits.payments_in_flight_max,
        failed_signatures_per_minute: NonZeroU32::new(config.limits.failed_signatures_per_minute)
            .unwrap_or(NonZeroU32::MIN),
        body_timeout: BODY_TIMEOUT,
    }
}

pub(super) fn connection_limits(config: &Config) -> ConnectionLimits {
    ConnectionLimits {
        in_all_max: config.limits.connections_max,
        per_peer_max: config.limits.connections_per_peer_max,
        exempt: config.server.trusted_proxies.clone(),
    }
}

pub(super) async fn service(config: Config) -> Result<(Service, JoinHandle<()>), ServeError> {
    let networks = config
        .networks
        .iter()
        .map(network)
        .collect::<Result<_, _>>()?;
    let session_key = SessionKey::new(*keys::session_key(&config.keys_directory)?);
    let upstream = Upstream::new(config.limits.response_bytes_max)
        .map_err(|error| ServeError::Upstream(error.to_string()))?;
    let limits = StoreLimits {
        stored_replies_bytes_max: config.limits.stored_replies_bytes_max,
    };
    let (store, writer) = Store::open(&config.database_file, limits).await?;
    let parts = Parts {
        settings: settings(&config),
        store,
        networks,
        catalogue: config.catalogue,
        upstream,
        session_key,
        clock: Clock::new(clock::now),
    };
    Ok((Service::new(parts), writer))
}

fn settings(config: &Config) -> Settings {
    Settings {
        public_url: config.server.public_url.clone(),
        session_lifetime_seconds: config.session.lifetime_seconds,
        replay_seconds: config.session.replay_seconds,
        step: config.purchase.step,
        min: config.purchase.min,
        max: config.purchase.max,
        quote_seconds: config.purchase.quote_seconds.unsigned_abs(),
        settle_wait: config.purchase.settle_wait,
        refund_caps: config.networks.iter().filter_map(refund_cap).collect(),
        transfer_policy: config.purchase.transfer_policy.clone(),
        watch: config.networks.iter().map(watch).collect(),
    }
}

fn refund_cap(network: &config::Network) -> Option<(NetworkId, Credits)> {
    let refunds = network.refunds.as_ref()?;
    Some((network.id, refunds.cap))
}

fn watch(network: &config::Network) -> (NetworkId, WatchSettings) {
    let settings = WatchSettings {
        purchase_contract: network.purchase_contract,
        from_block: network.watch_from_block,
        reorg_blocks_max: network.reorg_blocks_max,
    };
    (network.id, settings)
}

fn network(config: &config::Network) -> Result<Network, ServeError> {
    let relayer_keys = config.relayer_keys.iter();
    let relayer_keys = relayer_keys.map(|file| keys::signing_key(file, Signing::Relayer));
    let float = config.refunds.as_ref();
    let float_key = float.map(|float| keys::signing_key(&float.key, Signing::Float));
    let settings = NetworkSettings {
        id: config.id,
        rpc_urls: config.rpc_urls.clone(),
        confirmations: config.confirmations,
        pay_to: config.pay_to,
        assets: config.assets.iter().map(asset).collect(),
        wallet_factories: config.wallet_factories.clone(),
        facilitators: facilitators(&config.facilitators)?,
        relayer_keys: relayer_keys.collect::<Result<_, _>>()?,
        max_fee_per_gas: config.max_fee_per_gas,
        low_settlements: config.relayer_low_settlements,
        float_key: float_key.transpose()?,
    };
    Network::new(settings).map_err(|error| ServeError::Network {
        network: config.id.to_string(),
        error,
    })
}

fn facilitators(
    config: &[config::Facilitator],
) -> Result<Vec<FacilitatorSettings>, AuthorizationError> {
    let facilitator = |config: &config::Facilitator| match config {
        config::Facilitator::Local => Ok(FacilitatorSettings::Local),
        config::Facilitator::Remote(remote) => {
            let authorization = match &remote.authorization {
                None => None,
                Some(config::Authorization::Value(value)) => Some(value.clone()),
                Some(config::Authorization::File(path)) => Some(authorization::read(path)?),
            };
            Ok(FacilitatorSettings::Remote(RemoteSettings {
                url: remote.url.clone(),
                authorization,
                timeout: remote.timeout,
            }))
        }
    };
    config.iter().map(facilitator).collect()
}

fn asset(config: &config::Asset) -> Asset {
    Asset {
        token: config.domain.asset.token,
        symbol: config.symbol.clone(),
        decimals: config.decimals,
        usd_rate: config.usd_rate,
        transfer_method: config.transfer_method,
        eip712_name: config.domain.name.clone(),
        eip712_version: config.domain.version.clone(),
    }
}
