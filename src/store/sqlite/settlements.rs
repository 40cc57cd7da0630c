//! The relayers' transactions, and the float's: signed and stored before they are broadcast.

use alloy::primitives::B256;
use sqlx::{Row, SqliteConnection};

use super::{
    super::{
        FillNonce, OpenTransaction, Purpose, ReplaceTransaction, SignedTransaction, StoreError,
        StoreSettlement, StoredSettlement, writer::Command,
    },
    reads, rows,
};
use crate::{base::Timestamp, payment::RefundState};

/// The account nonce is taken in the transaction that stores the bytes signed with it: a crash
/// leaves either both or neither, so no gap ever holds up the relayer.
impl Command for StoreSettlement {
    type Answer = StoredSettlement;

    async fn execute(
        &self,
        transaction: &mut SqliteConnection,
    ) -> Result<Self::Answer, StoreError> {
        if let Some(open) = reads::open_transaction(&mut *transaction, self.purpose).await? {
            return Ok(StoredSettlement::Signed(open.signed));
        }
        let nonce = self.next_nonce(transaction).await?;
        let signed = (self.sign)(nonce);
        let needed_gwei = self.needed_gwei(transaction, &signed).await?;
        if needed_gwei > self.balance_gwei {
            return Ok(StoredSettlement::Short { needed_gwei });
        }
        if !self.advance(transaction, &signed).await? {
            return Ok(StoredSettlement::Moved);
        }
        let place = Place {
            chain_id: rows::signed(self.chain_id, "chain_id")?,
            relayer: self.relayer.as_slice(),
            account_nonce: rows::signed(nonce, "account_nonce")?,
        };
        insert(transaction, place, Some(self.purpose), &signed, self.now).await?;
        Ok(StoredSettlement::Signed(signed))
    }
}

impl StoreSettlement {
    /// False when what it is for may not be settled any more.
    async fn advance(
        &self,
        transaction: &mut SqliteConnection,
        signed: &SignedTransaction,
    ) -> Result<bool, StoreError> {
        let (query, id) = match self.purpose {
            Purpose::Payment(id) => (
                "UPDATE payments SET state = 'broadcast', transaction_hash = ?, updated_ms = ?
                 WHERE id = ? AND state IN ('authorized', 'broadcast')",
                id.to_string(),
            ),
            Purpose::Refund(id) => (
                "UPDATE refunds SET state = 'broadcast', transaction_hash = ?, updated_ms = ?
                 WHERE id = ? AND state = 'held'",
                id.to_string(),
            ),
        };
        let moved = sqlx::query(query)
            .bind(signed.hash.as_slice())
            .bind(self.now.millis())
            .bind(id)
            .execute(transaction)
            .await?;
        Ok(moved.rows_affected() == 1)
    }

    /// What this and the relayer's open transactions that are still to be mined may cost.
    async fn needed_gwei(
        &self,
        transaction: &mut SqliteConnection,
        signed: &SignedTransaction,
    ) -> Result<u64, StoreError> {
        let to_be_mined = self.chain_nonce..u64::MAX;
        let committed =
            reads::committed_gwei(transaction, self.chain_id, self.relayer, to_be_mined).await?;
        Ok(committed.saturating_add(signed.cost_gwei))
    }

    async fn next_nonce(&self, transaction: &mut SqliteConnection) -> Result<u64, StoreError> {
        let row = sqlx::query(
            "SELECT coalesce(max(account_nonce) + 1, 0) AS next FROM relayer_transactions
             WHERE chain_id = ? AND relayer = ?",
        )
        .bind(rows::signed(self.chain_id, "chain_id")?)
        .bind(self.relayer.as_slice())
        .fetch_one(transaction)
        .await?;
        let stored = u64::try_from(row.try_get::<i64, _>("next")?)
            .map_err(|_| StoreError::Corrupt("account_nonce"))?;
        Ok(stored.max(self.chain_nonce))
    }
}

/// The key of a row.
#[derive(Clone, Copy)]
struct Place<'a> {
    chain_id: i64,
    relayer: &'a [u8],
    account_nonce: i64,
}

impl<'a> Place<'a> {
    fn of(open: &'a OpenTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            chain_id: rows::signed(open.chain_id, "chain_id")?,
            relayer: open.relayer.as_slice(),
            account_nonce: rows::signed(open.account_nonce, "account_nonce")?,
        })
    }
}

async fn insert(
    transaction: &mut SqliteConnection,
    place: Place<'_>,
    purpose: Option<Purpose>,
    signed: &SignedTransaction,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (payment, refund) = match purpose {
        Some(Purpose::Payment(id)) => (Some(id.to_string()), None),
        Some(Purpose::Refund(id)) => (None, Some(id.to_string())),
        None => (None, None),
    };
    sqlx::query(
        "INSERT INTO relayer_transactions
            (chain_id, relayer, account_nonce, payment_id, refund_id, hash, raw, cost_gwei, created_ms,
             signed_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(place.chain_id)
    .bind(place.relayer)
    .bind(place.account_nonce)
    .bind(payment)
    .bind(refund)
    .bind(signed.hash.as_slice())
    .bind(&signed.raw)
    .bind(rows::signed(signed.cost_gwei, "cost_gwei")?)
    .bind(now.millis())
    .bind(now.millis())
    .execute(transaction)
    .await?;
    Ok(())
}

/// Conditional on the bytes that were judged: of two tasks that replace them, one does.
impl Command for ReplaceTransaction {
    type Answer = bool;

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<bool, StoreError> {
        let place = Place::of(&self.open)?;
        let replaced = sqlx::query(
            "UPDATE relayer_transactions SET hash = ?, raw = ?, cost_gwei = ?, signed_ms = ?
             WHERE chain_id = ? AND relayer = ? AND account_nonce = ?
               AND status = 'open' AND hash = ?",
        )
        .bind(self.signed.hash.as_slice())
        .bind(&self.signed.raw)
        .bind(rows::signed(self.signed.cost_gwei, "cost_gwei")?)
        .bind(self.now.millis())
        .bind(place.chain_id)
        .bind(place.relayer)
        .bind(place.account_nonce)
        .bind(self.open.signed.hash.as_slice())
        .execute(&mut *transaction)
        .await?;
        if replaced.rows_affected() == 0 {
            return Ok(false);
        }
        // Fees may fall back to what they were: then the old bytes are on record already.
        sqlx::query(
            "INSERT INTO relayer_replaced
                (chain_id, relayer, account_nonce, hash, raw, signed_ms)
             VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(place.chain_id)
        .bind(place.relayer)
        .bind(place.account_nonce)
        .bind(self.open.signed.hash.as_slice())
        .bind(&self.open.signed.raw)
        .bind(self.open.signed_at.millis())
        .execute(&mut *transaction)
        .await?;
        let (query, id) = match self.open.purpose {
            None => return Ok(true),
            Some(Purpose::Payment(id)) => (
                "UPDATE payments SET transaction_hash = ? WHERE id = ? AND state = 'broadcast'",
                id.to_string(),
            ),
            Some(Purpose::Refund(id)) => (
                "UPDATE refunds SET transaction_hash = ? WHERE id = ? AND state = 'broadcast'",
                id.to_string(),
            ),
        };
        sqlx::query(query)
            .bind(self.signed.hash.as_slice())
            .bind(id)
            .execute(transaction)
            .await?;
        Ok(true)
    }
}

impl Command for FillNonce {
    type Answer = Option<SignedTransaction>;

    async fn execute(
        &self,
        transaction: &mut SqliteConnection,
    ) -> Result<Self::Answer, StoreError> {
        let place = Place {
            chain_id: rows::signed(self.chain_id, "chain_id")?,
            relayer: self.relayer.as_slice(),
            account_nonce: rows::signed(self.account_nonce, "account_nonce")?,
        };
        let known = sqlx::query(
            "SELECT relayer_transactions.*, coalesce(state, '') AS refund_state
             FROM relayer_transactions LEFT JOIN refunds ON refunds.id = refund_id
             WHERE relayer_transactions.chain_id = ? AND relayer = ? AND account_nonce = ?",
        )
        .bind(place.chain_id)
        .bind(place.relayer)
        .bind(place.account_nonce)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(known) = known else {
            insert(transaction, place, None, &self.filler, self.now).await?;
            return Ok(Some(self.filler.clone()));
        };
        if known.try_get::<&str, _>("status")? == "open" {
            return Ok(None);
        }
        // The chain undid what was confirmed.
        if known.try_get::<&str, _>("refund_state")? == RefundState::Void.as_str() {
            // Nobody is paid who has the credits again.
            let void = rows::open_transaction(&known)?;
            replace_void(transaction, &void, &self.filler, self.now).await?;
            return Ok(Some(self.filler.clone()));
        }
        // A payment that has another open transaction by now keeps that one.
        sqlx::query(
            "UPDATE relayer_transactions AS this SET status = 'open',
                payment_id = CASE WHEN EXISTS (SELECT 1 FROM relayer_transactions AS other
                        WHERE other.payment_id = this.payment_id AND other.status = 'open')
                    THEN NULL ELSE payment_id END
             WHERE chain_id = ? AND relayer = ? AND account_nonce = ?",
        )
        .bind(place.chain_id)
        .bind(place.relayer)
        .bind(place.account_nonce)
        .execute(transaction)
        .await?;
        Ok(Some(SignedTransaction {
            raw: known.try_get("raw")?,
            hash: B256::from(rows::bytes::<32>(&known, "hash")?),
            cost_gwei: rows::unsigned(&known, "cost_gwei")?,
        }))
    }
}

/// Opens the transaction of a void refund again, with bytes that move nothing.
async fn replace_void(
    transaction: &mut SqliteConnection,
    void: &OpenTransaction,
    filler: &SignedTransaction,
    now: Timestamp,
) -> Result<(), StoreError> {
    let place = Place::of(void)?;
    sqlx::query(
        "UPDATE relayer_transactions SET status = 'open'
         WHERE chain_id = ? AND relayer = ? AND account_nonce = ?",
    )
    .bind(place.chain_id)
    .bind(place.relayer)
    .bind(place.account_nonce)
    .execute(&mut *transaction)
    .await?;
    let replacement = ReplaceTransaction {
        open: void.clone(),
        signed: filler.clone(),
        now,
    };
    replacement.execute(transaction).await?;
    Ok(())
}

pub(in super::super) struct CloseTransaction {
    pub(in super::super) open: OpenTransaction,
    pub(in super::super) reverted: bool,
}

impl Command for CloseTransaction {
    type Answer = ();

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<(), StoreError> {
        let place = Place::of(&self.open)?;
        sqlx::query(
            "UPDATE relayer_transactions SET status = 'closed', reverted = ?
             WHERE chain_id = ? AND relayer = ? AND account_nonce = ?",
        )
        .bind(self.reverted)
        .bind(place.chain_id)
        .bind(place.relayer)
        .bind(place.account_nonce)
        .execute(transaction)
        .await?;
        Ok(())
    }
}
