//! What the store is asked and answers about requests to facilitators elsewhere.

use alloy::primitives::B256;

use crate::base::{PurchaseId, Timestamp};

/// A request to settle a payment, stored before it is sent.
#[derive(Clone, Debug)]
pub struct RequestSettlement {
    pub payment: PurchaseId,
    /// Who is asked, by host and port.
    pub facilitator: String,
    pub now: Timestamp,
}

/// What is learned of a payment after it was asked for.
#[derive(Clone, Copy, Debug)]
pub enum SettlementNote {
    /// A facilitator names a transaction.
    Hint(B256),
    /// The chain would refuse the payment, although its time has not run out.
    WouldFail,
}

/// The requests that were sent for one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettlementRequests {
    pub count: u32,
    pub last_at: Timestamp,
    pub hint: Option<B256>,
    pub would_fail: bool,
}
