//! Drives a payment to its end: look at the facts, decide, persist, act, again.
//!
//! Any number of tasks and processes may drive one payment: each step is conditional on the state
//! in the books, and the transaction to send is signed once.

use std::time::Duration;

use alloy::primitives::Address;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Reason, Service, Unavailable, locked, relay::to_store};
use crate::{
    base::{AgentAddress, PurchaseId},
    chain::{Network, Relayer, SimulationError},
    payment::{
        AuthorizationFact, Failure, PaymentState, PaymentWay, SignedAuthorization, Step, next_step,
    },
    store::{FAILED_LATELY_MAX, GiveUp, Payment, Purpose, StoreSettlement, StoredSettlement},
};

/// How long after a look the next one comes: soon at first, then less and less often.
const FIRST_LOOK_AFTER: Duration = Duration::from_millis(50);
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(2);
/// How long a task of its own follows a payment; the reconciler goes on more slowly.
const FOLLOW_FOR: Duration = Duration::from_mins(1);
/// A settlement that was mined and reverted is tried again so often, as long as it would succeed.
const ATTEMPTS_MAX: u32 = 3;
/// A contract wallet can make a settlement fail that would succeed, at the relayer's cost.
const WALLET_ATTEMPTS_MAX: u32 = 1;
/// Waiters look at the books this often even if nobody tells them of a change.
const WAITERS_LOOK_EVERY: Duration = Duration::from_millis(500);

impl Service {
    /// Drives a payment in a task of its own, unless one does already.
    pub(super) fn drive_detached(&self, id: PurchaseId) {
        let service = self.clone();
        self.0.tasks.spawn(async move { service.drive(id).await });
    }

    /// Drives a payment until it is settled, the service stops, or patience runs out.
    pub(super) async fn drive(&self, id: PurchaseId) {
        if !locked(&self.0.driven).insert(id) {
            return;
        }
        let _driven = Driven { service: self, id };
        let give_up_at = Instant::now() + FOLLOW_FOR;
        let mut pause = FIRST_LOOK_AFTER;
        while Instant::now() < give_up_at && !self.0.stop.is_cancelled() {
            match self.advance(id).await {
                Ok(Progress::Settled) => return,
                Ok(Progress::Moved) => continue,
                Ok(Progress::Waiting) => {}
                Err(error) => waits(id, &error),
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = self.0.stop.cancelled() => {}
            }
            pause = (pause * 3 / 2).min(LOOK_AT_LEAST_EVERY);
        }
    }

    /// One look and one step.
    pub(super) async fn advance(&self, id: PurchaseId) -> Result<Progress, Unavailable> {
        let Some(payment) = self.store().payment(id).await? else {
            return Ok(Progress::Settled);
        };
        let refused = payment.state == PaymentState::Refused;
        if payment.state.is_settled() && !refused {
            return Ok(Progress::Settled);
        }
        let Some(network) = self.network(payment.asset.network) else {
            // The operator took the network out of the configuration; the state is durable.
            return Ok(Progress::Settled);
        };
        let Some(authorization) = &payment.authorization else {
            return self.await_transfer(network, &payment).await;
        };
        let fact = self.look(network, &payment, authorization).await?;
        match next_step(payment.state, &authorization.terms, fact) {
            None => Ok(Progress::Settled),
            // Nobody waits for what was refused; it is looked at again once it has run out.
            Some(Step::Wait) if refused => Ok(Progress::Settled),
            Some(Step::Wait) => Ok(Progress::Waiting),
            Some(Step::Settle) => self.facilitate(network, &payment, authorization).await,
            Some(Step::Resend) => self.resend(network, &payment, authorization).await,
            Some(Step::Credit(at)) => {
                self.credit(id, at).await?;
                Ok(Progress::Moved)
            }
            Some(Step::Fail(failure)) => {
                let reason = match failure {
                    Failure::Cancelled { .. } => Reason::Cancelled,
                    Failure::SpentElsewhere { .. } => Reason::SpentElsewhere,
                };
                self.give_up(id, PaymentState::Failed, reason).await
            }
            Some(Step::Expire) => {
                if payment.way == PaymentWay::Direct
                    && let Some(open) = self.store().open_transaction(Purpose::Payment(id)).await?
                    // Whether it was mined, and failed, tells whose fault it is; without an answer
                    // it is not the payer's.
                    && let Err(error) = self.tend(network, &open).await
                {
                    waits(id, &error);
                }
                self.give_up(id, PaymentState::Expired, Reason::Expired)
                    .await
            }
        }
    }

    pub(super) async fn give_up(
        &self,
        payment: PurchaseId,
        state: PaymentState,
        reason: Reason,
    ) -> Result<Progress, Unavailable> {
        let give_up = GiveUp {
            payment,
            state,
            reason: reason.as_str(),
            now: self.now(),
        };
        self.store().give_up(give_up).await?;
        Ok(Progress::Moved)
    }

    /// Settles here, by the first relayer that can pay for it.
    pub(super) async fn settle(
        &self,
        network: &Network,
        payment: &Payment,
        authorization: &SignedAuthorization,
    ) -> Result<Progress, Unavailable> {
        let (mut short, mut needed_gwei) = (Vec::new(), u64::MAX);
        for relayer in self.relayers(network).await? {
            let settled = self.settle_by(network, relayer, payment, authorization);
            match settled.await? {
                Tried::Progress(progress) => return Ok(progress),
                Tried::Short {
                    needed_gwei: needed,
                } => {
                    short.push(relayer.address());
                    needed_gwei = needed_gwei.min(needed);
                }
            }
        }
        Err(Unavailable::ShortOfGas {
            network: network.id(),
            relayers: short,
            needed_gwei,
        })
    }

    /// Signs, stores, sends: in this order.
    async fn settle_by(
        &self,
        network: &Network,
        relayer: &Relayer,
        payment: &Payment,
        authorization: &SignedAuthorization,
    ) -> Result<Tried, Unavailable> {
        let address = relayer.address();
        let simulated = self.simulate(network, address, payment, authorization);
        let gas_limit = match simulated.await? {
            Ok(gas_limit) => gas_limit,
            Err(progress) => return Ok(Tried::Progress(progress)),
        };
        let used_up = self.attempts_are_used_up(network, payment, authorization);
        if used_up.await? {
            return Ok(Tried::Progress(Progress::Waiting));
        }
        let fees = network.gas_price().await?.fees;
        let funds = network.gas_funds(address).await?;
        let call = network.settlement(payment.asset.token, authorization);
        let by = relayer.clone();
        let settlement = StoreSettlement {
            purpose: Purpose::Payment(payment.id),
            chain_id: network.id().chain_id(),
            relayer: address,
            chain_nonce: funds.next_nonce,
            balance_gwei: funds.balance_gwei,
            sign: Box::new(move |nonce| to_store(by.sign_call(&call, nonce, fees, gas_limit))),
            now: self.now(),
        };
        let stored = self.store().store_settlement(settlement).await?;
        self.note_gas(network.id(), address, &stored);
        match stored {
            StoredSettlement::Moved => Ok(Tried::Progress(Progress::Moved)),
            StoredSettlement::Short { needed_gwei } => Ok(Tried::Short { needed_gwei }),
            StoredSettlement::Signed(signed) => {
                // Stored. A crash here, or a lost answer below, is found from the authorization's
                // nonce; the same bytes are sent again until the chain knows them.
                self.broadcast(network, &signed).await;
                Ok(Tried::Progress(Progress::Waiting))
            }
        }
    }

    /// Whether enough was tried here for one payment.
    pub(super) async fn attempts_are_used_up(
        &self,
        network: &Network,
        payment: &Payment,
        authorization: &SignedAuthorization,
    ) -> Result<bool, Unavailable> {
        let SignedAuthorization {
            terms, signature, ..
        } = authorization;
        let attempts = self.store().settlement_attempts(payment.id).await?;
        if attempts == 0 {
            return Ok(false);
        }
        let attempts_max = if network.is_signed_by_key(payment.asset.token, terms, signature) {
            ATTEMPTS_MAX
        } else {
            WALLET_ATTEMPTS_MAX
        };
        if attempts >= attempts_max {
            return Ok(true);
        }
        let payer = AgentAddress::new(terms.from);
        let record = self.store().payer_record(payer, self.now()).await?;
        if record.failed_lately >= FAILED_LATELY_MAX {
            return Ok(true);
        }
        // A key may have delegated its account to code since.
        Ok(network.has_code(terms.from).await?)
    }

    /// The gas limit of a settlement, or what follows from its failure.
    pub(super) async fn simulate(
        &self,
        network: &Network,
        relayer: Address,
        payment: &Payment,
        authorization: &SignedAuthorization,
    ) -> Result<Result<u64, Progress>, Unavailable> {
        let terms = &authorization.terms;
        let simulated = network
            .simulate_settlement(relayer, payment.asset.token, authorization)
            .await;
        let error = match simulated {
            Ok(gas_limit) => return Ok(Ok(gas_limit)),
            Err(SimulationError::Chain(error)) => return Err(error.into()),
            Err(
                error @ (SimulationError::Reverted(_)
                | SimulationError::TooMuchGas { .. }
                | SimulationError::NoProxy),
            ) => error,
        };
        let fact = self.look(network, payment, authorization).await?;
        if !matches!(fact, AuthorizationFact::Unused { .. }) {
            // It was used up since the last look: that is why. Look again soon.
            return Ok(Err(Progress::Waiting));
        }
        if payment.state != PaymentState::Authorized {
            self.note_refusal(network, payment.id, terms).await?;
            return Ok(Err(Progress::Waiting));
        }
        tracing::info!(%error, "a settlement would fail");
        let reason = Reason::SimulationFailed;
        let refused = self
            .give_up(payment.id, PaymentState::Refused, reason)
            .await?;
        Ok(Err(refused))
    }

    /// The authorization is unused though its settlement was stored: send the same bytes again, or
    /// find that they can never be mined.
    async fn resend(
        &self,
        network: &Network,
        payment: &Payment,
        authorization: &SignedAuthorization,
    ) -> Result<Progress, Unavailable> {
        match self
            .store()
            .open_transaction(Purpose::Payment(payment.id))
            .await?
        {
            Some(open) => {
                self.tend(network, &open).await?;
                Ok(Progress::Waiting)
            }
            None => self.facilitate(network, payment, authorization).await,
        }
    }

    pub(super) async fn look(
        &self,
        network: &Network,
        payment: &Payment,
        authorization: &SignedAuthorization,
    ) -> Result<AuthorizationFact, Unavailable> {
        let look = network
            .authorization_fact(
                payment.asset.token,
                &authorization.terms,
                Some(payment.since_block),
                self.hint(network, payment).await?,
            )
            .await?;
        Ok(look.fact)
    }

    /// Waits until `done` holds of the payment's state, or the time is over, and returns the
    /// payment as it is then.
    pub(super) async fn wait_for(
        &self,
        id: PurchaseId,
        limit: Duration,
        done: impl Fn(PaymentState) -> bool,
    ) -> Result<Payment, Unavailable> {
        let deadline = Instant::now() + limit;
        let changed = self.store().payments_changed();
        loop {
            let change = changed.notified();
            let payment = self.store().payment(id).await?;
            let payment = payment.ok_or(crate::store::StoreError::Corrupt("payments"))?;
            if done(payment.state) || Instant::now() >= deadline {
                return Ok(payment);
            }
            let look_again = deadline.min(Instant::now() + WAITERS_LOOK_EVERY);
            drop(timeout_at(look_again, change).await);
        }
    }
}

/// Nothing is lost: the state is durable and the payment is looked at again.
pub(super) fn waits(id: PurchaseId, error: &Unavailable) {
    metrics::counter!("payments_waiting_total").increment(1);
    tracing::warn!(payment = ?id, %error, "a payment waits");
}

/// What one look brought.
pub(super) enum Progress {
    /// The chain has no more to say.
    Settled,
    /// The state moved: look again at once.
    Moved,
    Waiting,
}

/// What one relayer could do about a settlement.
enum Tried {
    Progress(Progress),
    /// It does not hold what it may cost.
    Short {
        needed_gwei: u64,
    },
}

/// Takes a payment off the list of those that are driven, also when the driver panics.
struct Driven<'a> {
    service: &'a Service,
    id: PurchaseId,
}

impl Drop for Driven<'_> {
    fn drop(&mut self) {
        locked(&self.service.0.driven).remove(&self.id);
    }
}
