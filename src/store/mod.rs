//! The books on disk: all SQL, rows to domain and back.
//!
//! Owns durability. Every change is a `Command` that a single writer takes from a queue, executes
//! together with its neighbours and commits once, before anyone is answered (group commit); reads go
//! to a pool beside it. Decisions come from the pure floors; nothing here knows HTTP, chains or the
//! meaning of a payment. Amounts are integer units throughout.
//!
//! SQLite is the one backend so far: it lives in `sqlite`, behind the methods of [`Store`].

mod arrivals;
mod calls;
mod direct;
mod error;
mod facilitators;
mod payers;
mod payments;
mod refunds;
mod reversals;
mod sqlite;
mod suspense;
mod writer;

use std::{ops::Range, path::Path, sync::Arc};

use alloy::primitives::{Address, B256, U256};
use tokio::{sync::Notify, task::JoinHandle};

pub use arrivals::{BookArrival, BookedArrival, MoveCursor, MoveWatch, WatchCursor, WatchedBlock};
pub use calls::{
    Balance, CallReply, FinishCall, HoldRefusal, NewHold, Promotion, ReplyKind, StoredCall,
};
pub use direct::{DirectCall, FinishDirectCall, NewDirectCall};
pub use error::StoreError;
pub use facilitators::{RequestSettlement, SettlementNote, SettlementRequests};
pub use payers::{FAILED_LATELY_MAX, PayerRecord, PayerRefusal, PayerRisk};
pub use payments::{
    BusyRelayer, CreditPayment, FillNonce, GiveUp, NewPayment, OpenTransaction, Payment,
    PaymentRefusal, Purpose, ReplaceTransaction, SignedTransaction, StoreSettlement,
    StoredSettlement,
};
pub use refunds::{
    EndRefund, HoldRefund, RecheckRefund, Refund, RefundEnd, RefundFound, RefundRefusal,
    RefundSent, Rest,
};
pub use reversals::{BlockId, MovePayment, ReversePayment, Reversed};
pub use suspense::{AdminAction, InSuspense, MoveRefusal, MoveSuspense, MovedSuspense};

use crate::{
    base::{AgentAddress, AssetId, ChargeId, NetworkId, PurchaseId, RequestId, Timestamp},
    payment::{PaymentKey, Transfer},
};

/// Limits of the store, from the configuration.
#[derive(Clone, Copy, Debug)]
pub struct StoreLimits {
    /// Bytes of stored replies in all; when they are used up, holds are refused.
    pub stored_replies_bytes_max: u64,
}

/// A handle on the books; clones share one writer.
#[derive(Clone)]
pub struct Store {
    backend: sqlite::Sqlite,
    queue: writer::Queue,
    payments_changed: Arc<Notify>,
}

impl Store {
    /// Opens the SQLite file at `path`, creates and migrates it, and starts the writer. The returned
    /// task ends when every handle is dropped and the queue is empty.
    ///
    /// # Errors
    /// When the file cannot be opened or migrated, or another process has it.
    pub async fn open(
        path: &Path,
        limits: StoreLimits,
    ) -> Result<(Self, JoinHandle<()>), StoreError> {
        let (backend, connection) = sqlite::Sqlite::open(path, limits).await?;
        let (queue, writer) = writer::start(connection);
        let payments_changed = Arc::new(Notify::new());
        Ok((
            Self {
                backend,
                queue,
                payments_changed,
            },
            writer,
        ))
    }

    /// Fails when the writer has stopped or the file cannot be read.
    ///
    /// # Errors
    /// As said.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.queue.submit(sqlite::Check).await?;
        sqlite::reads::check(self.backend.readers()).await
    }

    // Calls -----------------------------------------------------------------------------------

    /// Takes the request id and the price, or says why not.
    ///
    /// # Errors
    /// When the store cannot answer; then nothing is held.
    pub async fn hold(&self, hold: NewHold) -> Result<Result<(), HoldRefusal>, StoreError> {
        self.queue
            .submit(sqlite::Hold {
                hold,
                limits: self.backend.limits(),
            })
            .await
    }

    /// Captures or voids a held charge; the loser of a race is told the winner's outcome.
    ///
    /// # Errors
    /// When the store cannot answer; then the charge may still be held.
    pub async fn finish(&self, finish: FinishCall) -> Result<StoredCall, StoreError> {
        self.queue.submit(finish).await
    }

    /// Holds and captures in one commit.
    ///
    /// # Errors
    /// When the store cannot answer; then nothing is charged.
    pub async fn debit(
        &self,
        hold: NewHold,
        reply: CallReply,
    ) -> Result<Result<StoredCall, HoldRefusal>, StoreError> {
        let hold = sqlite::Hold {
            hold,
            limits: self.backend.limits(),
        };
        self.queue.submit(sqlite::Debit { hold, reply }).await
    }

    /// What is stored under a client's own name for a call.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn call(
        &self,
        wallet: AgentAddress,
        session: &str,
        request_id: &RequestId,
    ) -> Result<Option<StoredCall>, StoreError> {
        sqlite::reads::call(self.backend.readers(), wallet, session, request_id).await
    }

    /// Voids held charges: all of them when `deadline_before` is `None`, as a process that owns the
    /// books alone does when it starts. Returns how many there were.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn void_orphans(
        &self,
        deadline_before: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Vec<ChargeId>, StoreError> {
        self.queue
            .submit(sqlite::VoidOrphans {
                deadline_before,
                now,
            })
            .await
    }

    /// Gives a wallet promotional credits.
    ///
    /// # Errors
    /// When the store cannot answer; then nothing is granted.
    pub async fn promote(&self, promotion: Promotion) -> Result<(), StoreError> {
        self.queue.submit(promotion).await
    }

    /// A wallet's balance and its grants.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn balance(&self, wallet: AgentAddress) -> Result<Balance, StoreError> {
        sqlite::reads::balance(self.backend.readers(), wallet).await
    }

    /// Expires what is due and unallocated, and deletes stored replies whose time is over. Takes a
    /// bounded number; true when there may be more.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn sweep(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.queue.submit(sqlite::Sweep { now }).await
    }

    // Payments --------------------------------------------------------------------------------

    /// Stores the intent of a payment, with the call it pays for if it is a direct one.
    ///
    /// # Errors
    /// When the store cannot answer; then nothing is stored.
    pub async fn insert_payment(
        &self,
        payment: NewPayment,
        call: Option<NewDirectCall>,
    ) -> Result<Result<(), PaymentRefusal>, StoreError> {
        self.queue
            .submit(sqlite::InsertPayment {
                payment,
                call,
                limits: self.backend.limits(),
            })
            .await
    }

    /// Reserves an account nonce, has the settlement signed with it and stores the raw transaction,
    /// all in one commit. What has an open transaction keeps that one.
    ///
    /// # Errors
    /// When the store cannot answer; then nothing was signed that anyone could send.
    pub async fn store_settlement(
        &self,
        settlement: StoreSettlement,
    ) -> Result<StoredSettlement, StoreError> {
        let answer = self.queue.submit(settlement).await;
        self.payments_changed.notify_waiters();
        answer
    }

    /// Notes that a facilitator elsewhere is about to be asked to settle a payment, which may then be
    /// broadcast at any time. False when the payment may not be settled any more.
    ///
    /// # Errors
    /// When the store cannot answer; then nobody may be asked.
    pub async fn request_settlement(&self, request: RequestSettlement) -> Result<bool, StoreError> {
        let answer = self.queue.submit(request).await;
        self.payments_changed.notify_waiters();
        answer
    }

    /// Adds to what is known of a payment that a facilitator was asked to settle.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn note_settlement(
        &self,
        payment: PurchaseId,
        note: SettlementNote,
    ) -> Result<(), StoreError> {
        self.queue
            .submit(sqlite::facilitators::NoteSettlement { payment, note })
            .await
    }

    /// What facilitators elsewhere were asked for a payment; `None` when nobody was.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn settlement_requests(
        &self,
        payment: PurchaseId,
    ) -> Result<Option<SettlementRequests>, StoreError> {
        sqlite::facilitators::settlement_requests(self.backend.readers(), payment).await
    }

    /// Books a confirmed transfer, once. True when this moved money in the books: another may have
    /// been first, and a payment whose tool has still to answer only becomes `confirmed`.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn credit_payment(&self, credit: CreditPayment) -> Result<bool, StoreError> {
        let answer = self.queue.submit(credit).await;
        self.payments_changed.notify_waiters();
        answer
    }

    /// Gives a payment up, unless it moved on meanwhile.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn give_up(&self, give_up: GiveUp) -> Result<(), StoreError> {
        let answer = self.queue.submit(give_up).await;
        self.payments_changed.notify_waiters();
        answer
    }

    /// Opens a refused purchase again: its authorization is still good. False when it moved on.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn reopen_payment(&self, id: PurchaseId, now: Timestamp) -> Result<bool, StoreError> {
        self.queue.submit(sqlite::ReopenPayment { id, now }).await
    }

    /// Stores other bytes for an open transaction and keeps the old ones on record. False when it
    /// was closed or replaced meanwhile.
    ///
    /// # Errors
    /// When the store cannot answer; then nothing was signed that anyone could send.
    pub async fn replace_transaction(
        &self,
        replacement: ReplaceTransaction,
    ) -> Result<bool, StoreError> {
        self.queue.submit(replacement).await
    }

    /// Stores a transaction for an account nonce that the chain waits for; one that was closed is
    /// opened again instead. Answers what to broadcast: `None` when an open one has the nonce.
    ///
    /// # Errors
    /// When the store cannot answer; then nothing was signed that anyone could send.
    pub async fn fill_nonce(
        &self,
        fill: FillNonce,
    ) -> Result<Option<SignedTransaction>, StoreError> {
        self.queue.submit(fill).await
    }

    /// The hashes of what was signed with a transaction's account nonce before its present bytes,
    /// in no order.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn replaced_hashes(&self, open: &OpenTransaction) -> Result<Vec<B256>, StoreError> {
        sqlite::reads::replaced_hashes(self.backend.readers(), open).await
    }

    /// Closes a relayer transaction: its account nonce was used at a confirmed block, by itself or by
    /// another. `reverted`: by itself, for nothing.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn close_transaction(
        &self,
        transaction: &OpenTransaction,
        reverted: bool,
    ) -> Result<(), StoreError> {
        let open = transaction.clone();
        self.queue
            .submit(sqlite::CloseTransaction { open, reverted })
            .await
    }

    /// # Errors
    /// When the store cannot answer.
    pub async fn payment(&self, id: PurchaseId) -> Result<Option<Payment>, StoreError> {
        sqlite::reads::payment(self.backend.readers(), id).await
    }

    /// # Errors
    /// When the store cannot answer.
    pub async fn payment_by_key(&self, key: &PaymentKey) -> Result<Option<Payment>, StoreError> {
        sqlite::reads::payment_by_key(self.backend.readers(), key).await
    }

    /// Payments that the chain has still to decide, a refused one once its authorization has run
    /// out: at most `limit` after the id `after`, in the order of their ids.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn open_payments(
        &self,
        after: Option<PurchaseId>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<PurchaseId>, StoreError> {
        sqlite::reads::open_payments(self.backend.readers(), after, now, limit).await
    }

    /// The accounts that signed transactions which may still be mined, and how many.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn busy_relayers(&self, chain_id: u64) -> Result<Vec<BusyRelayer>, StoreError> {
        sqlite::reads::busy_relayers(self.backend.readers(), chain_id).await
    }

    /// A relayer's transactions that may still be mined, in the order of their account nonces.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn open_transactions(
        &self,
        chain_id: u64,
        relayer: Address,
        limit: u32,
    ) -> Result<Vec<OpenTransaction>, StoreError> {
        sqlite::reads::open_transactions(self.backend.readers(), chain_id, relayer, limit).await
    }

    /// What a relayer's open transactions with these account nonces may cost together, in gwei.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn committed_gwei(
        &self,
        chain_id: u64,
        relayer: Address,
        account_nonces: Range<u64>,
    ) -> Result<u64, StoreError> {
        let readers = self.backend.readers();
        sqlite::reads::committed_gwei(readers, chain_id, relayer, account_nonces).await
    }

    /// The open transaction that was signed for something.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn open_transaction(
        &self,
        purpose: Purpose,
    ) -> Result<Option<OpenTransaction>, StoreError> {
        sqlite::reads::open_transaction(self.backend.readers(), purpose).await
    }

    /// # Errors
    /// When the store cannot answer.
    pub async fn payer_record(
        &self,
        payer: AgentAddress,
        now: Timestamp,
    ) -> Result<PayerRecord, StoreError> {
        sqlite::payers::record(self.backend.readers(), payer, now).await
    }

    /// The payer's open payments in a token, with their amounts in base units.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn promised(
        &self,
        payer: AgentAddress,
        asset: AssetId,
    ) -> Result<Vec<(PurchaseId, U256)>, StoreError> {
        sqlite::payers::promised(self.backend.readers(), payer, asset).await
    }

    /// Payments by Permit2 that this very transfer may pay: those that a reorganization may still
    /// reach, or that were not paid; the newest first, and no more than 256.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn permit2_payments_of(
        &self,
        asset: AssetId,
        transfer: Transfer,
    ) -> Result<Vec<Payment>, StoreError> {
        sqlite::reads::permit2_payments_of(self.backend.readers(), asset, transfer).await
    }

    /// How many transactions the relayer signed for a payment.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn settlement_attempts(&self, id: PurchaseId) -> Result<u32, StoreError> {
        sqlite::reads::settlement_attempts(self.backend.readers(), id).await
    }

    /// Resolves at the next change of any payment.
    #[must_use]
    pub fn payments_changed(&self) -> Arc<Notify> {
        Arc::clone(&self.payments_changed)
    }

    // Arrivals --------------------------------------------------------------------------------

    /// Books a transfer that was found on the chain, unless it is counted already.
    ///
    /// # Errors
    /// When the store cannot answer; then nothing is booked.
    pub async fn book_arrival(&self, arrival: BookArrival) -> Result<BookedArrival, StoreError> {
        let answer = self.queue.submit(arrival).await;
        self.payments_changed.notify_waiters();
        answer
    }

    /// How far a network was watched; `None` before it ever was.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn watch_cursor(
        &self,
        network: NetworkId,
    ) -> Result<Option<WatchCursor>, StoreError> {
        sqlite::watch::cursor(self.backend.readers(), network).await
    }

    /// Moves a network's cursor.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn move_cursor(&self, to: MoveWatch) -> Result<(), StoreError> {
        self.queue.submit(to).await
    }

    /// When the first payTo of a network was written down.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn first_use(&self, network: NetworkId) -> Result<Option<Timestamp>, StoreError> {
        sqlite::watch::first_use(self.backend.readers(), network).await
    }

    // Direct calls ----------------------------------------------------------------------------

    /// # Errors
    /// When the store cannot answer.
    pub async fn direct_call(&self, id: PurchaseId) -> Result<Option<DirectCall>, StoreError> {
        sqlite::reads::direct_call(self.backend.readers(), id).await
    }

    /// Marks a direct call as running; false when it is not waiting any more.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn start_direct_call(&self, id: PurchaseId) -> Result<bool, StoreError> {
        self.queue.submit(sqlite::StartDirectCall { id }).await
    }

    /// Stores what the tool answered, and moves the payment as that demands.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn finish_direct_call(&self, finish: FinishDirectCall) -> Result<(), StoreError> {
        let answer = self.queue.submit(finish).await;
        self.payments_changed.notify_waiters();
        answer
    }

    /// Ends the direct calls that a dead process left. Returns how many there were.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn abandon_direct_calls(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.abandon(sqlite::Abandon::All, now).await
    }

    /// Ends the direct calls that are past their deadline. Returns how many there were.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn abandon_overdue_calls(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.abandon(sqlite::Abandon::Overdue, now).await
    }

    /// Ends a direct call whose payer is sent away before it settled, unless the payer can come
    /// back for its output.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn abandon_direct_call(
        &self,
        id: PurchaseId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.abandon(sqlite::Abandon::One(id), now).await?;
        Ok(())
    }

    async fn abandon(&self, which: sqlite::Abandon, now: Timestamp) -> Result<usize, StoreError> {
        let answer = self
            .queue
            .submit(sqlite::AbandonDirectCalls { which, now })
            .await;
        self.payments_changed.notify_waiters();
        answer
    }

    /// Whether a payer's last settlement failed after its tool had run.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn is_barred(&self, payer: AgentAddress) -> Result<bool, StoreError> {
        sqlite::reads::is_barred(self.backend.readers(), payer).await
    }

    // Reorganizations -------------------------------------------------------------------------

    /// Blocks that payments of a network still depend on, in order: at most `limit` after `after`.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn blocks_depended_on(
        &self,
        chain_id: u64,
        after: Option<BlockId>,
        limit: u32,
    ) -> Result<Vec<BlockId>, StoreError> {
        sqlite::reversals::blocks(self.backend.readers(), chain_id, after, limit).await
    }

    /// Payments that depend on a block, in no order: at most `limit`.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn payments_in_block(
        &self,
        chain_id: u64,
        block: BlockId,
        limit: u32,
    ) -> Result<Vec<PurchaseId>, StoreError> {
        sqlite::reversals::payments_in(self.backend.readers(), chain_id, block, limit).await
    }

    /// The newest block that credited payments of a network are in and do not depend on any more.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn newest_final_block(&self, chain_id: u64) -> Result<Option<BlockId>, StoreError> {
        sqlite::reversals::newest_final_block(self.backend.readers(), chain_id).await
    }

    /// Credited payments in these blocks do not depend on them any more.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn finish_blocks(
        &self,
        chain_id: u64,
        blocks: Vec<BlockId>,
    ) -> Result<(), StoreError> {
        self.queue
            .submit(sqlite::reversals::FinishBlocks { chain_id, blocks })
            .await
    }

    /// Notes that a payment is in another block. Nothing is posted. False when it moved on meanwhile.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn move_payment(&self, moved: MovePayment) -> Result<bool, StoreError> {
        self.queue.submit(moved).await
    }

    /// Takes back all that a payment became in the books, and lets it wait for its transfer again.
    /// `None` when it moved on meanwhile.
    ///
    /// # Errors
    /// When the store cannot answer; then nothing is taken back.
    pub async fn reverse_payment(
        &self,
        reverse: ReversePayment,
    ) -> Result<Option<Reversed>, StoreError> {
        let answer = self.queue.submit(reverse).await;
        self.payments_changed.notify_waiters();
        answer
    }

    // Suspense --------------------------------------------------------------------------------

    /// What is in suspense, the oldest first: at most `limit` after the payment `after`.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn suspense(
        &self,
        after: Option<PurchaseId>,
        limit: u32,
    ) -> Result<Vec<InSuspense>, StoreError> {
        sqlite::suspense::list(self.backend.readers(), after, limit).await
    }

    /// Gives a transfer in suspense to a wallet, once, and records it.
    ///
    /// # Errors
    /// When the store cannot answer; then nothing is moved.
    pub async fn move_suspense(
        &self,
        moved: MoveSuspense,
    ) -> Result<Result<MovedSuspense, MoveRefusal>, StoreError> {
        self.queue.submit(moved).await
    }

    /// What operators did, the newest first: at most `limit` before the action `before`.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn admin_actions(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AdminAction>, StoreError> {
        sqlite::suspense::actions(self.backend.readers(), before, limit).await
    }

    // Start-up --------------------------------------------------------------------------------

    /// Keeps a price list under its hash.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn keep_price_list(
        &self,
        hash: [u8; 32],
        text: String,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.queue
            .submit(sqlite::KeepPriceList { hash, text, now })
            .await
    }

    /// # Errors
    /// When the store cannot answer.
    pub async fn price_list(&self, hash: [u8; 32]) -> Result<Option<String>, StoreError> {
        sqlite::reads::price_list(self.backend.readers(), hash).await
    }

    /// Records the id of a key at its first use, and returns the id on record.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn pin_key(
        &self,
        kind: &'static str,
        id: String,
        now: Timestamp,
    ) -> Result<String, StoreError> {
        self.queue.submit(sqlite::PinKey { kind, id, now }).await
    }

    /// Keeps an address as a payTo of a network, for good, and returns all of that network's. Without
    /// one, only returns them.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn keep_pay_to(
        &self,
        chain_id: u64,
        address: Option<AgentAddress>,
        now: Timestamp,
    ) -> Result<Vec<AgentAddress>, StoreError> {
        let kind = sqlite::KeptAddress::PayTo;
        self.keep_address(kind, chain_id, address, now).await
    }

    /// Keeps an address as a purchase contract of a network, for good, and returns all of that
    /// network's. Without one, only returns them.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn keep_purchase_contract(
        &self,
        chain_id: u64,
        address: Option<AgentAddress>,
        now: Timestamp,
    ) -> Result<Vec<AgentAddress>, StoreError> {
        let kind = sqlite::KeptAddress::PurchaseContract;
        self.keep_address(kind, chain_id, address, now).await
    }

    async fn keep_address(
        &self,
        kind: sqlite::KeptAddress,
        chain_id: u64,
        address: Option<AgentAddress>,
        now: Timestamp,
    ) -> Result<Vec<AgentAddress>, StoreError> {
        self.queue
            .submit(sqlite::KeepAddress {
                kind,
                chain_id,
                address,
                now,
            })
            .await
    }
}
