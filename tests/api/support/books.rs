//! The books behind the service, read from the file itself and checked against themselves.

use std::{collections::BTreeMap, path::Path};

use alloy::primitives::{Address, B256};
use sqlx::{
    ConnectOptions, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

use super::Wallet;

/// What is in the books. Two are equal when nothing was written between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Books {
    /// Units by account.
    pub(crate) accounts: BTreeMap<String, i64>,
    /// Charges by status.
    pub(crate) charges: BTreeMap<String, i64>,
    /// Payments by way and state, as `purchase credited`.
    pub(crate) payments: BTreeMap<String, i64>,
    /// Request ids that are taken.
    pub(crate) requests: i64,
    pub(crate) postings: i64,
    /// Payers whose settlement failed after their tool had run.
    pub(crate) barred: i64,
    /// How often the chain dropped a payment after it had counted.
    pub(crate) reversals: i64,
    /// Payments that no reorganization is looked for under.
    pub(crate) finals: i64,
}

impl Books {
    /// The balance of a wallet, in units.
    pub(crate) fn units(&self, wallet: &Wallet) -> i64 {
        let account = format!("wallet:{}", wallet.name());
        self.accounts.get(&account).copied().unwrap_or_default()
    }

    pub(crate) fn charges(&self, status: &str) -> i64 {
        self.charges.get(status).copied().unwrap_or_default()
    }

    pub(crate) fn payments(&self, way_and_state: &str) -> i64 {
        self.payments
            .get(way_and_state)
            .copied()
            .unwrap_or_default()
    }

    /// USDC that the books say has arrived, in base units: as many as units of credits.
    pub(crate) fn cash(&self) -> i64 {
        let cash = self.accounts.iter();
        let cash = cash.filter(|(name, _)| name.starts_with("cash:"));
        -cash.map(|(_, units)| units).sum::<i64>()
    }

    /// What is on its way back to payers, in units.
    pub(crate) fn refunds(&self) -> i64 {
        self.accounts.get("refunds").copied().unwrap_or_default()
    }

    /// What waits for an operator to say whose it is, in units.
    pub(crate) fn suspense(&self) -> i64 {
        let accounts = self.accounts.iter();
        let suspense = accounts.filter(|(name, _)| name.starts_with("suspense:"));
        suspense.map(|(_, units)| units).sum()
    }

    pub(crate) fn revenue(&self) -> i64 {
        self.account("revenue")
    }

    /// What the house paid for payments that the chain dropped after they were spent.
    pub(crate) fn lost(&self) -> i64 {
        -self.account("loss")
    }

    fn account(&self, name: &str) -> i64 {
        self.accounts.get(name).copied().unwrap_or_default()
    }

    /// Payments that are not at their end.
    pub(crate) fn open_payments(&self) -> i64 {
        let open = self.payments.iter().filter(|(name, _)| {
            [" authorized", " broadcast", " confirmed"]
                .iter()
                .any(|state| name.ends_with(state))
        });
        open.map(|(_, count)| count).sum()
    }

    /// That no hold is left, as after a start and before any call.
    #[track_caller]
    pub(crate) fn nothing_held(&self) {
        assert_eq!(self.charges("held"), 0, "{self:#?}");
    }
}

/// Each selects what must not be: a row is a broken rule.
const RULES: [(&str, &str); 14] = [
    (
        "a payment that Permit2 brought is counted as a transfer too",
        "SELECT id, state FROM payments WHERE transfer_method = 'permit2' AND state = 'credited'
           AND 1 > (SELECT count(*) FROM payment_keys
                    WHERE payment_id = payments.id AND key LIKE 'log:%')",
    ),
    (
        "all accounts together are zero",
        "SELECT sum(balance_units) FROM accounts HAVING sum(balance_units) <> 0",
    ),
    (
        "a balance is the sum of its postings",
        "SELECT name, balance_units FROM accounts WHERE balance_units <>
           (SELECT coalesce(sum(amount_units), 0) FROM postings WHERE to_account = accounts.id)
         - (SELECT coalesce(sum(amount_units), 0) FROM postings WHERE from_account = accounts.id)",
    ),
    (
        "a wallet has what is left of its grants",
        "SELECT name, balance_units FROM accounts WHERE name LIKE 'wallet:%' AND balance_units <>
           (SELECT coalesce(sum(remaining_units), 0) FROM grants WHERE account_id = accounts.id)",
    ),
    (
        "what a wallet holds is held in its grants",
        "SELECT name, held_units FROM accounts WHERE held_units <>
           (SELECT coalesce(sum(held_units), 0) FROM grants WHERE account_id = accounts.id)",
    ),
    (
        "what a grant holds is allocated to held charges",
        "SELECT id, held_units FROM grants WHERE held_units <>
           (SELECT coalesce(sum(amount_units), 0) FROM allocations JOIN charges
              ON charges.id = charge_id
            WHERE grant_id = grants.id AND status = 'held')",
    ),
    (
        "a charge is allocated whole",
        "SELECT id, price_units FROM charges WHERE price_units <>
           (SELECT coalesce(sum(amount_units), 0) FROM allocations WHERE charge_id = charges.id)",
    ),
    (
        "a captured charge is posted once, at its price, and no other is",
        "SELECT id, status FROM charges WHERE iif(status = 'captured', price_units, 0) <>
           (SELECT coalesce(sum(amount_units), 0) FROM postings
            WHERE reason = 'charge' AND reference = charges.id)
         OR (status = 'captured') <>
           (SELECT count(*) FROM postings WHERE reference = charges.id)",
    ),
    (
        "a credited payment has brought cash once, and no other has",
        "SELECT id, state FROM payments WHERE iif(state = 'credited', credits_units, 0) <>
           (SELECT coalesce(sum(amount_units * (
                (source.name LIKE 'cash:%') - (target.name LIKE 'cash:%'))), 0)
            FROM postings
            JOIN accounts AS source ON source.id = from_account
            JOIN accounts AS target ON target.id = to_account
            WHERE reference = payments.id AND reason NOT LIKE 'refund%')",
    ),
    (
        "a payment that the chain never dropped is posted once, and what was in suspense twice",
        "SELECT id, reversals FROM payments WHERE reversals = 0 AND credits_units > 0
         AND (state = 'credited') <>
           (SELECT count(*) FROM postings WHERE reference = payments.id AND reason <> 'attribution'
                 AND reason NOT LIKE 'refund%')",
    ),
    (
        "a payment costs the house its amount at most, and nothing once it is credited",
        "SELECT id, lost FROM (SELECT *,
            (SELECT coalesce(sum(iif(accounts.id = from_account, 1, -1) * amount_units), 0)
             FROM postings JOIN accounts ON accounts.id IN (from_account, to_account)
             WHERE reference = payments.id AND name = 'loss') AS lost FROM payments)
         WHERE lost < 0 OR lost > iif(state = 'credited', 0, credits_units)",
    ),
    (
        "a refund is taken back once, and then paid or given back",
        "SELECT payment_id, sum(units) FROM refunds GROUP BY payment_id
         HAVING sum(units) <> (SELECT coalesce(sum(amount_units), 0) FROM postings
                               WHERE reference = payment_id AND reason = 'refund')
         OR sum(iif(state = 'paid', units, 0)) <> (
             SELECT coalesce(sum(iif(reason = 'refund_paid', 1, -1) * amount_units), 0) FROM postings
             WHERE reference = payment_id AND reason IN ('refund_paid', 'refund_undone'))
         OR sum(iif(state = 'void', units, 0)) <> (SELECT coalesce(sum(amount_units), 0) FROM postings
                               WHERE reference = payment_id AND reason = 'refund_void')",
    ),
    (
        "what is on its way back is in its account",
        "SELECT name, balance_units FROM accounts WHERE name = 'refunds' AND balance_units <>
           (SELECT coalesce(sum(units), 0) FROM refunds WHERE state IN ('held', 'broadcast'))",
    ),
    (
        "no wallet is below zero",
        "SELECT name, balance_units FROM accounts
         WHERE name LIKE 'wallet:%' AND balance_units < 0",
    ),
];

/// Reads the books while the service has them open, in one transaction.
pub(crate) async fn read(path: &Path) -> Books {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::query("BEGIN").execute(&mut connection).await.unwrap();
    for (rule, broken) in RULES {
        let rows = sqlx::query(broken)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let rows: Vec<String> = rows.iter().map(show).collect();
        assert!(rows.is_empty(), "{rule}, but: {rows:?}");
    }
    let books = Books {
        accounts: counts(&mut connection, "SELECT name, balance_units FROM accounts").await,
        charges: counts(
            &mut connection,
            "SELECT status, count(*) FROM charges GROUP BY status",
        )
        .await,
        payments: counts(
            &mut connection,
            "SELECT way || ' ' || state, count(*) FROM payments GROUP BY way, state",
        )
        .await,
        requests: count(&mut connection, "SELECT count(*) FROM requests").await,
        postings: count(&mut connection, "SELECT count(*) FROM postings").await,
        barred: count(&mut connection, "SELECT count(*) FROM barred_payers").await,
        reversals: count(
            &mut connection,
            "SELECT coalesce(sum(reversals), 0) FROM payments",
        )
        .await,
        finals: count(
            &mut connection,
            "SELECT count(*) FROM payments WHERE final = 1",
        )
        .await,
    };
    sqlx::query("COMMIT")
        .execute(&mut connection)
        .await
        .unwrap();
    books
}

/// A transaction of a relayer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relayed {
    pub(crate) relayer: Address,
    pub(crate) hash: B256,
    pub(crate) raw: Vec<u8>,
}

/// What the relayers signed, in the order of their account nonces.
pub(crate) async fn relayed(path: &Path) -> Vec<Relayed> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = options.connect().await.unwrap();
    let rows = sqlx::query("SELECT * FROM relayer_transactions ORDER BY account_nonce, relayer");
    let rows = rows.fetch_all(&mut connection).await.unwrap();
    let read = |row: &SqliteRow| Relayed {
        relayer: Address::from_slice(row.get("relayer")),
        hash: B256::from_slice(row.get("hash")),
        raw: row.get("raw"),
    };
    rows.iter().map(read).collect()
}

/// Hashes of what the relayer signed and replaced.
pub(crate) async fn replaced(path: &Path) -> Vec<B256> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = options.connect().await.unwrap();
    let rows = sqlx::query_scalar("SELECT hash FROM relayer_replaced ORDER BY signed_ms");
    let hashes: Vec<Vec<u8>> = rows.fetch_all(&mut connection).await.unwrap();
    hashes.iter().map(|hash| B256::from_slice(hash)).collect()
}

/// The ids of all payments, the oldest first.
pub(crate) async fn payments(path: &Path) -> Vec<String> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = options.connect().await.unwrap();
    let rows = sqlx::query_scalar("SELECT id FROM payments ORDER BY created_ms");
    rows.fetch_all(&mut connection).await.unwrap()
}

/// The next block that the watcher reads; zero before it has begun.
pub(crate) async fn next_watched(path: &Path) -> u64 {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = options.connect().await.unwrap();
    let query = "SELECT coalesce(max(next_block), 0) FROM watch_cursors";
    count(&mut connection, query).await.unsigned_abs()
}

pub(crate) async fn open_relayed(path: &Path) -> i64 {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = options.connect().await.unwrap();
    let query = "SELECT count(*) FROM relayer_transactions WHERE status = 'open'";
    count(&mut connection, query).await
}

/// Payments of which it is noted that the chain would refuse them.
pub(crate) async fn would_fail(path: &Path) -> i64 {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = options.connect().await.unwrap();
    let query = "SELECT count(*) FROM facilitator_requests WHERE would_fail";
    count(&mut connection, query).await
}

fn show(row: &SqliteRow) -> String {
    let name = row
        .try_get::<String, _>(0)
        .unwrap_or_else(|_| row.get::<i64, _>(0).to_string());
    format!("{name} {:?}", row.try_get::<i64, _>(1).ok())
}

async fn counts(connection: &mut SqliteConnection, query: &'static str) -> BTreeMap<String, i64> {
    let rows = sqlx::query_as::<_, (String, i64)>(query);
    let rows = rows.fetch_all(connection).await.unwrap();
    rows.into_iter().collect()
}

async fn count(connection: &mut SqliteConnection, query: &'static str) -> i64 {
    let count = sqlx::query_scalar(query);
    count.fetch_one(connection).await.unwrap()
}
