//! Has a payment settled: here, or by a facilitator elsewhere, and if one does not, by the next.
//!
//! A facilitator is asked in a task of its own, so that nobody waits for its answer: the facts on the
//! chain are looked at meanwhile, and they alone decide. Until they do, the same request goes out
//! again, less and less often.

use alloy::primitives::{Address, B256};

use super::{
    Service, Unavailable, locked,
    settle::{Progress, waits},
};
use crate::{
    base::{PurchaseId, Timestamp},
    chain::{Answer, Facilitator, FacilitatorError, Network, Remote},
    payment::{Authorization, SignedAuthorization},
    store::{Payment, RequestSettlement, SettlementNote, SettlementRequests},
    x402::{PaymentRequirements, SettleRequest},
};

/// How long after a request the next one goes out; doubled each time.
const ASK_AGAIN_AFTER_MS: i64 = 3_000;
/// The same where a facilitator named a transaction: it may be waiting for its block.
const MINED_AFTER_MS: i64 = 15_000;
const ASK_AT_LEAST_EVERY_MS: i64 = 60_000;
/// So long before its end, and for ever after, a payment may fail for want of time alone.
const ENDING_MS: i64 = 10_000;

/// Whether the next facilitator is to be asked.
enum Asked {
    Done,
    InVain,
}

impl Service {
    /// Settles, or begins to have it done, if the chain would take the payment. One that was asked for
    /// already is asked for again only when it is time.
    pub(super) async fn facilitate(
        &self,
        network: &Network,
        payment: &Payment,
        authorization: &SignedAuthorization,
    ) -> Result<Progress, Unavailable> {
        let facilitators = network.facilitators();
        if let [Facilitator::Local] = facilitators {
            return self.settle(network, payment, authorization).await;
        }
        if locked(&self.0.asking).contains(&payment.id) {
            return Ok(Progress::Waiting);
        }
        let requests = self.store().settlement_requests(payment.id).await?;
        if requests.is_some_and(|requests| self.now() < next_at(&requests)) {
            return Ok(Progress::Waiting);
        }
        // Whoever sends it: the token does not ask.
        let simulated = self.simulate(network, Address::ZERO, payment, authorization);
        if let Err(progress) = simulated.await? {
            return Ok(progress);
        }
        let round = Round {
            service: self.clone(),
            network: network.clone(),
            payment: payment.clone(),
            authorization: authorization.clone(),
            body: self.settle_request(network, payment, authorization),
        };
        // One that answered, and did not settle, is not asked again before the others were.
        let first = requests.map_or(0, |requests| requests.count as usize) % facilitators.len();
        if locked(&self.0.asking).insert(payment.id) {
            let asking = Asking(self.clone(), payment.id);
            self.0.tasks.spawn(async move {
                round.run(first).await;
                drop(asking);
            });
        }
        Ok(Progress::Waiting)
    }

    /// The request for `/settle`, from what is stored alone: the same bytes each time. `None` when the
    /// asset is not configured any more.
    fn settle_request(
        &self,
        network: &Network,
        payment: &Payment,
        authorization: &SignedAuthorization,
    ) -> Option<Vec<u8>> {
        let mut assets = network.assets().iter();
        let asset = assets.find(|asset| asset.token == payment.asset.token)?;
        let SignedAuthorization { terms, signature } = authorization;
        let requirements = PaymentRequirements::exact(
            &network.domain(asset),
            terms.method,
            terms.to,
            terms.value,
            self.settings().quote_seconds,
        );
        let mut signature = signature.clone();
        // Tokens know 27 and 28 only; signers also write 0 and 1.
        if let [_, .., v @ (0 | 1)] = signature.as_mut_slice()
            && authorization.signature.len() == 65
        {
            *v += 27;
        }
        serde_json::to_vec(&SettleRequest::new(requirements, terms, &signature)).ok()
    }

    /// Where a facilitator says that the payment is, or else the transaction that was sent for it here.
    pub(super) async fn hint(
        &self,
        network: &Network,
        payment: &Payment,
    ) -> Result<Option<B256>, Unavailable> {
        if payment.transaction.is_some() || !asks_elsewhere(network) {
            return Ok(payment.transaction);
        }
        let requests = self.store().settlement_requests(payment.id).await?;
        Ok(requests.and_then(|requests| requests.hint))
    }

    /// Remembers that the chain would refuse a payment which a facilitator was asked to settle while
    /// there was time: so it is not the facilitator's fault alone if it never comes.
    pub(super) async fn note_refusal(
        &self,
        network: &Network,
        payment: PurchaseId,
        terms: &Authorization,
    ) -> Result<(), Unavailable> {
        if !asks_elsewhere(network) || self.now() >= terms.expires_at().plus_millis(-ENDING_MS) {
            return Ok(());
        }
        let requests = self.store().settlement_requests(payment).await?;
        if requests.is_some_and(|requests| !requests.would_fail) {
            let note = SettlementNote::WouldFail;
            self.store().note_settlement(payment, note).await?;
        }
        Ok(())
    }
}

fn asks_elsewhere(network: &Network) -> bool {
    let mut facilitators = network.facilitators().iter();
    facilitators.any(|facilitator| matches!(facilitator, Facilitator::Remote(_)))
}

fn next_at(requests: &SettlementRequests) -> Timestamp {
    let doublings = requests.count.saturating_sub(1).min(16);
    let first_ms = match requests.hint {
        Some(_) => MINED_AFTER_MS,
        None => ASK_AGAIN_AFTER_MS,
    };
    let pause_ms = (first_ms << doublings).min(ASK_AT_LEAST_EVERY_MS);
    requests.last_at.plus_millis(pause_ms)
}

/// One turn through the facilitators for one payment.
struct Round {
    service: Service,
    network: Network,
    payment: Payment,
    authorization: SignedAuthorization,
    body: Option<Vec<u8>>,
}

impl Round {
    /// Asks from the `first` on until one answers, or sends here.
    async fn run(&self, first: usize) {
        let (before, from) = self.network.facilitators().split_at(first);
        for facilitator in from.iter().chain(before) {
            let asked = match facilitator {
                Facilitator::Local => self.settle_here().await,
                Facilitator::Remote(remote) => self.ask(remote).await,
            };
            match asked {
                Ok(Asked::Done) => return,
                Ok(Asked::InVain) => {}
                Err(error) => waits(self.payment.id, &error),
            }
        }
    }

    async fn settle_here(&self) -> Result<Asked, Unavailable> {
        let Self {
            service,
            network,
            payment,
            authorization,
            ..
        } = self;
        let used_up = service.attempts_are_used_up(network, payment, authorization);
        if used_up.await? {
            return Ok(Asked::InVain);
        }
        service.settle(network, payment, authorization).await?;
        Ok(Asked::Done)
    }

    async fn ask(&self, remote: &Remote) -> Result<Asked, Unavailable> {
        let (service, payment) = (&self.service, self.payment.id);
        let Some(body) = &self.body else {
            tracing::warn!(?payment, token = %self.payment.asset.token, "a payment's asset is not configured any more: no facilitator can be asked");
            return Ok(Asked::InVain);
        };
        let Some(turn) = remote.turn() else {
            return Ok(Asked::InVain);
        };
        let request = RequestSettlement {
            payment,
            facilitator: remote.name().to_owned(),
            now: service.now(),
        };
        if !service.store().request_settlement(request).await? {
            return Ok(Asked::Done);
        }
        // Stored. A crash here, or a lost answer below, is found from the authorization's nonce; while
        // that is unused, the same request goes out again.
        let answer = tokio::select! {
            answer = turn.settle(body.clone()) => answer,
            () = service.0.stop.cancelled() => return Ok(Asked::Done),
        };
        self.hear(remote, answer).await
    }

    /// Nothing is decided by it.
    async fn hear(
        &self,
        remote: &Remote,
        answer: Result<Answer, FacilitatorError>,
    ) -> Result<Asked, Unavailable> {
        let (service, payment) = (&self.service, self.payment.id);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(?payment, %error, "a facilitator failed");
                return Ok(Asked::InVain);
            }
        };
        let Answer {
            success,
            transaction,
            reason,
        } = answer;
        let facilitator = remote.name();
        if success {
            tracing::info!(
                ?payment,
                facilitator,
                ?transaction,
                "a facilitator says that it settled"
            );
        } else {
            let reason = reason.as_deref().unwrap_or("no reason");
            tracing::warn!(
                ?payment,
                facilitator,
                ?transaction,
                reason,
                "a facilitator says that it did not settle"
            );
        }
        if let Some(hint) = transaction {
            let note = SettlementNote::Hint(hint);
            service.store().note_settlement(payment, note).await?;
        }
        Ok(Asked::Done)
    }
}

/// Takes a payment off the list of those that are asked for, also when the task panics.
struct Asking(Service, PurchaseId);

impl Drop for Asking {
    fn drop(&mut self) {
        locked(&self.0.0.asking).remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_less_and_less_often() {
        let pause = |count, hint| {
            let requests = SettlementRequests {
                count,
                last_at: Timestamp::from_millis(1_000),
                hint,
                would_fail: false,
            };
            next_at(&requests).millis() - 1_000
        };
        let unnamed = [1, 2, 3, 4, 5, 6, u32::MAX].map(|count| pause(count, None));
        assert_eq!(
            unnamed,
            [3_000, 6_000, 12_000, 24_000, 48_000, 60_000, 60_000]
        );
        let named = [1, 2, 3, 4].map(|count| pause(count, Some(B256::ZERO)));
        assert_eq!(named, [15_000, 30_000, 60_000, 60_000]);
    }
}
