//! What the store is asked and answers about money that is nobody's yet, and about what operators do.

use super::Payment;
use crate::{
    base::{AgentAddress, Credits, PurchaseId, Timestamp},
    payment::PaymentState,
};

/// A transfer in suspense.
#[derive(Clone)]
pub struct InSuspense {
    pub payment: Payment,
    /// When it was entered in the books.
    pub since: Timestamp,
}

/// An operator gives a transfer in suspense to its owner.
#[derive(Clone, Debug)]
pub struct MoveSuspense {
    pub payment: PurchaseId,
    pub to: AgentAddress,
    pub note: Option<String>,
    pub now: Timestamp,
}

/// A transfer that is out of suspense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovedSuspense {
    pub credits: Credits,
    /// An earlier call moved it, to the same wallet.
    pub already: bool,
}

/// Why a transfer was not moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveRefusal {
    Unknown,
    /// It never was, or the chain dropped it and it is waited for.
    NotInSuspense {
        state: PaymentState,
    },
    /// An earlier call moved it to another wallet.
    MovedElsewhere {
        wallet: AgentAddress,
    },
    /// It is worth less than a unit, which no posting can hold.
    TooSmall,
}

/// What an operator did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminAction {
    pub id: i64,
    pub verb: String,
    pub arguments: String,
    pub note: Option<String>,
    pub at: Timestamp,
}
