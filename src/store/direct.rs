//! What the store is asked and answers about calls that are paid one by one.

use super::CallReply;
use crate::base::{PurchaseId, Slug, Timestamp};

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
    /// Until when the reply is kept.
    pub replay_until: Timestamp,
}

/// Where a direct call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectStage {
    /// The payment settles first.
    Waiting,
    Running,
    Done,
    Failed,
    TimedOut,
    /// A crash broke it off.
    Abandoned,
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

impl DirectStage {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Abandoned => "abandoned",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [
            Self::Waiting,
            Self::Running,
            Self::Done,
            Self::Failed,
            Self::TimedOut,
            Self::Abandoned,
        ]
        .into_iter()
        .find(|stage| stage.as_str() == text)
    }
}
