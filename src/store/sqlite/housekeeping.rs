//! What nobody asks for: orphaned holds, grants that ran out, replies whose time is over.

use sqlx::{Row, SqliteConnection};

use super::{
    super::{StoreError, writer::Command},
    books, finish, rows,
};
use crate::{
    base::{AgentAddress, ChargeId, Timestamp},
    ledger::ChargeStatus,
};

/// Rows that one sweep takes of each kind, so that it never holds up the calls for long.
const SWEEP_MAX: i64 = 500;

/// Does nothing, durably: shows that the writer lives.
pub(in super::super) struct Check;

impl Command for Check {
    type Answer = ();

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(transaction).await?;
        Ok(())
    }
}

pub(in super::super) struct VoidOrphans {
    pub(in super::super) deadline_before: Option<Timestamp>,
    pub(in super::super) now: Timestamp,
}

impl Command for VoidOrphans {
    type Answer = Vec<ChargeId>;

    async fn execute(
        &self,
        transaction: &mut SqliteConnection,
    ) -> Result<Vec<ChargeId>, StoreError> {
        let deadline = self.deadline_before.map_or(i64::MAX, Timestamp::millis);
        let rows = sqlx::query("SELECT id FROM charges WHERE status = 'held' AND deadline_ms < ?")
            .bind(deadline)
            .fetch_all(&mut *transaction)
            .await?;
        let mut voided = Vec::with_capacity(rows.len());
        for row in &rows {
            let charge: ChargeId = rows::parsed(row, "id")?;
            finish::release(transaction, charge, ChargeStatus::Voided, None, self.now).await?;
            voided.push(charge);
        }
        Ok(voided)
    }
}

pub(in super::super) struct Sweep {
    pub(in super::super) now: Timestamp,
}

impl Command for Sweep {
    /// Whether there may be more.
    type Answer = bool;

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<bool, StoreError> {
        let expired = self.expire_grants(transaction).await?;
        let requests = sqlx::query(
            "DELETE FROM requests WHERE (wallet, session, request_id) IN (
                 SELECT wallet, requests.session, requests.request_id FROM requests
                 JOIN charges ON charges.id = charge_id
                 WHERE expires_ms < ? AND status <> 'held' LIMIT ?)",
        )
        .bind(self.now.millis())
        .bind(SWEEP_MAX)
        .execute(&mut *transaction)
        .await?;
        let direct_calls = sqlx::query(
            "UPDATE direct_calls SET reply_body = NULL WHERE payment_id IN (
                 SELECT payment_id FROM direct_calls
                 WHERE expires_ms < ? AND reply_body IS NOT NULL LIMIT ?)",
        )
        .bind(self.now.millis())
        .bind(SWEEP_MAX)
        .execute(&mut *transaction)
        .await?;
        let full = u64::try_from(SWEEP_MAX).unwrap_or_default();
        let taken = [
            requests.rows_affected(),
            direct_calls.rows_affected(),
            expired as u64,
        ];
        Ok(taken.contains(&full))
    }
}

impl Sweep {
    async fn expire_grants(&self, transaction: &mut SqliteConnection) -> Result<usize, StoreError> {
        let rows = sqlx::query(
            "SELECT name, grants.id AS grant_id, source, priority, expires_ms, remaining_units,
                    grants.held_units AS grant_held_units
             FROM grants JOIN accounts ON accounts.id = account_id
             WHERE expires_ms <= ? AND expires_ms IS NOT NULL AND remaining_units > grants.held_units
             LIMIT ?",
        )
        .bind(self.now.millis())
        .bind(SWEEP_MAX)
        .fetch_all(&mut *transaction)
        .await?;
        for row in &rows {
            let name: &str = row.try_get("name")?;
            let wallet: AgentAddress = name
                .strip_prefix("wallet:")
                .and_then(|address| address.parse().ok())
                .ok_or(StoreError::Corrupt("accounts.name"))?;
            books::expire(transaction, wallet, &rows::grant(row)?, self.now).await?;
        }
        Ok(rows.len())
    }
}
