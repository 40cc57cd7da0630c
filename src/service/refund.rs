//! What is unspent of a payment goes back to its payer on the chain.
//!
//! The credits are taken back in the transaction that stores the refund; then the float's transfer is
//! signed and stored, then it is sent. Any number of tasks may drive one refund, since each step is
//! conditional on the state in the books, and the transfer is signed under one account nonce.

use alloy::primitives::{Address, U256};
use thiserror::Error;
use tokio::time::{Instant, sleep};

use super::{Service, Unavailable, locked, random_id, relay::to_store};
use crate::{
    base::{Credits, NetworkId, PurchaseId, RefundId},
    chain::{Network, RefundTransfer, Relayer, SimulationError},
    payment::{
        Booked, PaymentState, RefundRecheck, RefundState, RefundStep, VoidReason, next_refund_step,
        recheck_refund,
    },
    store::{
        BlockId, EndRefund, HoldRefund, Payment, Purpose, RecheckRefund, Refund, RefundEnd,
        RefundFound, RefundRefusal, StoreError, StoreSettlement, StoredSettlement,
    },
};

const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(200);
/// Refunds that one round of the reconciler takes.
const ROUND_MAX: u32 = 200;

/// Why nothing is refunded. Nothing was taken from anybody.
#[derive(Debug, Error)]
pub enum RefundError {
    #[error("no payment has this id")]
    NotFound,
    #[error(
        "refunds are off on {network}: set refund_key_file in its [[network]] to the key of an account \
         that holds the token and gas, never that of pay_to"
    )]
    Off { network: NetworkId },
    #[error("{network} is not in the configuration any more")]
    NetworkGone { network: NetworkId },
    #[error("the payment is {state} and its money is no credits of a wallet")]
    NotCredits { state: PaymentState },
    #[error("nothing of the payment is left: it is spent, or held by calls that run")]
    NothingLeft,
    #[error(
        "{rest} credits are left of the payment, and {refunded} of the {cap} that refund_cap_credits \
         allows in 24 hours are used"
    )]
    CapReached {
        rest: Credits,
        refunded: Credits,
        cap: Credits,
    },
    #[error("the float {float:#x} holds {holds} base units of {symbol} and needs {needs}")]
    FloatShort {
        float: Address,
        symbol: String,
        holds: U256,
        needs: U256,
    },
    #[error("the float {float:#x} holds too little gas: it needs {needed_gwei} gwei")]
    GasShort { float: Address, needed_gwei: u64 },
    #[error("the transfer to the payer would fail: {0}")]
    WouldFail(String),
    #[error(transparent)]
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for RefundError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

impl Service {
    /// Refunds what is unspent of a payment to its payer, and waits a while for the outcome. A payment
    /// that is on its way back, or was refunded, keeps that refund.
    ///
    /// # Errors
    /// As [`RefundError`] says.
    pub async fn refund(&self, id: PurchaseId) -> Result<Refund, RefundError> {
        let refund = match self.store().refund_of(id).await? {
            Some(known) => known,
            None => self.hold_refund(id).await?,
        };
        // Held. A crash from here on is found by the reconciler, or by the same request, among the open
        // refunds.
        let deadline = Instant::now() + self.settings().settle_wait;
        loop {
            if let Err(error) = self.advance_refund(refund.id).await {
                refund_waits(refund.id, &error);
            }
            let now = self.store().refund(refund.id).await?;
            let now = now.ok_or(StoreError::Corrupt("refunds"))?;
            if now.state.is_settled() || self.stopping() || Instant::now() >= deadline {
                return Ok(now);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn hold_refund(&self, id: PurchaseId) -> Result<Refund, RefundError> {
        let payment = self.store().payment(id).await?;
        let payment = payment.ok_or(RefundError::NotFound)?;
        let state = payment.state;
        if payment.booked != Some(Booked::Wallet) {
            return Err(RefundError::NotCredits { state });
        }
        let network = payment.asset.network;
        let network = self
            .network(network)
            .ok_or(RefundError::NetworkGone { network })?;
        let (float, cap) = self.float(network)?;
        self.check_refund(network, float, &payment).await?;
        let hold = HoldRefund {
            id: RefundId::from_random(random_id()?),
            payment: id,
            float: float.address(),
            cap,
            since_block: network.search_from().await?,
            now: self.now(),
        };
        match self.store().hold_refund(hold).await? {
            Ok(refund) => {
                tracing::info!(refund = %refund.id, credits = %refund.credits, "a refund is held");
                Ok(refund)
            }
            Err(RefundRefusal::Known(known)) => Ok(*known),
            Err(RefundRefusal::NotCredits) => Err(RefundError::NotCredits { state }),
            Err(RefundRefusal::NothingLeft) => Err(RefundError::NothingLeft),
            Err(RefundRefusal::CapReached { rest, refunded }) => Err(RefundError::CapReached {
                rest,
                refunded,
                cap,
            }),
        }
    }

    fn float<'a>(&self, network: &'a Network) -> Result<(&'a Relayer, Credits), RefundError> {
        let id = network.id();
        let float = network.float();
        let cap = self.settings().refund_caps.get(&id);
        float
            .zip(cap.copied())
            .ok_or(RefundError::Off { network: id })
    }

    /// Whether a refund could be paid as things are: before anything is taken from anybody.
    async fn check_refund(
        &self,
        network: &Network,
        float: &Relayer,
        payment: &Payment,
    ) -> Result<(), RefundError> {
        let rest = self.store().unspent(payment).await?;
        if rest.amount.is_zero() {
            return Err(RefundError::NothingLeft);
        }
        let float = float.address();
        let token = payment.asset.token;
        let holds = network.balance_of(token, float).await?;
        if holds < rest.amount {
            let symbol = self.symbol(payment.asset);
            return Err(RefundError::FloatShort {
                float,
                symbol: symbol.unwrap_or_else(|| token.to_string()),
                holds,
                needs: rest.amount,
            });
        }
        let transfer = RefundTransfer {
            token,
            float,
            payer: payment.transfer.from,
            amount: rest.amount,
        };
        let gas_limit = match network.simulate_refund(&transfer).await {
            Ok(gas_limit) => gas_limit,
            Err(SimulationError::Chain(error)) => return Err(error.into()),
            Err(error) => {
                return Err(RefundError::WouldFail(error.to_string()));
            }
        };
        let fee = network.gas_price().await?.fees.max_fee_per_gas;
        let cost = crate::chain::cost_gwei(fee, gas_limit);
        match self.check_gas(network, float, u64::MAX, cost).await {
            Ok(()) => Ok(()),
            Err(Unavailable::ShortOfGas { needed_gwei, .. }) => {
                Err(RefundError::GasShort { float, needed_gwei })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// One round over the refunds that are not at their end.
    pub(super) async fn reconcile_refunds(&self) -> Result<(), Unavailable> {
        let after = *locked(&self.0.refunds_reconciled);
        let open = self.store().open_refunds(after, ROUND_MAX).await?;
        *locked(&self.0.refunds_reconciled) = open.last().copied();
        for id in open {
            if let Err(error) = self.advance_refund(id).await {
                refund_waits(id, &error);
            }
        }
        Ok(())
    }

    /// One look and one step.
    async fn advance_refund(&self, id: RefundId) -> Result<(), Unavailable> {
        let refund = self.store().refund(id).await?;
        let refund = refund.ok_or(StoreError::Corrupt("refunds"))?;
        let Some(network) = self.network(refund.asset.network) else {
            // The operator took the network out of the configuration; the state is durable.
            return Ok(());
        };
        match refund.state {
            RefundState::Paid | RefundState::Void => Ok(()),
            RefundState::Held => self.sign_refund(network, &refund).await,
            RefundState::Broadcast => self.look_at_refund(network, &refund).await,
        }
    }

    /// Signs, stores, sends: in this order.
    async fn sign_refund(&self, network: &Network, refund: &Refund) -> Result<(), Unavailable> {
        let float = network.float();
        let Some(float) = float.filter(|float| float.address() == refund.float) else {
            let reason = VoidReason::FloatChanged;
            return self.end_refund(refund, RefundEnd::Void(reason)).await;
        };
        let transfer = transfer(refund);
        let call = transfer.call();
        let gas_limit = match network.simulate_refund(&transfer).await {
            Ok(gas_limit) => gas_limit,
            Err(SimulationError::Chain(error)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(refund = %refund.id, %error, "a refund would fail");
                let reason = VoidReason::WouldFail;
                return self.end_refund(refund, RefundEnd::Void(reason)).await;
            }
        };
        let fees = network.gas_price().await?.fees;
        let funds = network.gas_funds(refund.float).await?;
        let by = float.clone();
        let settlement = StoreSettlement {
            purpose: Purpose::Refund(refund.id),
            chain_id: network.id().chain_id(),
            relayer: refund.float,
            chain_nonce: funds.next_nonce,
            balance_gwei: funds.balance_gwei,
            sign: Box::new(move |nonce| to_store(by.sign_call(&call, nonce, fees, gas_limit))),
            now: self.now(),
        };
        match self.store().store_settlement(settlement).await? {
            StoredSettlement::Moved => Ok(()),
            StoredSettlement::Short { needed_gwei } => Err(Unavailable::ShortOfGas {
                network: network.id(),
                relayers: vec![refund.float],
                needed_gwei,
            }),
            StoredSettlement::Signed(signed) => {
                // Stored. A crash here, or a lost answer below, is found from the float's account
                // nonce; the same bytes are sent again until the chain has used it.
                self.broadcast(network, &signed).await;
                Ok(())
            }
        }
    }

    async fn look_at_refund(&self, network: &Network, refund: &Refund) -> Result<(), Unavailable> {
        let sent = self.store().refund_sent(refund.id).await?;
        let sent = sent.ok_or(StoreError::Corrupt("relayer_transactions"))?;
        let fact = network
            .refund_fact(
                &transfer(refund),
                sent.account_nonce,
                &sent.hashes,
                refund.since_block,
                None,
            )
            .await?;
        match next_refund_step(fact) {
            RefundStep::Wait => Ok(()),
            RefundStep::Pay(at) => self.end_refund(refund, RefundEnd::Paid(at)).await,
            RefundStep::Void(reason) => self.end_refund(refund, RefundEnd::Void(reason)).await,
            RefundStep::Tend => {
                let open = self.store().reopen_refund(refund.id).await?;
                match open {
                    Some(open) => self.tend(network, &open).await,
                    None => Ok(()),
                }
            }
            RefundStep::Alarm { transaction } => {
                metrics::counter!("refunds_odd_total").increment(1);
                tracing::error!(refund = %refund.id, %transaction, "the float's transfer moved something else than the refund: look at the token");
                Ok(())
            }
        }
    }

    /// Looks again at the refunds of a network that a reorganization may still undo.
    pub(super) async fn recheck_refunds(&self, network: &Network) -> Result<(), Unavailable> {
        let chain_id = network.id().chain_id();
        let paid = self.store().paid_refunds(chain_id, ROUND_MAX).await?;
        let blocks: Vec<(&Refund, BlockId)> = paid
            .iter()
            .filter_map(|refund| Some((refund, refund.block?)))
            .collect();
        if blocks.is_empty() {
            return Ok(());
        }
        let heights: Vec<u64> = blocks.iter().map(|(_, (number, _))| *number).collect();
        let look = network.confirmed_blocks(&heights).await?;
        let deep = self.reorg_blocks_max(network.id());
        for ((refund, block), stands) in blocks.into_iter().zip(look.hashes) {
            let found = match stands {
                Some(hash) if hash == block.1 => {
                    let is_final = block.0.saturating_add(deep) < look.confirmed.0;
                    is_final.then_some(RefundFound::Final)
                }
                Some(_) => {
                    self.refund_after_reorganization(network, refund, block)
                        .await?
                }
                None => None,
            };
            if let Some(found) = found {
                self.note_refund(refund, block, found).await?;
            }
        }
        Ok(())
    }

    async fn refund_after_reorganization(
        &self,
        network: &Network,
        refund: &Refund,
        block: BlockId,
    ) -> Result<Option<RefundFound>, Unavailable> {
        let sent = self.store().refund_sent(refund.id).await?;
        let sent = sent.ok_or(StoreError::Corrupt("relayer_transactions"))?;
        let transfer = transfer(refund);
        let fact = network.refund_fact(
            &transfer,
            sent.account_nonce,
            &sent.hashes,
            refund.since_block,
            Some(block),
        );
        Ok(match recheck_refund(fact.await?) {
            RefundRecheck::Moved(at) => Some(RefundFound::Moved(at)),
            RefundRecheck::Undone => Some(RefundFound::Undone),
            RefundRecheck::Wait => None,
        })
    }

    async fn note_refund(
        &self,
        refund: &Refund,
        block: BlockId,
        found: RefundFound,
    ) -> Result<(), Unavailable> {
        let recheck = RecheckRefund {
            refund: refund.id,
            from: block.1,
            found,
            now: self.now(),
        };
        // Committed with its posting. A crash after it leaves a refund that the reconciler sends again.
        if self.store().recheck_refund(recheck).await? && found != RefundFound::Final {
            metrics::counter!("refunds_rechecked_total").increment(1);
            tracing::error!(refund = %refund.id, ?found, "alert: the chain dropped a paid refund's block");
        }
        Ok(())
    }

    async fn end_refund(&self, refund: &Refund, end: RefundEnd) -> Result<(), Unavailable> {
        let now = self.now();
        let ended = EndRefund {
            refund: refund.id,
            end,
            now,
        };
        if self.store().end_refund(ended).await? {
            let state = match end {
                RefundEnd::Paid(_) => RefundState::Paid,
                RefundEnd::Void(_) => RefundState::Void,
            };
            metrics::counter!("refunds_total", "state" => state.as_str()).increment(1);
            tracing::info!(refund = %refund.id, ?end, "a refund has ended");
        }
        Ok(())
    }
}

fn transfer(refund: &Refund) -> RefundTransfer {
    RefundTransfer {
        token: refund.asset.token,
        float: refund.float,
        payer: refund.payer,
        amount: refund.amount,
    }
}

/// Nothing is lost: the state is durable and the refund is looked at again.
fn refund_waits(id: RefundId, error: &Unavailable) {
    metrics::counter!("refunds_waiting_total").increment(1);
    tracing::warn!(refund = %id, %error, "a refund waits");
}
