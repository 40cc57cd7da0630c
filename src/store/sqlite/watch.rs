//! How far each network was watched.

use alloy::primitives::B256;
use sqlx::{SqliteConnection, SqlitePool};

use super::{
    super::{MoveCursor, MoveWatch, StoreError, WatchCursor, WatchedBlock, writer::Command},
    rows,
};
use crate::base::{NetworkId, Timestamp};

impl Command for MoveWatch {
    type Answer = ();

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<(), StoreError> {
        let chain_id = rows::signed(self.network.chain_id(), "chain_id")?;
        match self.to {
            MoveCursor::Begin { first } => begin(transaction, chain_id, first).await,
            MoveCursor::Past { block, keep } => past(transaction, chain_id, block, keep).await,
            MoveCursor::Back { next } => back(transaction, chain_id, next).await,
        }
    }
}

async fn begin(
    transaction: &mut SqliteConnection,
    chain_id: i64,
    first: u64,
) -> Result<(), StoreError> {
    let first = rows::signed(first, "first_block")?;
    sqlx::query(
        "INSERT INTO watch_cursors (chain_id, first_block, next_block) VALUES (?, ?, ?)
         ON CONFLICT (chain_id) DO NOTHING",
    )
    .bind(chain_id)
    .bind(first)
    .bind(first)
    .execute(transaction)
    .await?;
    Ok(())
}

async fn past(
    transaction: &mut SqliteConnection,
    chain_id: i64,
    block: WatchedBlock,
    keep: u64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE watch_cursors SET next_block = ? WHERE chain_id = ?")
        .bind(rows::signed(block.number.saturating_add(1), "next_block")?)
        .bind(chain_id)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "INSERT INTO watched_blocks (chain_id, number, hash) VALUES (?, ?, ?)
         ON CONFLICT (chain_id, number) DO UPDATE SET hash = excluded.hash",
    )
    .bind(chain_id)
    .bind(rows::signed(block.number, "number")?)
    .bind(block.hash.as_slice())
    .execute(&mut *transaction)
    .await?;
    // The newest of those that are old enough stays: it is the ground that the others stand on.
    sqlx::query(
        "DELETE FROM watched_blocks WHERE chain_id = ?1 AND number <
            (SELECT max(number) FROM watched_blocks WHERE chain_id = ?1 AND number <= ?2)",
    )
    .bind(chain_id)
    .bind(rows::signed(block.number.saturating_sub(keep), "number")?)
    .execute(transaction)
    .await?;
    Ok(())
}

async fn back(
    transaction: &mut SqliteConnection,
    chain_id: i64,
    next: u64,
) -> Result<(), StoreError> {
    let next = rows::signed(next, "next_block")?;
    sqlx::query("UPDATE watch_cursors SET next_block = max(first_block, ?) WHERE chain_id = ?")
        .bind(next)
        .bind(chain_id)
        .execute(&mut *transaction)
        .await?;
    sqlx::query("DELETE FROM watched_blocks WHERE chain_id = ? AND number >= ?")
        .bind(chain_id)
        .bind(next)
        .execute(transaction)
        .await?;
    Ok(())
}

pub(in super::super) async fn cursor(
    pool: &SqlitePool,
    network: NetworkId,
) -> Result<Option<WatchCursor>, StoreError> {
    let chain_id = rows::signed(network.chain_id(), "chain_id")?;
    let row = sqlx::query("SELECT first_block, next_block FROM watch_cursors WHERE chain_id = ?")
        .bind(chain_id)
        .fetch_optional(pool)
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let blocks = sqlx::query(
        "SELECT number, hash FROM watched_blocks WHERE chain_id = ? ORDER BY number DESC",
    )
    .bind(chain_id)
    .fetch_all(pool)
    .await?;
    let blocks = blocks.iter().map(|row| {
        Ok(WatchedBlock {
            number: rows::unsigned(row, "number")?,
            hash: B256::from(rows::bytes::<32>(row, "hash")?),
        })
    });
    Ok(Some(WatchCursor {
        first: rows::unsigned(&row, "first_block")?,
        next: rows::unsigned(&row, "next_block")?,
        blocks: blocks.collect::<Result<_, StoreError>>()?,
    }))
}

pub(in super::super) async fn first_use(
    pool: &SqlitePool,
    network: NetworkId,
) -> Result<Option<Timestamp>, StoreError> {
    let created: Option<i64> =
        sqlx::query_scalar("SELECT min(created_ms) FROM pay_to_addresses WHERE chain_id = ?")
            .bind(rows::signed(network.chain_id(), "chain_id")?)
            .fetch_one(pool)
            .await?;
    Ok(created.map(Timestamp::from_millis))
}
