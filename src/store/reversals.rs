//! What the store is asked and answers about payments whose blocks the chain may undo.

use alloy::primitives::B256;

use crate::{
    base::{Credits, PurchaseId, Timestamp},
    payment::{Inclusion, PaymentKey, PaymentState},
};

/// A block, by its number and hash.
pub type BlockId = (u64, B256);

/// A payment that the chain has in another block than the books.
#[derive(Clone, Debug)]
pub struct MovePayment {
    pub payment: PurchaseId,
    /// The block that it counted from until now.
    pub from: B256,
    pub at: Inclusion,
    /// As [`super::CreditPayment::transfers`].
    pub transfers: Vec<PaymentKey>,
    pub now: Timestamp,
}

/// A payment that the chain dropped.
#[derive(Clone, Debug)]
pub struct ReversePayment {
    pub payment: PurchaseId,
    /// The block that it counted from until now.
    pub from: B256,
    pub now: Timestamp,
}

/// What was taken back for a payment that the chain dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reversed {
    /// `Credited`, or `Confirmed` where nothing had been booked.
    pub was: PaymentState,
    /// From the payment's wallet.
    pub taken: Credits,
    /// From suspense.
    pub suspended: Credits,
    /// What nobody had any more.
    pub lost: Credits,
}
