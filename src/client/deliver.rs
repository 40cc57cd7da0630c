//! Sends the same bytes until they are answered.
//!
//! Everything that is sent here is safe to repeat: the service knows a signed call by its bytes
//! and a payment by its authorization (docs/PROTOCOL.md sections 1 and 3). So an answer that got lost
//! is asked for again, and nothing is ever signed anew.

use std::time::{Duration, Instant};

use super::{
    Client, ClientError,
    transport::{Outgoing, Reply, SendError},
};

const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long and how often the same bytes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For one request and its answer.
    pub request_timeout: Duration,
    /// No request is begun later than this after the first.
    pub total: Duration,
    /// The pause before the second request; it doubles from then on, up to 5 s. A longer
    /// `Retry-After` is honoured.
    pub first_pause: Duration,
    pub attempts_max: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(35),
            total: Duration::from_mins(2),
            first_pause: Duration::from_millis(200),
            attempts_max: 30,
        }
    }
}

impl Patience {
    /// The pause after so many attempts; `None` when it is time to give up.
    pub(super) fn pause(
        &self,
        attempts: u32,
        retry_after: Option<Duration>,
        elapsed: Duration,
    ) -> Option<Duration> {
        if attempts >= self.attempts_max {
            return None;
        }
        let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
        let backoff = self.first_pause.saturating_mul(doubled).min(PAUSE_MAX);
        let pause = backoff.max(retry_after.unwrap_or_default());
        (elapsed.saturating_add(pause) <= self.total).then_some(pause)
    }
}

/// A final answer.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) reply: Reply,
    /// An earlier request with the same bytes may have been acted on.
    pub(super) uncertain: bool,
}

/// No final answer came in time.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) cause: ClientError,
    /// The request may have been acted on.
    pub(super) uncertain: bool,
}

/// What an answer means for the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Final,
    /// The request was turned away.
    Again,
    /// The request may be running, or may have run.
    AgainUncertain,
}

impl Client {
    pub(super) async fn deliver(&self, request: &Outgoing) -> Result<Delivered, Failure> {
        self.deliver_until(request, judge).await
    }

    pub(super) async fn deliver_until(
        &self,
        request: &Outgoing,
        judge: fn(&Reply) -> Judgement,
    ) -> Result<Delivered, Failure> {
        let started = Instant::now();
        let mut uncertain = false;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (retry_after, cause) = match self.transport.send(request).await {
                Ok(reply) => match judge(&reply) {
                    Judgement::Final => return Ok(Delivered { reply, uncertain }),
                    judgement => {
                        uncertain |= judgement == Judgement::AgainUncertain;
                        (reply.retry_after, reply.into_error())
                    }
                },
                // Nobody is there, and nothing that was sent before needs an answer.
                Err(SendError::NotSent(reason)) if !uncertain => {
                    let cause = self.unreachable(reason);
                    return Err(Failure { cause, uncertain });
                }
                Err(SendError::NotSent(reason)) => (None, self.unreachable(reason)),
                Err(SendError::Broken(reason)) => {
                    uncertain = true;
                    (None, self.unreachable(reason))
                }
                Err(error @ SendError::TooLarge) => {
                    let (status, excerpt) = (None, String::new());
                    let reason = format!("It was answered, but {error}");
                    let cause = ClientError::Unexpected {
                        status,
                        reason,
                        excerpt,
                    };
                    return Err(Failure {
                        cause,
                        uncertain: true,
                    });
                }
            };
            match self
                .patience
                .pause(attempts, retry_after, started.elapsed())
            {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(Failure { cause, uncertain }),
            }
        }
    }

    fn unreachable(&self, reason: String) -> ClientError {
        ClientError::Unreachable {
            url: self.transport.base().to_owned(),
            reason,
        }
    }
}

/// The rule for everything but a direct call.
pub(super) fn judge(reply: &Reply) -> Judgement {
    let problem = reply.problem();
    let code = problem.as_ref().map(|problem| problem.code.as_str());
    match reply.status {
        429 => Judgement::Again,
        409 if code.is_some_and(|code| code.ends_with("IN_FLIGHT")) => Judgement::AgainUncertain,
        503 => {
            // A charge that was voided stays voided: the answer would be the same for ever.
            let told = problem.is_some_and(|problem| problem.rest.contains_key("charge_status"));
            if told {
                Judgement::Final
            } else {
                Judgement::AgainUncertain
            }
        }
        // Not the service's own words: a gateway in front of it could not reach it.
        502 | 504 if code.is_none() => Judgement::AgainUncertain,
        _ => Judgement::Final,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        request_timeout: Duration::from_secs(1),
        total: Duration::from_mins(1),
        first_pause: Duration::from_millis(200),
        attempts_max: 10,
    };

    #[test]
    fn pauses_double_up_to_a_bound() {
        let pauses: Vec<_> = (1..8)
            .map(|attempts| PATIENCE.pause(attempts, None, Duration::ZERO).unwrap())
            .map(|pause| pause.as_millis())
            .collect();
        assert_eq!(pauses, [200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    }

    #[test]
    fn retry_after_lengthens_a_pause_and_never_shortens_it() {
        let pause = |attempts, seconds| {
            let after = Some(Duration::from_secs(seconds));
            PATIENCE.pause(attempts, after, Duration::ZERO)
        };
        assert_eq!(pause(1, 0), Some(Duration::from_millis(200)));
        assert_eq!(pause(1, 7), Some(Duration::from_secs(7)));
        assert_eq!(pause(9, 1), Some(Duration::from_secs(5)));
    }

    #[test]
    fn gives_up_when_attempts_or_time_are_used_up() {
        assert!(PATIENCE.pause(9, None, Duration::ZERO).is_some());
        assert_eq!(PATIENCE.pause(10, None, Duration::ZERO), None);
        assert_eq!(PATIENCE.pause(1, None, PATIENCE.total), None);
        for seconds in [61, u64::MAX] {
            let after = Some(Duration::from_secs(seconds));
            assert_eq!(PATIENCE.pause(1, after, Duration::ZERO), None);
        }
    }
}
