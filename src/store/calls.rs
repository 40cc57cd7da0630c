//! What the store is asked and answers about signed calls.

use crate::{
    base::{AgentAddress, ChargeId, Credits, RequestId, Slug, Timestamp},
    ledger::{ChargeStatus, Grant, GrantSource},
};

/// Everything that a hold writes down.
#[derive(Clone, Debug)]
pub struct NewHold {
    pub charge: ChargeId,
    pub wallet: AgentAddress,
    pub session: String,
    pub request_id: RequestId,
    pub tool: Slug,
    pub action: Slug,
    pub price: Credits,
    pub price_list: [u8; 32],
    /// The message that the payer signed.
    pub message: String,
    pub signature: [u8; 65],
    pub payload_hash: [u8; 32],
    /// When any process may void the hold.
    pub deadline: Timestamp,
    /// Until when the reply is kept.
    pub replay_until: Timestamp,
    pub now: Timestamp,
}

/// Why a hold was refused. Nothing is written then.
#[derive(Clone, Debug)]
pub enum HoldRefusal {
    /// The request id is taken, by this call or another.
    Taken(Box<StoredCall>),
    Insufficient {
        available: Credits,
    },
    /// The quota of stored replies is used up.
    RepliesFull,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    Captured,
    Failed,
    TimedOut,
}

/// What the tool answered, kept for a repeat of the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallReply {
    pub kind: ReplyKind,
    /// The tool's HTTP status, if it gave one.
    pub status: Option<u16>,
    /// JSON text.
    pub body: Vec<u8>,
}

/// Captures (a reply of kind `Captured`) or voids (any other) a held charge.
#[derive(Clone, Debug)]
pub struct FinishCall {
    pub charge: ChargeId,
    pub reply: CallReply,
    pub now: Timestamp,
}

/// A call that took its request id.
#[derive(Clone, Debug)]
pub struct StoredCall {
    pub charge: ChargeId,
    pub status: ChargeStatus,
    pub price: Credits,
    pub credit_source: GrantSource,
    pub message: String,
    pub signature: Vec<u8>,
    /// Absent while the call runs, and when a crash voided its hold.
    pub reply: Option<CallReply>,
    /// The wallet's balance right after the call ended.
    pub balance: Credits,
}

/// What a wallet has.
#[derive(Clone, Debug)]
pub struct Balance {
    /// Includes what is held.
    pub total: Credits,
    pub held: Credits,
    /// Grants that have something left, in no particular order.
    pub grants: Vec<Grant>,
}

/// Credits that the house gives away.
#[derive(Clone, Debug)]
pub struct Promotion {
    pub wallet: AgentAddress,
    pub amount: Credits,
    /// The lowest number is spent first.
    pub priority: i64,
    pub expires_at: Option<Timestamp>,
    pub now: Timestamp,
}

impl ReplyKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Captured, Self::Failed, Self::TimedOut]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}
