//! Calls that are paid one by one.

use sqlx::SqliteConnection;

use super::{
    super::{FinishDirectCall, ReplyKind, StoreError, writer::Command},
    payments, reads, rows,
};
use crate::{
    base::{PurchaseId, Timestamp},
    payment::{Booked, PaymentState},
};

pub(in super::super) struct StartDirectCall {
    pub(in super::super) id: PurchaseId,
}

impl Command for StartDirectCall {
    type Answer = bool;

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<bool, StoreError> {
        let moved = sqlx::query(
            "UPDATE direct_calls SET stage = 'running'
             WHERE payment_id = ? AND stage = 'waiting'
               AND EXISTS (SELECT 1 FROM payments WHERE id = payment_id AND state = 'confirmed')",
        )
        .bind(self.id.to_string())
        .execute(transaction)
        .await?;
        Ok(moved.rows_affected() == 1)
    }
}

/// A tool that answered keeps its payment: settled first, it becomes revenue now; otherwise the
/// settlement follows. A tool that failed does not: a payment that settled first becomes credits of
/// its payer, and one that did not is never settled.
impl Command for FinishDirectCall {
    type Answer = ();

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<(), StoreError> {
        let stage = match self.reply.kind {
            ReplyKind::Captured => "done",
            ReplyKind::Failed => "failed",
            ReplyKind::TimedOut => "timed_out",
        };
        let moved = sqlx::query(
            "UPDATE direct_calls SET stage = ?, reply_status = ?, reply_body = ?
             WHERE payment_id = ? AND stage = 'running'",
        )
        .bind(stage)
        .bind(self.reply.status.map(i64::from))
        .bind(&self.reply.body)
        .bind(self.payment.to_string())
        .execute(&mut *transaction)
        .await?;
        if moved.rows_affected() == 0 {
            return Ok(());
        }
        let succeeded = self.reply.kind == ReplyKind::Captured;
        settle_up(transaction, self.payment, succeeded, self.now).await
    }
}

/// Moves the money of a call that has ended, or gives its payment up.
async fn settle_up(
    transaction: &mut SqliteConnection,
    id: PurchaseId,
    succeeded: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    let payment = reads::payment(&mut *transaction, id)
        .await?
        .ok_or(StoreError::Corrupt("payments"))?;
    match payment.state {
        PaymentState::Confirmed => {
            if succeeded {
                set_booked(transaction, id, Booked::Revenue, now).await?;
                payments::to_revenue(transaction, &payment, now).await
            } else {
                set_booked(transaction, id, Booked::Wallet, now).await?;
                payments::to_wallet(transaction, &payment, now).await
            }
        }
        PaymentState::Authorized if !succeeded => set_refused(transaction, id, now).await,
        PaymentState::Authorized
        | PaymentState::Broadcast
        | PaymentState::Credited
        | PaymentState::Refused
        | PaymentState::Failed
        | PaymentState::Expired => Ok(()),
    }
}

async fn set_booked(
    transaction: &mut SqliteConnection,
    id: PurchaseId,
    booked: Booked,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE payments SET state = 'credited', booked = ?, reason = NULL, updated_ms = ?
         WHERE id = ?",
    )
    .bind(booked.as_str())
    .bind(now.millis())
    .bind(id.to_string())
    .execute(transaction)
    .await?;
    Ok(())
}

async fn set_refused(
    transaction: &mut SqliteConnection,
    id: PurchaseId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE payments SET state = 'refused', reason = 'call_failed', updated_ms = ?
         WHERE id = ?",
    )
    .bind(now.millis())
    .bind(id.to_string())
    .execute(transaction)
    .await?;
    Ok(())
}

/// Which calls are to be ended.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Abandon {
    /// All that a dead process left.
    All,
    /// Those past their deadline.
    Overdue,
    /// The one whose payer is sent away before it settled.
    One(PurchaseId),
}

/// Ends calls whose payer will never see a result: what was broken off, and what a payer without a
/// `payment-identifier` cannot come back for. A payment that was not broadcast is given up; any other
/// becomes credits of its payer.
pub(in super::super) struct AbandonDirectCalls {
    pub(in super::super) which: Abandon,
    pub(in super::super) now: Timestamp,
}

impl Command for AbandonDirectCalls {
    type Answer = usize;

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<usize, StoreError> {
        let rows = match self.which {
            Abandon::All | Abandon::Overdue => {
                let deadline = match self.which {
                    Abandon::Overdue => self.now.millis(),
                    Abandon::All | Abandon::One(_) => i64::MAX,
                };
                sqlx::query(
                    "SELECT payment_id AS id FROM direct_calls JOIN payments ON payments.id = payment_id
                     WHERE state IN ('authorized', 'broadcast', 'confirmed')
                       AND stage IN ('waiting', 'running', 'done') AND deadline_ms < ?
                       AND (stage IN ('waiting', 'running') OR NOT identified)",
                )
                .bind(deadline)
            }
            Abandon::One(id) => sqlx::query(
                "SELECT payment_id AS id FROM direct_calls JOIN payments ON payments.id = payment_id
                 WHERE payment_id = ? AND NOT identified
                   AND ((state IN ('authorized', 'broadcast') AND stage IN ('waiting', 'done'))
                        OR (state = 'confirmed' AND stage = 'waiting'))",
            )
            .bind(id.to_string()),
        }
        .fetch_all(&mut *transaction)
        .await?;
        for row in &rows {
            let id: PurchaseId = rows::parsed(row, "id")?;
            sqlx::query("UPDATE direct_calls SET stage = 'abandoned' WHERE payment_id = ?")
                .bind(id.to_string())
                .execute(&mut *transaction)
                .await?;
            settle_up(transaction, id, false, self.now).await?;
        }
        Ok(rows.len())
    }
}
