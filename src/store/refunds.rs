//! What the store is asked and answers about refunds.

use alloy::primitives::{Address, B256, U256};

use super::{BlockId, OpenTransaction, Payment, Store, StoreError, sqlite};
use crate::{
    base::{AssetId, Credits, PurchaseId, RefundId, Timestamp},
    payment::{Inclusion, RefundState, VoidReason},
};

/// A refund as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    pub id: RefundId,
    pub payment: PurchaseId,
    pub state: RefundState,
    pub asset: AssetId,
    /// The account that pays.
    pub float: Address,
    pub payer: Address,
    /// Base units of the token.
    pub amount: U256,
    /// What was taken back.
    pub credits: Credits,
    /// Nothing that was signed for it can be in an older block.
    pub since_block: u64,
    /// The transaction that paid, or, until it is known, the last one that was sent.
    pub transaction: Option<B256>,
    /// The block that holds it, by number and hash, once it was paid.
    pub block: Option<BlockId>,
    /// Why it is void.
    pub reason: Option<String>,
    pub created_at: Timestamp,
}

/// The intent of a refund: what is unspent of a payment is taken back, and stored as owed to its payer.
#[derive(Clone, Debug)]
pub struct HoldRefund {
    pub id: RefundId,
    pub payment: PurchaseId,
    pub float: Address,
    /// What may be refunded on one network within [`Self::DAY_MS`].
    pub cap: Credits,
    pub since_block: u64,
    pub now: Timestamp,
}

impl HoldRefund {
    /// How long a refund counts against the cap.
    pub const DAY_MS: i64 = 86_400_000;
}

/// What is unspent of a payment, and what that is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    pub credits: Credits,
    /// Base units of the token.
    pub amount: U256,
}

/// Why nothing was held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundRefusal {
    /// It is on its way back already, or there.
    Known(Box<Refund>),
    /// It never became credits of a wallet, or is not there any more.
    NotCredits,
    /// All of it is spent, or held by calls that run.
    NothingLeft,
    /// `refunded` is what the cap has gone to so far.
    CapReached { rest: Credits, refunded: Credits },
}

/// How a refund ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundEnd {
    Paid(Inclusion),
    Void(VoidReason),
}

/// A refund to be ended, if it is still open.
#[derive(Clone, Copy, Debug)]
pub struct EndRefund {
    pub refund: RefundId,
    pub end: RefundEnd,
    pub now: Timestamp,
}

/// What another look at a paid refund brought. Conditional on the block that was judged.
#[derive(Clone, Copy, Debug)]
pub struct RecheckRefund {
    pub refund: RefundId,
    /// The hash of that block.
    pub from: B256,
    pub found: RefundFound,
    pub now: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundFound {
    /// Its block is deeper than any reorganization that is looked for.
    Final,
    /// Another block holds it.
    Moved(Inclusion),
    /// The chain dropped it: it is to be sent again.
    Undone,
}

/// What was signed for a refund, under one account nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundSent {
    pub account_nonce: u64,
    /// The newest first.
    pub hashes: Vec<B256>,
}

impl Store {
    /// Takes back what is unspent of a payment and stores the refund, in one commit.
    ///
    /// # Errors
    /// When the store cannot answer; then nothing is taken.
    pub async fn hold_refund(
        &self,
        hold: HoldRefund,
    ) -> Result<Result<Refund, RefundRefusal>, StoreError> {
        let answer = self.queue.submit(hold).await;
        self.payments_changed.notify_waiters();
        answer
    }

    /// Posts how a refund ended, once. False when it had ended already.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn end_refund(&self, end: EndRefund) -> Result<bool, StoreError> {
        let answer = self.queue.submit(end).await;
        self.payments_changed.notify_waiters();
        answer
    }

    /// What is unspent of a payment at this moment.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn unspent(&self, payment: &Payment) -> Result<Rest, StoreError> {
        let mut reader = self.backend.readers().acquire().await?;
        sqlite::refunds::rest(&mut reader, payment).await
    }

    /// # Errors
    /// When the store cannot answer.
    pub async fn refund(&self, id: RefundId) -> Result<Option<Refund>, StoreError> {
        sqlite::refunds::refund(self.backend.readers(), id).await
    }

    /// The refund of a payment that is not void.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn refund_of(&self, payment: PurchaseId) -> Result<Option<Refund>, StoreError> {
        sqlite::refunds::refund_of(self.backend.readers(), payment).await
    }

    /// Refunds that the chain has still to decide: at most `limit` after the id `after`, in the order
    /// of their ids.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn open_refunds(
        &self,
        after: Option<RefundId>,
        limit: u32,
    ) -> Result<Vec<RefundId>, StoreError> {
        sqlite::refunds::open(self.backend.readers(), after, limit).await
    }

    /// Refunds that were paid in blocks which a reorganization may still undo, in no order.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn paid_refunds(&self, chain_id: u64, limit: u32) -> Result<Vec<Refund>, StoreError> {
        sqlite::refunds::paid(self.backend.readers(), chain_id, limit).await
    }

    /// Writes what another look at a paid refund brought. False when it moved on meanwhile.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn recheck_refund(&self, recheck: RecheckRefund) -> Result<bool, StoreError> {
        self.queue.submit(recheck).await
    }

    /// The transaction of a refund that is not at its end, to be sent again.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn reopen_refund(&self, id: RefundId) -> Result<Option<OpenTransaction>, StoreError> {
        self.queue.submit(sqlite::refunds::ReopenRefund(id)).await
    }

    /// What was signed for a refund; `None` while nothing is.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn refund_sent(&self, id: RefundId) -> Result<Option<RefundSent>, StoreError> {
        sqlite::refunds::sent(self.backend.readers(), id).await
    }
}
