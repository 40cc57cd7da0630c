//! A budget of failures for each client. To recover a signer and to ask the chain about a payment
//! are the dearest things that a stranger can make the service do, so who fails too often is not
//! tried again for a while.

use std::{
    net::IpAddr,
    num::{NonZeroU32, NonZeroUsize},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use lru::LruCache;

use super::{House, peer::network_of, problem::Problem};

/// Peers that are remembered; the one not seen for longest is forgotten first.
const PEERS_MAX: NonZeroUsize = NonZeroUsize::new(100_000).expect("is not zero");
const WINDOW: Duration = Duration::from_mins(1);

pub(super) struct FailureBudget {
    per_minute: u32,
    peers: Mutex<LruCache<IpAddr, Window>>,
}

#[derive(Clone, Copy)]
struct Window {
    began: Instant,
    failures: u32,
}

impl FailureBudget {
    pub(super) fn new(per_minute: NonZeroU32) -> Self {
        Self {
            per_minute: per_minute.get(),
            peers: Mutex::new(LruCache::new(PEERS_MAX)),
        }
    }

    /// How long a peer must wait before another signature of its is looked at.
    pub(super) fn wait(&self, peer: IpAddr, now: Instant) -> Option<Duration> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let window = peers.get(&network_of(peer))?;
        let left = WINDOW.checked_sub(now.duration_since(window.began))?;
        (window.failures >= self.per_minute && !left.is_zero()).then_some(left)
    }

    pub(super) fn record(&self, peer: IpAddr, now: Instant) {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Window {
            began: now,
            failures: 0,
        };
        let window = peers.get_or_insert_mut(network_of(peer), || fresh);
        if now.duration_since(window.began) >= WINDOW {
            *window = fresh;
        }
        window.failures = window.failures.saturating_add(1);
    }

    pub(super) fn forgive(&self, peer: IpAddr) {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = peers.get_mut(&network_of(peer)) {
            window.failures = window.failures.saturating_sub(1);
        }
    }
}

impl House {
    /// Refuses a client that failed too often.
    pub(super) fn check_failures(&self, client: IpAddr) -> Result<(), Problem> {
        let Some(wait) = self.failures.wait(client, Instant::now()) else {
            return Ok(());
        };
        let seconds = u16::try_from(wait.as_secs() + 1).unwrap_or(u16::MAX);
        let detail =
            format!("too many signatures or payments were refused; wait {seconds} seconds");
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", detail);
        Err(problem.retry_after(seconds))
    }

    /// Counts a signature that did not verify, or a payment that was refused: each payment costs
    /// several questions to the chain, whatever is wrong with it.
    pub(super) fn count_failure(&self, client: IpAddr) {
        self.failures.record(client, Instant::now());
    }

    /// Takes back what was counted before the work, which then turned out to be none.
    pub(super) fn forgive_failure(&self, client: IpAddr) {
        self.failures.forgive(client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_waits_once_its_budget_is_spent_and_only_that_peer() {
        let budget = FailureBudget::new(NonZeroU32::new(2).unwrap());
        let start = Instant::now();
        let [peer, other]: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        budget.record(peer, start);
        assert_eq!(budget.wait(peer, start), None);
        budget.record(peer, start);
        assert_eq!(budget.wait(peer, start), Some(WINDOW));
        assert_eq!(budget.wait(other, start), None);
        let later = start + WINDOW;
        assert_eq!(budget.wait(peer, later), None, "the window is over");
        budget.record(peer, later);
        assert_eq!(budget.wait(peer, later), None, "a new window begins");
    }

    #[test]
    fn what_is_forgiven_does_not_count() {
        let budget = FailureBudget::new(NonZeroU32::MIN);
        let (peer, now) = ("10.0.0.1".parse().unwrap(), Instant::now());
        budget.forgive(peer);
        budget.record(peer, now);
        assert!(budget.wait(peer, now).is_some());
        budget.forgive(peer);
        assert_eq!(budget.wait(peer, now), None);
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_budget() {
        let budget = FailureBudget::new(NonZeroU32::MIN);
        let now = Instant::now();
        budget.record("2001:db8::1".parse().unwrap(), now);
        assert!(budget.wait("2001:db8::2".parse().unwrap(), now).is_some());
        assert!(
            budget
                .wait("2001:db8:0:1::1".parse().unwrap(), now)
                .is_none()
        );
        budget.record("::ffff:10.0.0.1".parse().unwrap(), now);
        assert!(budget.wait("10.0.0.1".parse().unwrap(), now).is_some());
    }
}
