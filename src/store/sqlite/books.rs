//! Accounts, postings and grants: what every movement of money is made of.

use sqlx::{Row, SqliteConnection};

use super::{
    super::{Promotion, StoreError, writer::Command},
    rows,
};
use crate::{
    base::{AgentAddress, AssetId, Credits, Timestamp},
    ledger::{Account, Grant, GrantSource, Posting, PostingReason},
};

/// What may have come in of one token: a quarter of what SQLite can count, some 2 trillion dollars.
const CASH_UNITS_MAX: u64 = 1 << 61;

/// What a wallet's account holds, read by the transaction that is about to change it.
pub(super) struct WalletAccount {
    pub(super) id: i64,
    pub(super) grants: Vec<Grant>,
}

/// The wallet's account and the grants that have something left; `None` when it has no account.
pub(super) async fn wallet_account(
    transaction: &mut SqliteConnection,
    wallet: AgentAddress,
) -> Result<Option<WalletAccount>, StoreError> {
    let rows = sqlx::query(
        "SELECT accounts.id AS account_id, grants.id AS grant_id, source, priority, expires_ms,
                remaining_units, grants.held_units AS grant_held_units
         FROM accounts
         LEFT JOIN grants ON grants.account_id = accounts.id AND remaining_units > 0
         WHERE name = ?",
    )
    .bind(Account::Wallet(wallet).to_string())
    .fetch_all(transaction)
    .await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let mut account = WalletAccount {
        id: first.try_get("account_id")?,
        grants: Vec::new(),
    };
    for row in &rows {
        if row.try_get::<Option<i64>, _>("grant_id")?.is_some() {
            account.grants.push(rows::grant(row)?);
        }
    }
    Ok(Some(account))
}

/// Whether what came in of a token leaves room in the books for so much more of it. Tokens that anyone
/// can make have no end.
pub(super) async fn has_room(
    transaction: &mut SqliteConnection,
    asset: AssetId,
    credits: Credits,
) -> Result<bool, StoreError> {
    let balance: Option<i64> =
        sqlx::query_scalar("SELECT balance_units FROM accounts WHERE name = ?")
            .bind(Account::Cash(asset).to_string())
            .fetch_optional(transaction)
            .await?;
    let held = balance.unwrap_or_default().unsigned_abs();
    Ok(held.saturating_add(credits.units().unsigned_abs()) <= CASH_UNITS_MAX)
}

/// Writes a posting; the database moves both balances with it.
pub(super) async fn post(
    transaction: &mut SqliteConnection,
    posting: &Posting,
    reference: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let from = account_id(transaction, posting.from()).await?;
    let to = account_id(transaction, posting.to()).await?;
    sqlx::query(
        "INSERT INTO postings (from_account, to_account, amount_units, reason, reference, created_ms)
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(from)
    .bind(to)
    .bind(posting.amount().units())
    .bind(posting.reason().to_string())
    .bind(reference)
    .bind(now.millis())
    .execute(transaction)
    .await?;
    Ok(())
}

async fn account_id(
    transaction: &mut SqliteConnection,
    account: Account,
) -> Result<i64, StoreError> {
    let name = account.to_string();
    let known: Option<i64> = sqlx::query_scalar("SELECT id FROM accounts WHERE name = ?")
        .bind(&name)
        .fetch_optional(&mut *transaction)
        .await?;
    if let Some(id) = known {
        return Ok(id);
    }
    let id = sqlx::query_scalar("INSERT INTO accounts (name) VALUES (?) RETURNING id")
        .bind(&name)
        .fetch_one(transaction)
        .await?;
    Ok(id)
}

/// Credits to be given to a wallet, and the account that they come from.
pub(super) struct NewGrant<'a> {
    pub(super) wallet: AgentAddress,
    pub(super) from: Account,
    pub(super) amount: Credits,
    pub(super) source: GrantSource,
    pub(super) reason: PostingReason,
    pub(super) priority: i64,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) reference: &'a str,
    pub(super) now: Timestamp,
}

/// Posts the amount and adds it to the wallet's grants.
pub(super) async fn grant(
    transaction: &mut SqliteConnection,
    grant: NewGrant<'_>,
) -> Result<(), StoreError> {
    let wallet = Account::Wallet(grant.wallet);
    let posting = Posting::new(grant.from, wallet, grant.amount, grant.reason)
        .map_err(|_| StoreError::Corrupt("grant"))?;
    post(transaction, &posting, grant.reference, grant.now).await?;
    let account = account_id(transaction, wallet).await?;
    sqlx::query(
        "INSERT INTO grants (account_id, source, priority, expires_ms, remaining_units, created_ms)
         VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (account_id, source, priority) WHERE expires_ms IS NULL
         DO UPDATE SET remaining_units = remaining_units + excluded.remaining_units",
    )
    .bind(account)
    .bind(grant.source.as_str())
    .bind(grant.priority)
    .bind(grant.expires_at.map(Timestamp::millis))
    .bind(grant.amount.units())
    .bind(grant.now.millis())
    .execute(transaction)
    .await?;
    Ok(())
}

impl Command for Promotion {
    type Answer = ();

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<(), StoreError> {
        let new = NewGrant {
            wallet: self.wallet,
            from: Account::Promotion,
            amount: self.amount,
            source: GrantSource::Promotion,
            reason: PostingReason::Promotion,
            priority: self.priority,
            expires_at: self.expires_at,
            reference: "promotion",
            now: self.now,
        };
        grant(transaction, new).await
    }
}

/// Takes from a grant what no hold has allocated, since it has run out.
pub(super) async fn expire(
    transaction: &mut SqliteConnection,
    wallet: AgentAddress,
    grant: &Grant,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rest = grant.unallocated();
    if !rest.is_positive() {
        return Ok(());
    }
    sqlx::query("UPDATE grants SET remaining_units = remaining_units - ? WHERE id = ?")
        .bind(rest.units())
        .bind(grant.id.0)
        .execute(&mut *transaction)
        .await?;
    let wallet = Account::Wallet(wallet);
    let posting = Posting::new(wallet, Account::Expired, rest, PostingReason::Expiry)
        .map_err(|_| StoreError::Corrupt("expiry"))?;
    post(transaction, &posting, &format!("grant:{}", grant.id.0), now).await
}
