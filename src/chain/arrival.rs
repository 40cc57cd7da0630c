//! What a transaction brought: its logs, judged without a word to any node.

use std::collections::HashSet;

use alloy::{
    primitives::{Address, B256},
    sol_types::SolEvent,
};

use super::{
    bindings::{CreditsPurchase, Token},
    node::Log,
};
use crate::{
    base::{AssetId, NetworkId},
    payment::{PaymentKey, Transfer},
};

/// Whom a network's transfers are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients {
    /// Present and former.
    pub pay_tos: HashSet<Address>,
    /// Present and former.
    pub purchase_contracts: HashSet<Address>,
}

/// One transfer of a configured token to a `payTo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub asset: AssetId,
    pub transfer: Transfer,
    /// Among its own transaction's logs.
    pub position: u32,
    pub kind: ArrivalKind,
}

/// How a transfer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrivalKind {
    /// Directly after its token's `AuthorizationUsed(from, nonce)`.
    Authorized {
        nonce: B256,
    },
    /// Directly before the purchase contract's event, which names both.
    Event {
        agent: Address,
        payer: Address,
    },
    /// Out of a purchase contract, without its event.
    Unexplained,
    /// Directly before the sender's own `CreditsPurchased`, and no such contract is configured here.
    UnknownContract,
    Plain,
}

/// What a transaction's logs say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// In the order of their logs.
    pub arrivals: Vec<Arrival>,
    /// Events of a purchase contract that no transfer to a `payTo` comes before: its treasury is
    /// somebody else's address, or its token is not configured.
    pub unpaid_events: usize,
}

impl Arrival {
    /// The key of a transfer that is counted by its place.
    #[must_use]
    pub fn log_key(&self, transaction: B256) -> PaymentKey {
        PaymentKey::Log {
            asset: self.asset,
            transaction,
            position: self.position,
            transfer: self.transfer,
        }
    }

    /// The nonce of the authorization that the transfer was made under.
    #[must_use]
    pub const fn nonce(&self) -> Option<B256> {
        match self.kind {
            ArrivalKind::Authorized { nonce } => Some(nonce),
            ArrivalKind::Event { .. }
            | ArrivalKind::Unexplained
            | ArrivalKind::UnknownContract
            | ArrivalKind::Plain => None,
        }
    }
}

/// Judges all logs of one successful transaction, in their order.
///
/// Nothing arrives by a transfer of nothing, by one out of nowhere (a mint), or by one from a `payTo`,
/// whose money is here already.
pub(super) fn judge(
    network: NetworkId,
    tokens: &[Address],
    recipients: &Recipients,
    logs: &[Log],
) -> Arrivals {
    let mut found = Arrivals::default();
    let mut before: Option<&Log> = None;
    for (index, log) in logs.iter().enumerate() {
        let next = logs.get(index + 1);
        if let Some(transfer) =
            transfer(log).filter(|it| tokens.contains(&log.address) && comes_to(it, recipients))
            && let Ok(position) = u32::try_from(index)
        {
            let asset = AssetId {
                network,
                token: log.address,
            };
            found.arrivals.push(Arrival {
                asset,
                transfer,
                position,
                kind: kind(&transfer, log, before, next, recipients),
            });
        }
        if event(log, recipients).is_some() && !is_paid(found.arrivals.last(), index) {
            found.unpaid_events += 1;
        }
        before = Some(log);
    }
    found
}

fn comes_to(transfer: &Transfer, recipients: &Recipients) -> bool {
    recipients.pay_tos.contains(&transfer.to)
        && !recipients.pay_tos.contains(&transfer.from)
        && !transfer.from.is_zero()
        && !transfer.value.is_zero()
}

fn kind(
    transfer: &Transfer,
    log: &Log,
    before: Option<&Log>,
    next: Option<&Log>,
    recipients: &Recipients,
) -> ArrivalKind {
    let event = next.and_then(|next| {
        let event = decode::<CreditsPurchase::CreditsPurchased>(next)?;
        let same = next.address == transfer.from
            && event.token == log.address
            && event.amount == transfer.value;
        same.then_some(event)
    });
    if recipients.purchase_contracts.contains(&transfer.from) {
        return event.map_or(ArrivalKind::Unexplained, |event| ArrivalKind::Event {
            agent: event.agent,
            payer: event.payer,
        });
    }
    if event.is_some() {
        return ArrivalKind::UnknownContract;
    }
    before
        .and_then(|before| authorization(before, log.address, transfer.from))
        .map_or(ArrivalKind::Plain, |nonce| ArrivalKind::Authorized {
            nonce,
        })
}

/// Whether the event at `index` belongs to the arrival before it.
fn is_paid(last: Option<&Arrival>, index: usize) -> bool {
    last.is_some_and(|arrival| {
        matches!(arrival.kind, ArrivalKind::Event { .. }) && arrival.position as usize + 1 == index
    })
}

fn transfer(log: &Log) -> Option<Transfer> {
    let event = decode::<Token::Transfer>(log)?;
    Some(Transfer {
        from: event.from,
        to: event.to,
        value: event.value,
    })
}

fn authorization(log: &Log, token: Address, from: Address) -> Option<B256> {
    let event = decode::<Token::AuthorizationUsed>(log)?;
    (log.address == token && event.authorizer == from).then_some(event.nonce)
}

fn event(log: &Log, recipients: &Recipients) -> Option<CreditsPurchase::CreditsPurchased> {
    recipients
        .purchase_contracts
        .contains(&log.address)
        .then(|| decode(log))
        .flatten()
}

/// Exactly the event, with nothing missing and nothing beside it.
fn decode<E: SolEvent>(log: &Log) -> Option<E> {
    let event = E::decode_raw_log_validate(log.topics.iter().copied(), &log.data).ok()?;
    (event.encode_data() == log.data.as_ref()).then_some(event)
}

#[cfg(test)]
mod tests;
