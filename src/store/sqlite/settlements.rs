//! The relayer's transactions: signed and stored before they are broadcast.

use sqlx::{Row, SqliteConnection};

use super::{
    super::{OpenTransaction, SignedTransaction, StoreError, StoreSettlement, writer::Command},
    reads, rows,
};

/// The account nonce is taken in the transaction that stores the bytes signed with it: a crash
/// leaves either both or neither, so no gap ever holds up the relayer.
impl Command for StoreSettlement {
    type Answer = Option<SignedTransaction>;

    async fn execute(
        &self,
        transaction: &mut SqliteConnection,
    ) -> Result<Self::Answer, StoreError> {
        self.reopen_undone(transaction).await?;
        if let Some(open) = reads::open_transaction(&mut *transaction, self.payment).await? {
            return Ok(Some(open.signed));
        }
        let moved = sqlx::query(
            "UPDATE payments SET state = 'broadcast', updated_ms = ?
             WHERE id = ? AND state IN ('authorized', 'broadcast')",
        )
        .bind(self.now.millis())
        .bind(self.payment.to_string())
        .execute(&mut *transaction)
        .await?;
        if moved.rows_affected() == 0 {
            return Ok(None);
        }
        let nonce = self.next_nonce(transaction).await?;
        let signed = (self.sign)(nonce);
        sqlx::query(
            "INSERT INTO relayer_transactions
                (chain_id, relayer, account_nonce, payment_id, hash, raw, created_ms)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(rows::signed(self.chain_id, "chain_id")?)
        .bind(self.relayer.as_slice())
        .bind(rows::signed(nonce, "account_nonce")?)
        .bind(self.payment.to_string())
        .bind(signed.hash.as_slice())
        .bind(&signed.raw)
        .bind(self.now.millis())
        .execute(&mut *transaction)
        .await?;
        sqlx::query("UPDATE payments SET transaction_hash = ? WHERE id = ?")
            .bind(signed.hash.as_slice())
            .bind(self.payment.to_string())
            .execute(transaction)
            .await?;
        Ok(Some(signed))
    }
}

impl StoreSettlement {
    /// What a reorganization undid has to be sent again, or its account nonces hold up all later
    /// ones. One transaction of a payment at a time; the next has its turn when that is closed.
    async fn reopen_undone(&self, transaction: &mut SqliteConnection) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE relayer_transactions AS undone SET status = 'open'
             WHERE chain_id = ?1 AND relayer = ?2 AND account_nonce >= ?3 AND status = 'closed'
               AND NOT EXISTS (
                   SELECT 1 FROM relayer_transactions AS other
                   WHERE other.payment_id = undone.payment_id
                     AND (other.status = 'open'
                          OR (other.account_nonce >= ?3
                              AND other.account_nonce < undone.account_nonce)))",
        )
        .bind(rows::signed(self.chain_id, "chain_id")?)
        .bind(self.relayer.as_slice())
        .bind(rows::signed(self.mined_nonce, "account_nonce")?)
        .execute(transaction)
        .await?;
        Ok(())
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

pub(in super::super) struct CloseTransaction {
    chain_id: u64,
    relayer: alloy::primitives::Address,
    account_nonce: u64,
}

impl CloseTransaction {
    pub(in super::super) fn of(transaction: &OpenTransaction) -> Self {
        let OpenTransaction {
            chain_id,
            relayer,
            account_nonce,
            ..
        } = *transaction;
        Self {
            chain_id,
            relayer,
            account_nonce,
        }
    }
}

impl Command for CloseTransaction {
    type Answer = ();

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE relayer_transactions SET status = 'closed'
             WHERE chain_id = ? AND relayer = ? AND account_nonce = ?",
        )
        .bind(rows::signed(self.chain_id, "chain_id")?)
        .bind(self.relayer.as_slice())
        .bind(rows::signed(self.account_nonce, "account_nonce")?)
        .execute(transaction)
        .await?;
        Ok(())
    }
}
