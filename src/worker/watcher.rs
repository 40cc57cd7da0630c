//! Follows one network, for as long as the service runs.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    base::NetworkId,
    service::{Service, WatchRound},
};

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A network that cannot be watched is tried less and less often, down to this.
const RETRY_EVERY_MAX: Duration = Duration::from_secs(15);

/// Reads what arrives on a network, until `stop`.
pub async fn watcher(service: Service, network: NetworkId, stop: CancellationToken) {
    let mut failures: u32 = 0;
    loop {
        let round = tokio::select! {
            round = service.watch(network) => round,
            () = stop.cancelled() => return,
        };
        let pause = match round {
            Ok(round) => {
                if failures > 0 {
                    tracing::info!(%network, failures, "the network is watched again");
                }
                failures = 0;
                match round {
                    WatchRound::More => Duration::ZERO,
                    WatchRound::UpToDate => LOOK_EVERY,
                }
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                metrics::counter!("watcher_errors_total", "network" => network.to_string())
                    .increment(1);
                tracing::warn!(%network, failures, %error, "the network cannot be watched; nothing is lost, it is read later");
                LOOK_EVERY.saturating_mul(failures).min(RETRY_EVERY_MAX)
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}
