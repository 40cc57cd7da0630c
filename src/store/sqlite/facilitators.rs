//! Requests to facilitators elsewhere: stored before they are sent.

use alloy::primitives::B256;
use sqlx::{Executor, Row, Sqlite, SqliteConnection};

use super::{
    super::{RequestSettlement, SettlementNote, SettlementRequests, StoreError, writer::Command},
    rows,
};
use crate::base::{PurchaseId, Timestamp};

/// From here on the payment may be broadcast by somebody else at any time, so it is never merely
/// refused any more. Conditional on its state: a payment that is at its end is not asked for.
impl Command for RequestSettlement {
    /// Whether the request may go.
    type Answer = bool;

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<bool, StoreError> {
        let moved = sqlx::query(
            "UPDATE payments SET state = 'broadcast', updated_ms = ?
             WHERE id = ? AND state IN ('authorized', 'broadcast')",
        )
        .bind(self.now.millis())
        .bind(self.payment.to_string())
        .execute(&mut *transaction)
        .await?;
        if moved.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO facilitator_requests (payment_id, facilitator, requests, requested_ms)
             VALUES (?, ?, 1, ?)
             ON CONFLICT (payment_id) DO UPDATE SET facilitator = excluded.facilitator,
                requests = requests + 1, requested_ms = excluded.requested_ms",
        )
        .bind(self.payment.to_string())
        .bind(self.facilitator.as_str())
        .bind(self.now.millis())
        .execute(transaction)
        .await?;
        Ok(true)
    }
}

pub(in super::super) struct NoteSettlement {
    pub(in super::super) payment: PurchaseId,
    pub(in super::super) note: SettlementNote,
}

impl Command for NoteSettlement {
    type Answer = ();

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<(), StoreError> {
        let id = self.payment.to_string();
        let query = match &self.note {
            SettlementNote::Hint(hint) => {
                sqlx::query("UPDATE facilitator_requests SET hint = ? WHERE payment_id = ?")
                    .bind(hint.as_slice())
                    .bind(id)
            }
            SettlementNote::WouldFail => {
                sqlx::query("UPDATE facilitator_requests SET would_fail = 1 WHERE payment_id = ?")
                    .bind(id)
            }
        };
        query.execute(transaction).await?;
        Ok(())
    }
}

pub(in super::super) async fn settlement_requests<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    payment: PurchaseId,
) -> Result<Option<SettlementRequests>, StoreError> {
    let row = sqlx::query(
        "SELECT requests, requested_ms, hint, would_fail FROM facilitator_requests
         WHERE payment_id = ?",
    )
    .bind(payment.to_string())
    .fetch_optional(executor)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let hint: Option<&[u8]> = row.try_get("hint")?;
    Ok(Some(SettlementRequests {
        count: u32::try_from(rows::unsigned(&row, "requests")?)
            .map_err(|_| StoreError::Corrupt("requests"))?,
        last_at: Timestamp::from_millis(row.try_get("requested_ms")?),
        hint: hint
            .map(|hint| B256::try_from(hint).map_err(|_| StoreError::Corrupt("hint")))
            .transpose()?,
        would_fail: row.try_get("would_fail")?,
    }))
}
