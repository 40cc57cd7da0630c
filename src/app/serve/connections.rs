//! The accept loop: connections that are bounded in number and in time, and drained at the end.

use std::{
    collections::HashMap,
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{Router, extract::ConnectInfo, extract::Request};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::patience::Patience;
use crate::http;

/// How long a client may take to send the head of a request, or to begin another.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to read an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
/// The largest head of a request.
const HEAD_BYTES_MAX: usize = 128 * 1024;
/// How long to wait when the machine has no more sockets to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many connections may be open.
#[derive(Clone, Debug)]
pub(super) struct ConnectionLimits {
    pub(super) in_all_max: usize,
    /// From one address, or one /64 of IPv6.
    pub(super) per_peer_max: usize,
    /// Addresses that many come from.
    pub(super) exempt: Vec<IpAddr>,
}

/// Serves until `stop`, then lets open requests end.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    stop: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    let open = Arc::new(Open::default());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => match open.admit(peer.ip(), &limits) {
                Some(admitted) => spawn(stream, peer, admitted, router.clone(), &graceful),
                // Closed at once: to let it wait would keep the next ones out too.
                None => metrics::counter!("connections_refused_total").increment(1),
            },
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

fn is_of_one_connection(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
    )
}

fn spawn(
    stream: TcpStream,
    peer: SocketAddr,
    admitted: Admitted,
    router: Router,
    graceful: &GracefulShutdown,
) {
    // Answers are small and waited for.
    drop(stream.set_nodelay(true));
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let stream = TokioIo::new(Patience::new(stream, ANSWER_TIMEOUT));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(stream, service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended badly");
        }
        drop(admitted);
    });
}

/// The connections that are open.
#[derive(Default)]
struct Open(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    in_all: usize,
    /// Without those that have none.
    by_peer: HashMap<IpAddr, usize>,
}

/// An open connection, until it is dropped.
struct Admitted {
    open: Arc<Open>,
    peer: IpAddr,
}

impl Open {
    fn admit(self: &Arc<Self>, peer: IpAddr, limits: &ConnectionLimits) -> Option<Admitted> {
        let exempt = http::is_trusted(peer, &limits.exempt);
        let peer = http::network_of(peer);
        let mut counts = self.counts();
        let of_peer = counts.by_peer.get(&peer).copied().unwrap_or_default();
        if counts.in_all >= limits.in_all_max || (of_peer >= limits.per_peer_max && !exempt) {
            return None;
        }
        counts.in_all += 1;
        counts.by_peer.insert(peer, of_peer + 1);
        let open = Arc::clone(self);
        Some(Admitted { open, peer })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = self.open.counts();
        counts.in_all -= 1;
        if let Some(of_peer) = counts.by_peer.get_mut(&self.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                counts.by_peer.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_bounded_in_all_and_for_each_peer() {
        let [peer, neighbour, other, proxy]: [IpAddr; 4] =
            ["2001:db8::1", "2001:db8::2", "192.0.2.1", "127.0.0.1"].map(|it| it.parse().unwrap());
        let limits = ConnectionLimits {
            in_all_max: 5,
            per_peer_max: 2,
            exempt: vec![proxy],
        };
        let open = Arc::new(Open::default());
        let admit = |peer| open.admit(peer, &limits);
        let first = admit(peer).unwrap();
        let second = admit(neighbour).unwrap();
        assert!(admit(peer).is_none(), "one /64 is one peer");
        let third = admit(other).unwrap();
        drop(first);
        let again = admit(peer).unwrap();
        assert!(admit(peer).is_none());
        let proxied = [admit(proxy).unwrap(), admit(proxy).unwrap()];
        assert!(admit(proxy).is_none(), "five are open");
        drop(second);
        let last = admit(proxy).expect("a proxy may have more than others");
        drop((third, again, proxied, last));
        let counts = open.counts();
        assert_eq!((counts.in_all, counts.by_peer.len()), (0, 0));
    }
}
