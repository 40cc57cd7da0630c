//! What the store is asked and answers about calls that are paid one by one.

use super::CallReply;
use crate::{
    base::{PurchaseId, Slug, Timestamp},
    payment::DirectStage,
};

/// The call that a direct payment pays for.
#[derive(Clone, Debug)]
pub struct NewDirectCall {
    pub tool: Slug,
    pub action: Slug,
    /// The payment settles before the tool runs.
    pub settle_first: bool,
    /// SHA-256 of what is asked: a repeat must ask the same.
    pub request_hash: [u8; 32],
    /// The payer sent x402's `payment-identifier` extension, which the hash covers.
    pub identified: bool,
    /// When a call that is not at its end was surely broken off.
    pub deadline: Timestamp,
    /// Until when the reply is kept.
    pub replay_until: Timestamp,
}

/// A direct call as it stands.
#[derive(Clone, Debug)]
pub struct DirectCall {
    pub settle_first: bool,
    pub request_hash: [u8; 32],
    pub identified: bool,
    pub stage: DirectStage,
    pub reply: Option<CallReply>,
}

/// What the tool answered to a direct call.
#[derive(Clone, Debug)]
pub struct FinishDirectCall {
    pub payment: PurchaseId,
    pub reply: CallReply,
    pub now: Timestamp,
}
