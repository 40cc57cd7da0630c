//! Money that is nobody's yet.

use sqlx::{Row, SqlitePool};

use super::{
    super::{InSuspense, StoreError},
    rows,
};
use crate::base::{PurchaseId, Timestamp};

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
