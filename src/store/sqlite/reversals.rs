//! Payments whose blocks the chain may undo: found, moved, taken back, and credited again.

use alloy::primitives::B256;
use sqlx::{Row, SqliteConnection, SqlitePool};

use super::{
    super::{BlockId, MovePayment, Payment, ReversePayment, Reversed, StoreError, writer::Command},
    books, payments, reads, rows,
};
use crate::{
    base::{Credits, PurchaseId, Timestamp},
    ledger::{Account, Posting, PostingReason, Reversal, Standing, recover, reverse},
    payment::Booked,
};

/// Blocks that payments still depend on, in order: at most `limit` after the block `after`.
pub(in super::super) async fn blocks(
    pool: &SqlitePool,
    chain_id: u64,
    after: Option<BlockId>,
    limit: u32,
) -> Result<Vec<BlockId>, StoreError> {
    let (number, hash) = after.unwrap_or_default();
    let rows = sqlx::query(
        "SELECT DISTINCT block, block_hash FROM payments
         WHERE final = 0 AND state IN ('credited', 'confirmed') AND chain_id = ?
           AND (block, block_hash) > (?, ?)
         ORDER BY block, block_hash LIMIT ?",
    )
    .bind(rows::signed(chain_id, "chain_id")?)
    .bind(rows::signed(number, "block")?)
    .bind(hash.as_slice())
    .bind(limit)
    .fetch_all(pool)
    .await?;
    let block = |row| {
        let hash = B256::from(rows::bytes::<32>(row, "block_hash")?);
        Ok((rows::unsigned(row, "block")?, hash))
    };
    rows.iter().map(block).collect()
}

/// The newest block that payments do not depend on any more.
pub(in super::super) async fn newest_final_block(
    pool: &SqlitePool,
    chain_id: u64,
) -> Result<Option<BlockId>, StoreError> {
    let row = sqlx::query(
        "SELECT block, block_hash FROM payments WHERE final = 1 AND chain_id = ?
         ORDER BY block DESC LIMIT 1",
    )
    .bind(rows::signed(chain_id, "chain_id")?)
    .fetch_optional(pool)
    .await?;
    row.map(|row| {
        let hash = B256::from(rows::bytes::<32>(&row, "block_hash")?);
        Ok((rows::unsigned(&row, "block")?, hash))
    })
    .transpose()
}

/// Payments that depend on a block, in no order.
pub(in super::super) async fn payments_in(
    pool: &SqlitePool,
    chain_id: u64,
    block: BlockId,
    limit: u32,
) -> Result<Vec<PurchaseId>, StoreError> {
    let rows = sqlx::query(
        "SELECT id FROM payments
         WHERE final = 0 AND state IN ('credited', 'confirmed') AND chain_id = ?
           AND block = ? AND block_hash = ? LIMIT ?",
    )
    .bind(rows::signed(chain_id, "chain_id")?)
    .bind(rows::signed(block.0, "block")?)
    .bind(block.1.as_slice())
    .bind(limit)
    .fetch_all(pool)
    .await?;
    rows.iter().map(|row| rows::parsed(row, "id")).collect()
}

pub(in super::super) struct FinishBlocks {
    pub(in super::super) chain_id: u64,
    pub(in super::super) blocks: Vec<BlockId>,
}

impl Command for FinishBlocks {
    type Answer = ();

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<(), StoreError> {
        for (number, hash) in &self.blocks {
            // What is confirmed only is looked at until it is credited.
            sqlx::query(
                "UPDATE payments SET final = 1
                 WHERE final = 0 AND state = 'credited' AND state IN ('credited', 'confirmed')
                   AND chain_id = ? AND block = ? AND block_hash = ?",
            )
            .bind(rows::signed(self.chain_id, "chain_id")?)
            .bind(rows::signed(*number, "block")?)
            .bind(hash.as_slice())
            .execute(&mut *transaction)
            .await?;
        }
        Ok(())
    }
}

/// Conditional on the block that was judged: of two tasks that move a payment, one does.
impl Command for MovePayment {
    type Answer = bool;

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<bool, StoreError> {
        let moved = sqlx::query(
            "UPDATE payments SET transaction_hash = ?, block = ?, block_hash = ?, updated_ms = ?
             WHERE id = ? AND final = 0 AND state IN ('credited', 'confirmed') AND block_hash = ?",
        )
        .bind(self.at.transaction.as_slice())
        .bind(rows::signed(self.at.block, "block")?)
        .bind(self.at.block_hash.as_slice())
        .bind(self.now.millis())
        .bind(self.payment.to_string())
        .bind(self.from.as_slice())
        .execute(&mut *transaction)
        .await?;
        if moved.rows_affected() == 0 {
            return Ok(false);
        }
        payments::take_transfer(transaction, self.payment, &self.transfers).await?;
        Ok(true)
    }
}

/// Back to `broadcast`, with all that the payment had moved in the books. Conditional on the block that
/// was judged, so a second execution changes nothing.
impl Command for ReversePayment {
    /// What was taken back; `None` when the payment moved on meanwhile.
    type Answer = Option<Reversed>;

    async fn execute(
        &self,
        transaction: &mut SqliteConnection,
    ) -> Result<Self::Answer, StoreError> {
        let payment = reads::payment(&mut *transaction, self.payment).await?;
        let payment = payment.ok_or(StoreError::Corrupt("payments"))?;
        let moved = sqlx::query(
            "UPDATE payments SET state = 'broadcast', booked = NULL, block = NULL,
                block_hash = NULL, reversals = reversals + 1, updated_ms = ?
             WHERE id = ? AND final = 0 AND state IN ('credited', 'confirmed') AND block_hash = ?",
        )
        .bind(self.now.millis())
        .bind(self.payment.to_string())
        .bind(self.from.as_slice())
        .execute(&mut *transaction)
        .await?;
        if moved.rows_affected() == 0 {
            return Ok(None);
        }
        let reversal = take_back(transaction, &payment, self.now).await?;
        reopen_settlement(transaction, self.payment).await?;
        Ok(Some(Reversed {
            was: payment.state,
            taken: reversal.taken,
            suspended: reversal.suspended,
            lost: reversal.lost,
        }))
    }
}

async fn take_back(
    transaction: &mut SqliteConnection,
    payment: &Payment,
    now: Timestamp,
) -> Result<Reversal, StoreError> {
    let standing = standing(transaction, payment.id).await?;
    let grants = match payment.booked {
        Some(Booked::Wallet) => {
            let account = books::wallet_account(&mut *transaction, payment.wallet).await?;
            account.map(|account| account.grants).unwrap_or_default()
        }
        Some(Booked::Revenue | Booked::Suspense) | None => Vec::new(),
    };
    let reversal = reverse(&standing, payments::source(payment.way), &grants);
    for take in &reversal.takes {
        sqlx::query("UPDATE grants SET remaining_units = remaining_units - ? WHERE id = ?")
            .bind(take.amount.units())
            .bind(take.grant.0)
            .execute(&mut *transaction)
            .await?;
    }
    let cash = Account::Cash(payment.asset);
    for (from, amount) in [
        (Account::Wallet(payment.wallet), reversal.taken),
        (Account::Suspense(payment.asset), reversal.suspended),
        (Account::Loss, reversal.lost),
    ] {
        let reason = PostingReason::Reversal;
        post(transaction, payment, from, cash, amount, reason, now).await?;
    }
    Ok(reversal)
}

/// Gives the house back what it paid for the payment when the chain had dropped it. Answers what is
/// left of the payment for those whom it is for.
pub(super) async fn recover_loss(
    transaction: &mut SqliteConnection,
    payment: &Payment,
    now: Timestamp,
) -> Result<Credits, StoreError> {
    if payment.reversals == 0 {
        return Ok(payment.credits);
    }
    let standing = standing(transaction, payment.id).await?;
    let back = recover(payment.credits, standing.lost);
    let (cash, reason) = (Account::Cash(payment.asset), PostingReason::Recovery);
    post(transaction, payment, cash, Account::Loss, back, reason, now).await?;
    payment
        .credits
        .checked_sub(back)
        .ok_or(StoreError::Corrupt("postings"))
}

/// Posts an amount, unless it is nothing.
async fn post(
    transaction: &mut SqliteConnection,
    payment: &Payment,
    from: Account,
    to: Account,
    amount: Credits,
    reason: PostingReason,
    now: Timestamp,
) -> Result<(), StoreError> {
    if !amount.is_positive() {
        return Ok(());
    }
    let posting =
        Posting::new(from, to, amount, reason).map_err(|_| StoreError::Corrupt("credits_units"))?;
    books::post(transaction, &posting, &payment.id.to_string(), now).await
}

/// What the payment's postings add up to.
async fn standing(
    transaction: &mut SqliteConnection,
    payment: PurchaseId,
) -> Result<Standing, StoreError> {
    let rows = sqlx::query(
        "SELECT name, sum(iif(to_account = accounts.id, amount_units, -amount_units)) AS net_units
         FROM postings JOIN accounts ON accounts.id IN (from_account, to_account)
         WHERE reference = ?
           AND reason IN ('purchase', 'direct_call', 'suspense', 'attribution', 'reversal', 'recovery', 'refund', 'refund_void')
         GROUP BY accounts.id",
    )
    .bind(payment.to_string())
    .fetch_all(transaction)
    .await?;
    let (mut cash, mut wallet, mut suspense, mut loss) = (0, 0, 0, 0_i64);
    for row in &rows {
        let net: i64 = row.try_get("net_units")?;
        let name: &str = row.try_get("name")?;
        match name.split_once(':').map_or(name, |(kind, _)| kind) {
            "cash" => cash += net,
            "wallet" => wallet += net,
            "suspense" => suspense += net,
            "loss" => loss += net,
            _ => {}
        }
    }
    Ok(Standing {
        arrived: Credits::from_units(-cash),
        given: Credits::from_units(wallet),
        suspended: Credits::from_units(suspense),
        lost: Credits::from_units(-loss),
    })
}

/// The chain dropped the settlement too, if it was ours: its newest bytes are sent again. Should its
/// account nonce be used all the same, the next look at it closes it once more.
async fn reopen_settlement(
    transaction: &mut SqliteConnection,
    payment: PurchaseId,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE relayer_transactions SET status = 'open'
         WHERE (chain_id, relayer, account_nonce) = (
                SELECT chain_id, relayer, account_nonce FROM relayer_transactions
                WHERE payment_id = ?1 ORDER BY signed_ms DESC, account_nonce DESC LIMIT 1)
           AND NOT EXISTS (SELECT 1 FROM relayer_transactions
                           WHERE payment_id = ?1 AND status = 'open')",
    )
    .bind(payment.to_string())
    .execute(transaction)
    .await?;
    Ok(())
}
