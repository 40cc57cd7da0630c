//! The end of a charge: captured or voided, once.

use sha2::{Digest, Sha256};
use sqlx::{Row, SqliteConnection};

use super::{
    super::{FinishCall, ReplyKind, StoreError, StoredCall, writer::Command},
    books, reads, rows,
};
use crate::{
    base::{AgentAddress, ChargeId, Credits, Timestamp},
    ledger::{Account, ChargeStatus, Posting, PostingReason},
};

impl Command for FinishCall {
    type Answer = StoredCall;

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<StoredCall, StoreError> {
        finish(transaction, self).await
    }
}

/// Ends the charge if it is still held, and returns what is stored either way.
pub(super) async fn finish(
    transaction: &mut SqliteConnection,
    finish: &FinishCall,
) -> Result<StoredCall, StoreError> {
    let status = match finish.reply.kind {
        ReplyKind::Captured => ChargeStatus::Captured,
        ReplyKind::Failed | ReplyKind::TimedOut => ChargeStatus::Voided,
    };
    let hash: [u8; 32] = Sha256::digest(&finish.reply.body).into();
    if release(transaction, finish.charge, status, Some(hash), finish.now).await? {
        store_reply(transaction, finish).await?;
    }
    reads::call_of_charge(transaction, finish.charge)
        .await?
        .ok_or(StoreError::Corrupt("charges"))
}

/// Moves a charge from `held` to `status` with all that follows from it. False when another was
/// first.
pub(super) async fn release(
    transaction: &mut SqliteConnection,
    charge: ChargeId,
    status: ChargeStatus,
    result_hash: Option<[u8; 32]>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let released = sqlx::query(
        "UPDATE charges SET status = ?, finished_ms = ?, result_hash = ?
         WHERE id = ? AND status = 'held'
         RETURNING account_id, price_units",
    )
    .bind(status.as_str())
    .bind(now.millis())
    .bind(result_hash.as_ref().map(<[u8; 32]>::as_slice))
    .bind(charge.to_string())
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(row) = released else {
        return Ok(false);
    };
    let account: i64 = row.try_get("account_id")?;
    let price = rows::credits(&row, "price_units")?;
    let captured = status == ChargeStatus::Captured;
    sqlx::query(
        "UPDATE grants
         SET held_units = held_units - part.amount_units,
             remaining_units = remaining_units - iif(?, part.amount_units, 0)
         FROM allocations AS part
         WHERE part.charge_id = ? AND part.grant_id = grants.id",
    )
    .bind(captured)
    .bind(charge.to_string())
    .execute(&mut *transaction)
    .await?;
    let name: String = sqlx::query_scalar(
        "UPDATE accounts SET held_units = held_units - ? WHERE id = ? RETURNING name",
    )
    .bind(price.units())
    .bind(account)
    .fetch_one(&mut *transaction)
    .await?;
    let wallet = wallet_of(&name)?;
    if captured {
        earn(transaction, wallet, price, charge, now).await?;
    } else {
        expire_due(transaction, wallet, now).await?;
    }
    Ok(true)
}

fn wallet_of(account: &str) -> Result<AgentAddress, StoreError> {
    account
        .strip_prefix("wallet:")
        .and_then(|address| address.parse().ok())
        .ok_or(StoreError::Corrupt("accounts.name"))
}

async fn earn(
    transaction: &mut SqliteConnection,
    wallet: AgentAddress,
    price: Credits,
    charge: ChargeId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let wallet = Account::Wallet(wallet);
    let posting = Posting::new(wallet, Account::Revenue, price, PostingReason::Charge)
        .map_err(|_| StoreError::Corrupt("price_units"))?;
    books::post(transaction, &posting, &charge.to_string(), now).await
}

/// What a void gave back to a grant that ran out meanwhile goes at once.
async fn expire_due(
    transaction: &mut SqliteConnection,
    wallet: AgentAddress,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(account) = books::wallet_account(transaction, wallet).await? else {
        return Ok(());
    };
    for grant in account.grants.iter().filter(|grant| grant.is_due(now)) {
        books::expire(transaction, wallet, grant, now).await?;
    }
    Ok(())
}

async fn store_reply(
    transaction: &mut SqliteConnection,
    finish: &FinishCall,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE requests
         SET reply_kind = ?, reply_status = ?, reply_body = ?,
             balance_units = (SELECT balance_units FROM accounts JOIN charges ON account_id = accounts.id
                              WHERE charges.id = ?)
         WHERE charge_id = ?",
    )
    .bind(finish.reply.kind.as_str())
    .bind(finish.reply.status.map(i64::from))
    .bind(&finish.reply.body)
    .bind(finish.charge.to_string())
    .bind(finish.charge.to_string())
    .execute(transaction)
    .await?;
    Ok(())
}
