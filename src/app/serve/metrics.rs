//! `/metrics` on a listener of its own, for Prometheus.

use std::net::SocketAddr;

use axum::{Router, routing::get};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use thiserror::Error;
use tokio::net::TcpListener;

/// Upper bounds of the buckets for durations, in seconds.
const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

#[derive(Debug, Error)]
pub enum MetricsError {
    #[error("cannot listen on {address}: {error}")]
    Listen {
        address: SocketAddr,
        error: std::io::Error,
    },
    #[error("metrics cannot be collected: {0}")]
    Build(#[from] BuildError),
}

/// Begins to collect, and opens the listener.
pub(super) async fn open(address: SocketAddr) -> Result<(TcpListener, Router), MetricsError> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| MetricsError::Listen { address, error })?;
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()?;
    let render = move || {
        handle.run_upkeep();
        std::future::ready(handle.render())
    };
    Ok((listener, Router::new().route("/metrics", get(render))))
}
