//! Money that is nobody's yet, and the record of what operators do.

use sqlx::{Row, SqliteConnection, SqlitePool};

use super::{
    super::{
        AdminAction, InSuspense, MoveRefusal, MoveSuspense, MovedSuspense, Payment, StoreError,
        writer::Command,
    },
    books::{self, NewGrant},
    payments, reads, rows,
};
use crate::{
    base::{PurchaseId, Timestamp},
    ledger::{Account, PostingReason},
    payment::Booked,
};

pub(in super::super) async fn list(
    pool: &SqlitePool,
    after: Option<PurchaseId>,
    limit: u32,
) -> Result<Vec<InSuspense>, StoreError> {
    let rows = sqlx::query(
        "SELECT * FROM payments
         WHERE booked = 'suspense'
           AND (?1 IS NULL
                OR (created_ms, id) > (SELECT created_ms, id FROM payments WHERE id = ?1))
         ORDER BY created_ms, id LIMIT ?2",
    )
    .bind(after.map(|after| after.to_string()))
    .bind(limit)
    .fetch_all(pool)
    .await?;
    let read = |row| {
        Ok(InSuspense {
            payment: rows::payment(row)?,
            since: Timestamp::from_millis(row.try_get("created_ms")?),
        })
    };
    rows.iter().map(read).collect()
}

/// One transaction: the posting, the grant, whose the payment is from now on, and the record of it.
impl Command for MoveSuspense {
    type Answer = Result<MovedSuspense, MoveRefusal>;

    async fn execute(
        &self,
        transaction: &mut SqliteConnection,
    ) -> Result<Self::Answer, StoreError> {
        let Some(payment) = reads::payment(&mut *transaction, self.payment).await? else {
            return Ok(Err(MoveRefusal::Unknown));
        };
        let credits = payment.credits;
        if payment.booked != Some(Booked::Suspense) {
            // What the chain dropped since is with nobody.
            if payment.booked.is_none() || !was_moved(transaction, &payment).await? {
                let state = payment.state;
                return Ok(Err(MoveRefusal::NotInSuspense { state }));
            }
            if payment.wallet != self.to {
                let wallet = payment.wallet;
                return Ok(Err(MoveRefusal::MovedElsewhere { wallet }));
            }
            let already = true;
            return Ok(Ok(MovedSuspense { credits, already }));
        }
        if !credits.is_positive() {
            return Ok(Err(MoveRefusal::TooSmall));
        }
        self.give(transaction, &payment).await?;
        let arguments = format!("payment={} to={}", self.payment, self.to);
        let note = self.note.as_deref();
        note_action(transaction, "suspense move", &arguments, note, self.now).await?;
        let already = false;
        Ok(Ok(MovedSuspense { credits, already }))
    }
}

impl MoveSuspense {
    async fn give(
        &self,
        transaction: &mut SqliteConnection,
        payment: &Payment,
    ) -> Result<(), StoreError> {
        // Should the chain drop it now and bring it back, it is this wallet's.
        sqlx::query(
            "UPDATE payments SET booked = 'wallet', wallet = ?, unattributed = 0, updated_ms = ?
             WHERE id = ?",
        )
        .bind(self.to.to_string())
        .bind(self.now.millis())
        .bind(self.payment.to_string())
        .execute(&mut *transaction)
        .await?;
        let grant = NewGrant {
            wallet: self.to,
            from: Account::Suspense(payment.asset),
            amount: payment.credits,
            source: payments::source(payment.way),
            reason: PostingReason::Attribution,
            priority: payments::PURCHASE_PRIORITY,
            expires_at: None,
            reference: &self.payment.to_string(),
            now: self.now,
        };
        books::grant(transaction, grant).await
    }
}

/// Asked in the writer; its list of reasons is that of an index.
pub(super) const WAS_MOVED: &str = "SELECT 1 FROM postings
     WHERE reference = ? AND reason = 'attribution'
       AND reason IN ('purchase', 'direct_call', 'suspense', 'attribution', 'reversal', 'recovery', 'refund', 'refund_void')";

async fn was_moved(
    transaction: &mut SqliteConnection,
    payment: &Payment,
) -> Result<bool, StoreError> {
    let row = sqlx::query(WAS_MOVED)
        .bind(payment.id.to_string())
        .fetch_optional(transaction)
        .await?;
    Ok(row.is_some())
}

/// Records what an operator did, in the transaction that does it.
async fn note_action(
    transaction: &mut SqliteConnection,
    verb: &'static str,
    arguments: &str,
    note: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO admin_actions (verb, arguments, note, created_ms) VALUES (?, ?, ?, ?)",
    )
    .bind(verb)
    .bind(arguments)
    .bind(note)
    .bind(now.millis())
    .execute(transaction)
    .await?;
    Ok(())
}

/// What operators did, the newest first: at most `limit` before the action `before`.
pub(in super::super) async fn actions(
    pool: &SqlitePool,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<AdminAction>, StoreError> {
    let rows = sqlx::query("SELECT * FROM admin_actions WHERE id < ? ORDER BY id DESC LIMIT ?")
        .bind(before.unwrap_or(i64::MAX))
        .bind(limit)
        .fetch_all(pool)
        .await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        Ok(AdminAction {
            id: row.try_get("id")?,
            verb: row.try_get("verb")?,
            arguments: row.try_get("arguments")?,
            note: row.try_get("note")?,
            at: Timestamp::from_millis(row.try_get("created_ms")?),
        })
    };
    rows.iter().map(read).collect()
}
