//! When to leave a facilitator alone.

use std::time::{Duration, Instant};

/// So many requests that fail one after another open the breaker.
const FAILURES_TO_OPEN: u32 = 5;
/// How long nobody is sent to it then, and how long after a probe the next one goes.
const OPEN_FOR: Duration = Duration::from_secs(10);

/// Counts failures in a row. While it is open, one request every [`OPEN_FOR`] is let through as a
/// probe; its success closes it.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// Absent while it is closed.
    next_probe: Option<Instant>,
    probing: bool,
}

/// Where a breaker stands, as its metric tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BreakerState {
    Closed,
    HalfOpen,
    Open,
}

impl Breaker {
    /// Whether a request may go. A probe whose end nobody hears of is followed by another.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        match self.next_probe {
            None => true,
            Some(at) if now < at => false,
            Some(_) => {
                self.next_probe = Some(now + OPEN_FOR);
                self.probing = true;
                true
            }
        }
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(super) fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_TO_OPEN {
            self.next_probe = Some(now + OPEN_FOR);
            self.probing = false;
        }
    }

    pub(super) const fn state(&self) -> BreakerState {
        match (self.next_probe, self.probing) {
            (None, _) => BreakerState::Closed,
            (Some(_), true) => BreakerState::HalfOpen,
            (Some(_), false) => BreakerState::Open,
        }
    }
}

impl BreakerState {
    /// 0 closed, 1 half open, 2 open.
    pub(super) const fn gauge(self) -> f64 {
        match self {
            Self::Closed => 0.0,
            Self::HalfOpen => 1.0,
            Self::Open => 2.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: Duration = Duration::from_millis(9_999);

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_TO_OPEN {
            assert!(breaker.admits(now));
            assert_eq!(breaker.state(), BreakerState::Closed);
            breaker.failed(now);
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_success_closes_it() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            for _ in 1..FAILURES_TO_OPEN {
                breaker.failed(now);
            }
            breaker.succeeded();
        }
        assert!(breaker.admits(now));

        let mut breaker = opened(now);
        assert!(!breaker.admits(now + BEFORE));
        assert!(breaker.admits(now + OPEN_FOR));
        breaker.succeeded();
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert!(breaker.admits(now + OPEN_FOR));
        breaker.failed(now + OPEN_FOR);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn one_probe_goes_at_a_time_and_its_failure_opens_it_again() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let probe = now + OPEN_FOR;
        assert!(breaker.admits(probe));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert!(!breaker.admits(probe), "a second beside the probe");
        let failed = probe + Duration::from_secs(3);
        breaker.failed(failed);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(!breaker.admits(failed + BEFORE));
        assert!(breaker.admits(failed + OPEN_FOR));
        assert!(
            breaker.admits(failed + 2 * OPEN_FOR),
            "a probe that vanished is not the last"
        );
    }
}
