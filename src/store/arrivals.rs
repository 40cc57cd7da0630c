//! What the store is asked and answers about transfers that were found on the chain.

use alloy::primitives::B256;

use super::Payment;
use crate::{
    base::{AgentAddress, AssetId, Credits, NetworkId, PurchaseId, Timestamp},
    payment::{Inclusion, PaymentKey, PaymentWay, Transfer},
};

/// A transfer that was found on the chain, to be booked.
#[derive(Clone, Debug)]
pub struct BookArrival {
    /// Its id, if it is new.
    pub id: PurchaseId,
    /// `Claim`, `Event` or `Transfer`.
    pub way: PaymentWay,
    pub asset: AssetId,
    pub transfer: Transfer,
    /// Of the authorization that it was made under.
    pub nonce: Option<B256>,
    /// Among its transaction's logs.
    pub position: u32,
    /// Confirmed: the money is booked at once. Otherwise the payment waits for that.
    pub at: Inclusion,
    pub credits: Credits,
    /// The wallet to be credited.
    pub wallet: AgentAddress,
    /// To suspense instead.
    pub unattributed: bool,
    pub label: Option<String>,
    /// Where a later search for it may end.
    pub since_block: u64,
    pub now: Timestamp,
}

/// Whose a transfer is.
#[derive(Clone)]
pub enum BookedArrival {
    /// A payment of its own, which this call stored.
    New,
    /// It was counted before, or belongs to an intent.
    Known(Box<Payment>),
}

/// A block by its number and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchedBlock {
    pub number: u64,
    pub hash: B256,
}

/// How far a network was watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchCursor {
    /// Nothing before it is ever read.
    pub first: u64,
    /// The next block to be read.
    pub next: u64,
    /// Blocks that were read, the newest first.
    pub blocks: Vec<WatchedBlock>,
}

/// A move of a network's cursor.
#[derive(Clone, Debug)]
pub enum MoveCursor {
    /// To where it begins, unless it has begun.
    Begin { first: u64 },
    /// Past a block that was read, with all before it. Older blocks than `keep` of them are forgotten.
    Past { block: WatchedBlock, keep: u64 },
    /// Back to `next`: what was read from there on is not on the chain any more.
    Back { next: u64 },
}

/// See [`super::Store::move_cursor`].
#[derive(Clone, Debug)]
pub struct MoveWatch {
    pub network: NetworkId,
    pub to: MoveCursor,
}

impl BookArrival {
    /// The key by its place on the chain.
    #[must_use]
    pub fn log_key(&self) -> PaymentKey {
        PaymentKey::Log {
            asset: self.asset,
            transaction: self.at.transaction,
            position: self.position,
            transfer: self.transfer,
        }
    }

    /// The key by the authorization that it was made under.
    #[must_use]
    pub fn authorization_key(&self) -> Option<PaymentKey> {
        self.nonce.map(|nonce| PaymentKey::Authorization {
            asset: self.asset,
            from: self.transfer.from,
            nonce,
        })
    }
}
