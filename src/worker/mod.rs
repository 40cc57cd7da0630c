//! Bounded loops over the service's verbs: what has to happen without anyone asking.
//!
//! Decides nothing and stores nothing; a round that fails is logged and the next one comes.

mod watcher;

use std::{future::Future, time::Duration};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

pub use watcher::watcher;

use crate::service::{Service, Unavailable};

const RECONCILE_EVERY: Duration = Duration::from_secs(2);
const RECHECK_EVERY: Duration = Duration::from_secs(2);
const SWEEP_EVERY: Duration = Duration::from_secs(10);
const WATCH_GAS_EVERY: Duration = Duration::from_secs(10);

/// Resolves open payments from the chain, until `stop`.
pub async fn reconciler(service: Service, stop: CancellationToken) {
    every(RECONCILE_EVERY, "reconciler", stop, || service.reconcile()).await;
}

/// Looks again at credited payments that a reorganization may still undo, until `stop`.
pub async fn rechecker(service: Service, stop: CancellationToken) {
    every(RECHECK_EVERY, "rechecker", stop, || service.recheck()).await;
}

/// Voids overdue holds, expires grants and drops old replies, until `stop`.
pub async fn sweeper(service: Service, stop: CancellationToken) {
    every(SWEEP_EVERY, "sweeper", stop, || service.sweep()).await;
}

/// Looks at what the relayers hold, until `stop`.
pub async fn gas_watcher(service: Service, stop: CancellationToken) {
    every(WATCH_GAS_EVERY, "gas watcher", stop, || service.watch_gas()).await;
}

async fn every<F>(
    period: Duration,
    worker: &'static str,
    stop: CancellationToken,
    round: impl Fn() -> F,
) where
    F: Future<Output = Result<(), Unavailable>>,
{
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = round().await {
            tracing::error!(worker, %error, "a round failed");
        }
    }
}
