//! Queries. Each takes a pool or the connection of a transaction.

use std::ops::Range;

use alloy::primitives::{Address, B256};
use sqlx::{Executor, Row, Sqlite, SqliteConnection, SqlitePool};

use super::{
    super::{
        Balance, BusyRelayer, DirectCall, OpenTransaction, Payment, Purpose, StoreError, StoredCall,
    },
    rows,
};
use crate::{
    base::{AgentAddress, AssetId, ChargeId, Credits, PurchaseId, RequestId, Timestamp},
    ledger::Account,
    payment::{PaymentKey, Transfer},
};

pub(in super::super) async fn check(pool: &SqlitePool) -> Result<(), StoreError> {
    sqlx::query("SELECT 1 FROM accounts LIMIT 1")
        .fetch_optional(pool)
        .await?;
    Ok(())
}

pub(in super::super) async fn call<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    wallet: AgentAddress,
    session: &str,
    request_id: &RequestId,
) -> Result<Option<StoredCall>, StoreError> {
    sqlx::query(
        "SELECT charge_id, status, price_units, credit_source, message, signature, reply_kind,
                reply_status, reply_body, balance_units
         FROM requests JOIN charges ON charges.id = charge_id
         WHERE wallet = ? AND requests.session = ? AND requests.request_id = ?",
    )
    .bind(wallet.to_string())
    .bind(session)
    .bind(request_id.as_str())
    .fetch_optional(executor)
    .await?
    .as_ref()
    .map(rows::stored_call)
    .transpose()
}

pub(super) async fn call_of_charge<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    charge: ChargeId,
) -> Result<Option<StoredCall>, StoreError> {
    sqlx::query(
        "SELECT charges.id AS charge_id, status, price_units, credit_source, message, signature,
                reply_kind, reply_status, reply_body, balance_units
         FROM charges LEFT JOIN requests ON charge_id = charges.id
         WHERE charges.id = ?",
    )
    .bind(charge.to_string())
    .fetch_optional(executor)
    .await?
    .as_ref()
    .map(rows::stored_call)
    .transpose()
}

pub(super) async fn stored_reply_bytes(
    transaction: &mut SqliteConnection,
) -> Result<u64, StoreError> {
    let row = sqlx::query("SELECT total FROM reply_bytes")
        .fetch_one(transaction)
        .await?;
    rows::unsigned(&row, "total")
}

pub(in super::super) async fn balance(
    pool: &SqlitePool,
    wallet: AgentAddress,
) -> Result<Balance, StoreError> {
    let rows = sqlx::query(
        "SELECT balance_units, accounts.held_units AS held_units, grants.id AS grant_id, source,
                priority, expires_ms, remaining_units, grants.held_units AS grant_held_units
         FROM accounts
         LEFT JOIN grants ON grants.account_id = accounts.id AND remaining_units > 0
         WHERE name = ?",
    )
    .bind(Account::Wallet(wallet).to_string())
    .fetch_all(pool)
    .await?;
    let mut balance = Balance {
        total: Credits::ZERO,
        held: Credits::ZERO,
        grants: Vec::new(),
    };
    for row in &rows {
        balance.total = rows::credits(row, "balance_units")?;
        balance.held = rows::credits(row, "held_units")?;
        if row.try_get::<Option<i64>, _>("grant_id")?.is_some() {
            balance.grants.push(rows::grant(row)?);
        }
    }
    Ok(balance)
}

pub(in super::super) async fn payment<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    id: PurchaseId,
) -> Result<Option<Payment>, StoreError> {
    sqlx::query("SELECT * FROM payments WHERE id = ?")
        .bind(id.to_string())
        .fetch_optional(executor)
        .await?
        .as_ref()
        .map(rows::payment)
        .transpose()
}

pub(in super::super) async fn payment_by_key<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    key: &PaymentKey,
) -> Result<Option<Payment>, StoreError> {
    sqlx::query(
        "SELECT payments.* FROM payment_keys JOIN payments ON payments.id = payment_id
         WHERE payment_keys.key = ?",
    )
    .bind(key.to_string())
    .fetch_optional(executor)
    .await?
    .as_ref()
    .map(rows::payment)
    .transpose()
}

/// The payment that a transfer is counted for.
pub(super) async fn payment_of_key(
    transaction: &mut SqliteConnection,
    key: &PaymentKey,
) -> Result<Option<PurchaseId>, StoreError> {
    sqlx::query("SELECT payment_id FROM payment_keys WHERE key = ?")
        .bind(key.to_string())
        .fetch_optional(transaction)
        .await?
        .map(|row| rows::parsed(&row, "payment_id"))
        .transpose()
}

pub(in super::super) async fn open_payments(
    pool: &SqlitePool,
    after: Option<PurchaseId>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<PurchaseId>, StoreError> {
    let rows = sqlx::query(
        "SELECT payments.id AS id FROM payments
         LEFT JOIN direct_calls ON payment_id = payments.id
         WHERE state IN ('authorized', 'broadcast', 'refused') AND payments.id > ?
           AND (state = 'broadcast'
                OR (state = 'authorized' AND (stage IS NULL OR stage IN ('waiting', 'done')))
                OR (state = 'refused' AND valid_before < ?))
         ORDER BY payments.id LIMIT ?",
    )
    .bind(after.map_or_else(String::new, |after| after.to_string()))
    .bind(now.seconds())
    .bind(limit)
    .fetch_all(pool)
    .await?;
    rows.iter().map(|row| rows::parsed(row, "id")).collect()
}

pub(in super::super) async fn busy_relayers(
    pool: &SqlitePool,
    chain_id: u64,
) -> Result<Vec<BusyRelayer>, StoreError> {
    // History grows for ever, so it is never searched for the few that are open.
    let rows = sqlx::query(
        "SELECT relayer, count(*) AS open
         FROM relayer_transactions INDEXED BY relayer_transactions_open
         WHERE chain_id = ? AND status = 'open' GROUP BY relayer",
    )
    .bind(rows::signed(chain_id, "chain_id")?)
    .fetch_all(pool)
    .await?;
    let busy = |row| {
        Ok(BusyRelayer {
            relayer: Address::from(rows::bytes::<20>(row, "relayer")?),
            open: row.try_get("open")?,
        })
    };
    rows.iter().map(busy).collect()
}

pub(in super::super) async fn permit2_payments_of(
    pool: &SqlitePool,
    asset: AssetId,
    transfer: Transfer,
) -> Result<Vec<Payment>, StoreError> {
    let rows = sqlx::query(
        "SELECT * FROM payments
         WHERE payer = ? AND transfer_method = 'permit2' AND final = 0
           AND chain_id = ? AND token = ? AND pay_to = ? AND amount = ?
         ORDER BY created_ms DESC LIMIT 256",
    )
    .bind(transfer.from.as_slice())
    .bind(rows::signed(asset.network.chain_id(), "chain_id")?)
    .bind(asset.token.as_slice())
    .bind(transfer.to.as_slice())
    .bind(transfer.value.to_string())
    .fetch_all(pool)
    .await?;
    rows.iter().map(rows::payment).collect()
}

pub(in super::super) async fn open_transactions(
    pool: &SqlitePool,
    chain_id: u64,
    relayer: Address,
    limit: u32,
) -> Result<Vec<OpenTransaction>, StoreError> {
    let rows = sqlx::query(
        "SELECT * FROM relayer_transactions INDEXED BY relayer_transactions_open
         WHERE chain_id = ? AND relayer = ? AND status = 'open' ORDER BY account_nonce LIMIT ?",
    )
    .bind(rows::signed(chain_id, "chain_id")?)
    .bind(relayer.as_slice())
    .bind(limit)
    .fetch_all(pool)
    .await?;
    rows.iter().map(rows::open_transaction).collect()
}

pub(in super::super) async fn committed_gwei<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    chain_id: u64,
    relayer: Address,
    account_nonces: Range<u64>,
) -> Result<u64, StoreError> {
    // Added up as numbers of SQLite's, which refuses rather than wraps.
    let row = sqlx::query(
        "SELECT coalesce(sum(cost_gwei), 0) AS gwei FROM relayer_transactions
         WHERE chain_id = ? AND relayer = ? AND status = 'open'
           AND account_nonce >= ? AND account_nonce < ?",
    )
    .bind(rows::signed(chain_id, "chain_id")?)
    .bind(relayer.as_slice())
    .bind(rows::signed(account_nonces.start, "account_nonce")?)
    .bind(i64::try_from(account_nonces.end).unwrap_or(i64::MAX))
    .fetch_one(executor)
    .await?;
    rows::unsigned(&row, "gwei")
}

pub(in super::super) async fn open_transaction<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    purpose: Purpose,
) -> Result<Option<OpenTransaction>, StoreError> {
    let (query, id) = match purpose {
        Purpose::Payment(id) => (
            "SELECT * FROM relayer_transactions WHERE payment_id = ? AND status = 'open'",
            id.to_string(),
        ),
        Purpose::Refund(id) => (
            "SELECT * FROM relayer_transactions WHERE refund_id = ? AND status = 'open'",
            id.to_string(),
        ),
    };
    sqlx::query(query)
        .bind(id)
        .fetch_optional(executor)
        .await?
        .as_ref()
        .map(rows::open_transaction)
        .transpose()
}

pub(in super::super) async fn replaced_hashes(
    pool: &SqlitePool,
    open: &OpenTransaction,
) -> Result<Vec<B256>, StoreError> {
    let rows = sqlx::query(
        "SELECT hash FROM relayer_replaced
         WHERE chain_id = ? AND relayer = ? AND account_nonce = ?",
    )
    .bind(rows::signed(open.chain_id, "chain_id")?)
    .bind(open.relayer.as_slice())
    .bind(rows::signed(open.account_nonce, "account_nonce")?)
    .fetch_all(pool)
    .await?;
    let hash = |row| Ok(B256::from(rows::bytes::<32>(row, "hash")?));
    rows.iter().map(hash).collect()
}

pub(in super::super) async fn settlement_attempts(
    pool: &SqlitePool,
    payment: PurchaseId,
) -> Result<u32, StoreError> {
    let count =
        sqlx::query_scalar("SELECT count(*) FROM relayer_transactions WHERE payment_id = ?")
            .bind(payment.to_string())
            .fetch_one(pool)
            .await?;
    Ok(count)
}

pub(in super::super) async fn direct_call<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    payment: PurchaseId,
) -> Result<Option<DirectCall>, StoreError> {
    sqlx::query("SELECT * FROM direct_calls WHERE payment_id = ?")
        .bind(payment.to_string())
        .fetch_optional(executor)
        .await?
        .as_ref()
        .map(rows::direct_call)
        .transpose()
}

pub(in super::super) async fn is_barred<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    payer: AgentAddress,
) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT 1 FROM barred_payers WHERE payer = ?")
        .bind(payer.address().as_slice())
        .fetch_optional(executor)
        .await?;
    Ok(row.is_some())
}

/// Asked in the writer; its terms are those of an index.
pub(super) const UNSETTLED_CALL: &str = "SELECT 1 FROM payments
     WHERE payer = ? AND way = 'direct' AND state IN ('authorized', 'broadcast', 'confirmed')";

pub(super) async fn has_unsettled_call(
    transaction: &mut SqliteConnection,
    payer: AgentAddress,
) -> Result<bool, StoreError> {
    let row = sqlx::query(UNSETTLED_CALL)
        .bind(payer.address().as_slice())
        .fetch_optional(transaction)
        .await?;
    Ok(row.is_some())
}

pub(in super::super) async fn price_list(
    pool: &SqlitePool,
    hash: [u8; 32],
) -> Result<Option<String>, StoreError> {
    let text = sqlx::query_scalar("SELECT text FROM price_lists WHERE hash = ?")
        .bind(hash.as_slice())
        .fetch_optional(pool)
        .await?;
    Ok(text)
}
