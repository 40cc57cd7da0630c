//! The operator's door: a Unix socket beside the keys, for the account that runs the service.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use thiserror::Error;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The socket's name in `keys.directory`.
const SOCKET_FILE: &str = "admin.sock";
/// How many operators may be served at once.
const CONNECTIONS_MAX: usize = 16;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait when the machine has no more sockets to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const ROOT: u32 = 0;

/// Why the server must not start.
#[derive(Debug, Error)]
pub enum AdminError {
    #[error(
        "keys.directory: another service listens on {}; each service needs a directory of its own",
        path.display()
    )]
    Taken { path: PathBuf },
}

/// Where the service listens for its operator.
pub(super) struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
    /// The account that runs the service.
    owner: u32,
}

/// The socket of the service whose keys are in `directory`.
pub(in crate::app) fn socket_path(directory: &Path) -> PathBuf {
    directory.join(SOCKET_FILE)
}

impl AdminSocket {
    /// Takes the place of a socket that a dead process left. Where no socket can be made, as in a
    /// directory that is read only, the service goes on without: agents need it more than the
    /// operator, who can still stop it and work on its books.
    pub(super) async fn open(directory: &Path) -> Result<Option<Self>, AdminError> {
        let path = socket_path(directory);
        match Self::bind(&path).await {
            Ok(socket) => Ok(Some(socket)),
            Err(error) if error.kind() == ErrorKind::AddrInUse => Err(AdminError::Taken { path }),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "`counterfoil admin` works only while the service is stopped: its socket cannot be made");
                Ok(None)
            }
        }
    }

    async fn bind(path: &Path) -> io::Result<Self> {
        match UnixStream::connect(path).await {
            Ok(_) => return Err(ErrorKind::AddrInUse.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => remove_stale(path)?,
            Err(error) => return Err(error),
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            owner: fs::metadata(path)?.uid(),
        })
    }

    /// Serves until `stop`, then lets open requests end.
    pub(super) async fn serve(self, router: Router, stop: CancellationToken) {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&places) => accepted,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok(Some((stream, place))) => spawn(stream, place, router.clone(), &graceful),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections of the operator");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Before the listener goes: whoever finds the file finds somebody there, or nobody at all.
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the operator's socket is left behind");
        }
        drop(self.listener);
        graceful.shutdown().await;
    }

    /// The next connection of somebody who may come in.
    async fn accept(
        &self,
        places: &Arc<Semaphore>,
    ) -> io::Result<Option<(UnixStream, OwnedSemaphorePermit)>> {
        let place = Arc::clone(places).acquire_owned().await;
        let place = place.map_err(io::Error::other)?;
        let (stream, _) = self.listener.accept().await?;
        // The file's mode says the same, except on systems that do not look at it, and for the
        // moment before it is set.
        let peer = stream.peer_cred()?.uid();
        if peer != self.owner && peer != ROOT {
            tracing::warn!(peer, "another account knocks at the operator's door");
            return Ok(None);
        }
        Ok(Some((stream, place)))
    }
}

fn remove_stale(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::other("something else has that name"));
    }
    fs::remove_file(path)
}

fn spawn(
    stream: UnixStream,
    place: OwnedSemaphorePermit,
    router: Router,
    graceful: &GracefulShutdown,
) {
    let service = service_fn(move |request| router.clone().oneshot(request));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection of the operator's ended badly");
        }
        drop(place);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_of_a_dead_process_is_replaced_and_one_of_a_living_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let first = AdminSocket::open(directory.path()).await.unwrap().unwrap();
        let mode = fs::metadata(&first.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let taken = AdminSocket::open(directory.path()).await;
        assert!(matches!(taken, Err(AdminError::Taken { .. })));
        drop(first.listener);
        assert!(first.path.exists());
        let second = AdminSocket::open(directory.path()).await.unwrap().unwrap();
        let stop = CancellationToken::new();
        stop.cancel();
        let path = second.path.clone();
        second.serve(Router::new(), stop).await;
        assert!(!path.exists(), "it is removed at the end");
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = socket_path(directory.path());
        fs::write(&path, "mine").unwrap();
        assert!(AdminSocket::open(directory.path()).await.unwrap().is_none());
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
