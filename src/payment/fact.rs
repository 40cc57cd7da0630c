//! What the chain says of one authorization.

use alloy::primitives::B256;

use crate::base::Timestamp;

/// Where a transaction stands on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inclusion {
    pub transaction: B256,
    pub block: u64,
    pub block_hash: B256,
    /// The block has the confirmations that the operator asks of the network.
    pub confirmed: bool,
}

/// What the chain says of one authorization, read in one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationFact {
    /// `authorizationState` is false at the newest confirmed block and at the head;
    /// `confirmed_until` is the time of that confirmed block.
    Unused { confirmed_until: Timestamp },
    /// A status-1 receipt holds `AuthorizationUsed(from, nonce)` and, directly after it, the
    /// token's `Transfer(from, pay_to, exact amount)`.
    Paid(Inclusion),
    /// A status-1 receipt holds `AuthorizationUsed(from, nonce)`, but not that transfer.
    SpentElsewhere(Inclusion),
    /// A status-1 receipt holds `AuthorizationCanceled(from, nonce)`.
    Cancelled(Inclusion),
    /// `authorizationState` is true, but no log that explains it was found in the blocks searched.
    Unexplained,
}
