//! `counterfoil serve`: wiring, start, and an orderly end.

mod admin;
mod connections;
mod metrics;
mod patience;
mod wiring;

use std::{io::Write as _, os::unix::ffi::OsStrExt, path::Path, time::Duration};

use axum::Router;
use sha2::{Digest, Sha256};

use thiserror::Error;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

pub(super) use admin::socket_path;

use super::{
    authorization::AuthorizationError,
    config::{self, Config, ConfigError},
    keys::KeyError,
    telemetry::{self, TelemetryError},
};
use crate::{
    chain::NetworkSettingsError,
    http,
    service::{Service, StartError},
    store::StoreError,
    worker,
};

/// Why the server did not start. Each message tells the operator what to do.
#[derive(Debug, Error)]
pub enum ServeError {
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Authorization(#[from] AuthorizationError),
    #[error("network {network}: {error}")]
    Network {
        network: String,
        error: NetworkSettingsError,
    },
    #[error("database.url: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the HTTP client for tools cannot start: {0}")]
    Upstream(String),
    #[error("server.listen: cannot listen on {address}: {error}")]
    Listen {
        address: std::net::SocketAddr,
        error: std::io::Error,
    },
    #[error("server.metrics_listen: {0}")]
    Metrics(metrics::MetricsError),
    #[error(transparent)]
    Admin(#[from] admin::AdminError),
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When the server cannot start.
pub async fn run(path: &Path) -> Result<(), ServeError> {
    telemetry::init(telemetry::SERVICE_FILTER)?;
    let config = config::load(path)?;
    let shutdown = config.server.shutdown;
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;

    let running = Running::start(config).await?;
    {
        let mut output = std::io::stdout();
        // Whoever started the server may have closed the pipe; it serves all the same.
        drop(writeln!(output, "listening on {}", running.address).and_then(|()| output.flush()));
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    running.stop(shutdown).await;
    Ok(())
}

/// The operator's verbs on the books of a service that does not run.
pub(super) struct Books {
    router: Router,
    writer: JoinHandle<()>,
}

impl Books {
    /// Opens the books alone: nothing that a dead process left is resolved.
    pub(super) async fn open(config: Config) -> Result<Self, ServeError> {
        let database = database_name(&config.database_file);
        let (service, writer) = wiring::service(config).await?;
        let router = http::admin_router(service, &database);
        Ok(Self { router, writer })
    }

    pub(super) fn router(&self) -> Router {
        self.router.clone()
    }

    /// Returns when all that was written is durable and the books are closed.
    pub(super) async fn close(self) {
        drop(self.router);
        drop(self.writer.await);
    }
}

/// What the operator's requests call a database.
pub(super) fn database_name(file: &Path) -> String {
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    hex::encode(Sha256::digest(file.as_os_str().as_bytes()))
}

/// A server that takes requests.
pub struct Running {
    pub address: std::net::SocketAddr,
    service: Service,
    stop: CancellationToken,
    connections: JoinHandle<()>,
    workers: Vec<JoinHandle<()>>,
    writer: JoinHandle<()>,
}

impl Running {
    /// Opens the books, resolves what a crash left behind, and listens.
    ///
    /// # Errors
    /// When serving would be wrong.
    pub async fn start(config: Config) -> Result<Self, ServeError> {
        let metrics = match config.server.metrics_listen {
            Some(listen) => Some(metrics::open(listen).await.map_err(ServeError::Metrics)?),
            None => None,
        };
        let (listen, limits) = (config.server.listen, wiring::http_limits(&config));
        let connection_limits = wiring::connection_limits(&config);
        let trusted_proxies = config.server.trusted_proxies.clone();
        // A port that is taken must not cost the holds of the server that has it.
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|error| ServeError::Listen {
                address: listen,
                error,
            })?;
        let address = listener.local_addr().map_err(|error| ServeError::Listen {
            address: listen,
            error,
        })?;
        let keys_directory = config.keys_directory.clone();
        let database_file = config.database_file.clone();
        let (service, writer) = wiring::service(config).await?;
        service.start().await?;
        let admin_socket = admin::AdminSocket::open(&keys_directory).await?;

        let stop = CancellationToken::new();
        let mut workers = vec![
            tokio::spawn(worker::reconciler(service.clone(), stop.clone())),
            tokio::spawn(worker::rechecker(service.clone(), stop.clone())),
            tokio::spawn(worker::sweeper(service.clone(), stop.clone())),
            tokio::spawn(worker::gas_watcher(service.clone(), stop.clone())),
        ];
        for network in service.network_ids() {
            workers.push(tokio::spawn(worker::watcher(
                service.clone(),
                network,
                stop.clone(),
            )));
        }
        if let Some(socket) = admin_socket {
            let router = http::admin_router(service.clone(), &database_name(&database_file));
            workers.push(tokio::spawn(socket.serve(router, stop.clone())));
        }
        if let Some((listener, router)) = metrics {
            workers.push(tokio::spawn(connections::serve(
                listener,
                router,
                connection_limits.clone(),
                stop.clone(),
            )));
        }
        let router = http::router(service.clone(), limits, &trusted_proxies);
        let connections = tokio::spawn(connections::serve(
            listener,
            router,
            connection_limits,
            stop.clone(),
        ));
        tracing::info!(%address, "listening");
        Ok(Self {
            address,
            service,
            stop,
            connections,
            workers,
            writer,
        })
    }

    /// Takes no more requests, lets what runs end within `limit`, and closes the books.
    pub async fn stop(self, limit: Duration) {
        tracing::info!("stopping");
        self.stop.cancel();
        self.service.stop();
        let Self {
            service,
            connections,
            workers,
            writer,
            ..
        } = self;
        let ended = timeout(limit, async {
            drop(connections.await);
            for worker in workers {
                drop(worker.await);
            }
            service.tasks().wait().await;
            drop(service);
            // The last handle on the store is gone, so the writer ends once its queue is empty.
            drop(writer.await);
        });
        if ended.await.is_err() {
            tracing::warn!("stopped before everything had ended; the next start resolves the rest");
        }
    }
}
