//! What becomes of a transfer that was found on the chain.

use alloy::primitives::B256;

use super::{Reason, Service, Unavailable, random_id, settle::Progress};
use crate::{
    base::{AgentAddress, Credits, PurchaseId},
    chain::{Arrival, ArrivalKind, ChainError, Network, Receiving, TransactionLook},
    payment::{
        Authorization, AuthorizationFact, Disposal, Inclusion, PaymentKey, PaymentState,
        PaymentWay, TransferMethod,
    },
    store::{BookArrival, BookedArrival, CreditPayment, Payment},
};

/// A transfer that a reorganization took off the chain is waited for so long.
const VANISHED_MS: i64 = 86_400_000;

/// How far below a transfer's block a search for it may have to go, after a reorganization.
const SEARCH_MARGIN_BLOCKS: u64 = 256;

/// Whom a transfer is booked for.
pub(super) struct Claimant {
    pub(super) way: PaymentWay,
    pub(super) wallet: AgentAddress,
    pub(super) unattributed: bool,
    pub(super) label: Option<String>,
}

impl Service {
    /// Books everything that a confirmed transaction brought, as far as it is not left for a claim.
    pub(super) async fn receive(
        &self,
        network: &Network,
        receiving: &Receiving,
    ) -> Result<(), Unavailable> {
        let Receiving { at, found } = receiving;
        if found.unpaid_events > 0 {
            metrics::counter!("watcher_unpaid_events_total").increment(1);
            tracing::error!(network = %network.id(), transaction = %at.transaction, events = found.unpaid_events, "the purchase contract sold credits, and no configured asset came to a pay_to: look at its treasury and its tokens");
        }
        for arrival in &found.arrivals {
            self.receive_one(network, *at, arrival).await?;
        }
        Ok(())
    }

    async fn receive_one(
        &self,
        network: &Network,
        at: Inclusion,
        arrival: &Arrival,
    ) -> Result<(), Unavailable> {
        let from = arrival.transfer.from;
        let Some(credits) = worth(network, arrival) else {
            tracing::error!(transaction = %at.transaction, ?arrival, "more arrived than can be booked");
            return Ok(());
        };
        if !credits.is_positive() {
            // Anyone can send any number of these: they are counted, and leave nothing behind.
            metrics::counter!("watcher_transfers_below_a_unit_total").increment(1);
            return self.receive_known(at, arrival).await;
        }
        let policy = &self.settings().transfer_policy;
        let (way, wallet, unattributed) = match arrival.kind {
            ArrivalKind::Event { agent, .. } => (PaymentWay::Event, agent, false),
            ArrivalKind::Unexplained => {
                tracing::warn!(transaction = %at.transaction, contract = %from, "a purchase contract moved tokens without selling credits");
                (PaymentWay::Transfer, from, true)
            }
            ArrivalKind::Plain | ArrivalKind::UnknownContract | ArrivalKind::Authorized { .. } => {
                match policy.dispose(from, credits) {
                    Disposal::Leave => return self.receive_known(at, arrival).await,
                    Disposal::Credit => (
                        PaymentWay::Transfer,
                        from,
                        self.is_nobodys(network, arrival),
                    ),
                    Disposal::Suspend => (PaymentWay::Transfer, from, true),
                }
            }
        };
        let claimant = Claimant {
            way,
            wallet: AgentAddress::new(wallet),
            unattributed,
            label: None,
        };
        match self.book(at, arrival, credits, claimant).await? {
            (id, BookedArrival::New) => {
                tracing::info!(payment = ?id, transaction = %at.transaction, way = way.as_str(), unattributed, "a transfer is booked");
            }
            (_, BookedArrival::Known(known)) => self.credit_known(&known, at).await?,
        }
        Ok(())
    }

    /// Whether a transfer's sender is no wallet that anyone could spend from.
    pub(super) fn is_nobodys(&self, network: &Network, arrival: &Arrival) -> bool {
        let from = arrival.transfer.from;
        let mut assets = network.assets().iter();
        arrival.kind == ArrivalKind::UnknownContract
            || assets.any(|asset| asset.token == from)
            || self.settings().transfer_policy.is_nobody(from)
    }

    /// A transfer that is left for a claim, unless it belongs to a payment already.
    async fn receive_known(&self, at: Inclusion, arrival: &Arrival) -> Result<(), Unavailable> {
        match self.known_arrival(at, arrival).await? {
            Some(known) => self.credit_known(&known, at).await,
            None => Ok(()),
        }
    }

    /// The payment that a transfer belongs to.
    pub(super) async fn known_arrival(
        &self,
        at: Inclusion,
        arrival: &Arrival,
    ) -> Result<Option<Payment>, Unavailable> {
        let by_place = arrival.log_key(at.transaction);
        if let Some(known) = self.store().payment_by_key(&by_place).await? {
            return Ok(Some(known));
        }
        let Some(nonce) = arrival.nonce() else {
            return Ok(None);
        };
        let by_authorization = PaymentKey::Authorization {
            asset: arrival.asset,
            from: arrival.transfer.from,
            nonce,
        };
        let known = self.store().payment_by_key(&by_authorization).await?;
        Ok(known.filter(|known| known.transfer == arrival.transfer))
    }

    /// The transfer that a payment waits for is here. Also one that was given up: money that arrives
    /// is never refused.
    pub(super) async fn credit_known(
        &self,
        known: &Payment,
        at: Inclusion,
    ) -> Result<(), Unavailable> {
        match known.state {
            PaymentState::Confirmed | PaymentState::Credited => Ok(()),
            PaymentState::Authorized
            | PaymentState::Broadcast
            | PaymentState::Refused
            | PaymentState::Failed
            | PaymentState::Expired => {
                if at.confirmed {
                    self.credit(known.id, at).await?;
                }
                Ok(())
            }
        }
    }

    /// Books a confirmed transfer for its payment, once.
    pub(super) async fn credit(
        &self,
        payment: PurchaseId,
        at: Inclusion,
    ) -> Result<(), Unavailable> {
        let credit = CreditPayment {
            payment,
            at,
            transfers: self.transfers_of(payment, at).await?,
            now: self.now(),
        };
        if self.store().credit_payment(credit).await? {
            metrics::counter!("payments_credited_total").increment(1);
            tracing::info!(transaction = %at.transaction, block = at.block, "a payment is credited");
        }
        Ok(())
    }

    /// The places of the transfers that a payment may be booked for, where its key names none.
    pub(super) async fn transfers_of(
        &self,
        payment: PurchaseId,
        at: Inclusion,
    ) -> Result<Vec<PaymentKey>, Unavailable> {
        let Some(payment) = self.store().payment(payment).await? else {
            return Ok(Vec::new());
        };
        let network = self.network(payment.asset.network);
        match (network, payment.authorization) {
            (Some(network), Some(signed)) => {
                let keys = network.transfer_keys(payment.asset, &signed.terms, at);
                Ok(keys.await?)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Whether each of the transfers that may be a payment's is counted for another.
    pub(super) async fn are_counted_elsewhere(
        &self,
        payment: PurchaseId,
        transfers: &[PaymentKey],
    ) -> Result<bool, Unavailable> {
        for key in transfers {
            let counted = self.store().payment_by_key(key).await?;
            if counted.is_none_or(|counted| counted.id == payment) {
                return Ok(false);
            }
        }
        Ok(!transfers.is_empty())
    }

    /// The payment by Permit2 that a transfer is of which looks like a plain one.
    async fn permit2_payment(
        &self,
        at: Inclusion,
        arrival: &Arrival,
    ) -> Result<Option<Payment>, Unavailable> {
        let Some(network) = self.network(arrival.asset.network) else {
            return Ok(None);
        };
        if arrival.kind != ArrivalKind::Plain {
            return Ok(None);
        }
        let (asset, transfer) = (arrival.asset, arrival.transfer);
        let mut waiting = self.store().permit2_payments_of(asset, transfer).await?;
        // One that counts already has its place there; after a reorganization it may have another.
        waiting.retain(|payment| {
            let counts = matches!(
                payment.state,
                PaymentState::Confirmed | PaymentState::Credited
            );
            !counts || payment.transaction != Some(at.transaction)
        });
        let nonces: Vec<_> = waiting.iter().filter_map(|payment| payment.nonce).collect();
        if nonces.is_empty() {
            return Ok(None);
        }
        let named = network.named_nonces(at.transaction, &nonces).await?;
        let mut waiting = waiting.into_iter();
        Ok(waiting.find(|payment| payment.nonce.is_some_and(|nonce| named.contains(&nonce))))
    }

    /// Books a transfer for whom it is, unless it is counted already.
    pub(super) async fn book(
        &self,
        at: Inclusion,
        arrival: &Arrival,
        credits: Credits,
        claimant: Claimant,
    ) -> Result<(PurchaseId, BookedArrival), Unavailable> {
        let id = PurchaseId::from_random(random_id()?);
        if let Some(known) = self.permit2_payment(at, arrival).await? {
            return Ok((id, BookedArrival::Known(Box::new(known))));
        }
        let book = BookArrival {
            id,
            way: claimant.way,
            asset: arrival.asset,
            transfer: arrival.transfer,
            nonce: arrival.nonce(),
            position: arrival.position,
            at,
            credits,
            wallet: claimant.wallet,
            unattributed: claimant.unattributed,
            label: claimant.label,
            since_block: at.block.saturating_sub(SEARCH_MARGIN_BLOCKS),
            now: self.now(),
        };
        let booked = self.store().book_arrival(book).await?;
        if at.confirmed && matches!(booked, BookedArrival::New) {
            metrics::counter!("payments_credited_total").increment(1);
        }
        Ok((id, booked))
    }

    /// Where the transfer of a payment stands that was found on the chain before; `None` while no
    /// block holds it.
    pub(super) async fn find_transfer(
        &self,
        network: &Network,
        payment: &Payment,
    ) -> Result<Option<Inclusion>, ChainError> {
        if let Some(nonce) = payment.nonce {
            return find_authorized(network, payment, nonce).await;
        }
        let Some(transaction) = payment.transaction else {
            return Ok(None);
        };
        let recipients = self.recipients(network.id());
        let place = self.0.receipts.acquire().await;
        let look = network
            .look_at_transaction(transaction, &recipients)
            .await?;
        drop(place);
        let TransactionLook::Included { receiving, .. } = look else {
            return Ok(None);
        };
        let is_it = |arrival: &Arrival| {
            Some(arrival.position) == payment.log_position
                && arrival.asset == payment.asset
                && arrival.transfer == payment.transfer
        };
        let mut arrivals = receiving.found.arrivals.iter();
        Ok(arrivals.any(is_it).then_some(receiving.at))
    }

    /// One look at a payment that was found on the chain and is not confirmed.
    pub(super) async fn await_transfer(
        &self,
        network: &Network,
        payment: &Payment,
    ) -> Result<Progress, Unavailable> {
        match self.find_transfer(network, payment).await? {
            Some(at) if at.confirmed => {
                self.credit(payment.id, at).await?;
                Ok(Progress::Moved)
            }
            Some(_) => Ok(Progress::Waiting),
            None => {
                let age_ms = self
                    .now()
                    .millis()
                    .saturating_sub(payment.updated_at.millis());
                if age_ms < VANISHED_MS {
                    return Ok(Progress::Waiting);
                }
                // If it comes back all the same, whoever finds it credits it.
                let reason = Reason::TransactionVanished;
                self.give_up(payment.id, PaymentState::Expired, reason)
                    .await
            }
        }
    }
}

/// The terms of an authorization of which only its use was seen.
pub(super) fn terms_of(payment: &Payment, nonce: B256) -> Authorization {
    Authorization {
        // Only what EIP-3009 tokens log is seen without its terms.
        method: TransferMethod::Eip3009,
        from: payment.transfer.from,
        to: payment.transfer.to,
        value: payment.transfer.value,
        valid_after: 0,
        valid_before: u64::MAX,
        nonce,
    }
}

/// Another transaction may hold it by now: anyone can submit an authorization again.
async fn find_authorized(
    network: &Network,
    payment: &Payment,
    nonce: B256,
) -> Result<Option<Inclusion>, ChainError> {
    let terms = terms_of(payment, nonce);
    let since_block = Some(payment.since_block);
    let look = network
        .authorization_fact(
            payment.asset.token,
            &terms,
            since_block,
            payment.transaction,
        )
        .await?;
    Ok(match look.fact {
        AuthorizationFact::Paid(at) => Some(at),
        AuthorizationFact::Unused { .. }
        | AuthorizationFact::SpentElsewhere(_)
        | AuthorizationFact::Cancelled(_)
        | AuthorizationFact::Unexplained => None,
    })
}

/// The credits that a transfer is worth, a part of a unit left out; `None` when they do not fit.
pub(super) fn worth(network: &Network, arrival: &Arrival) -> Option<Credits> {
    let mut assets = network.assets().iter();
    let asset = assets.find(|asset| asset.token == arrival.asset.token)?;
    asset.worth(arrival.transfer.value)
}
