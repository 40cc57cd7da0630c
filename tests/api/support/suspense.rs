//! Transfers in suspense, written into the books of a service that does not run.

use std::path::Path;

use alloy::primitives::{Address, B256};
use counterfoil::chain::devnet::{CHAIN_ID, USDC};
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};

use super::random;

/// A transfer that cannot be attributed.
#[derive(Clone)]
pub(crate) struct Suspended {
    /// Its payment.
    pub(crate) id: String,
    pub(crate) sender: Address,
    pub(crate) transaction: B256,
    pub(crate) units: i64,
}

impl Suspended {
    pub(crate) fn of(units: i64) -> Self {
        Self {
            id: format!("pur_{}", hex::encode(&random()[..16])),
            sender: Address::from_slice(&random()[..20]),
            transaction: random().into(),
            units,
        }
    }

    /// Enters the transfer, as it is when it has arrived.
    pub(crate) async fn enter(&self, books: &Path) {
        let options = SqliteConnectOptions::new().filename(books);
        let mut books = options.foreign_keys(true).connect().await.unwrap();
        sqlx::query(
            "INSERT INTO payments (id, way, state, chain_id, token, payer, pay_to, amount,
                credits_units, wallet, since_block, transaction_hash, block, block_hash,
                log_position, unattributed, booked, final, reason, created_ms, updated_ms)
             VALUES (?, 'transfer', 'credited', ?, ?, ?, ?, ?, ?, ?, 1, ?, 1, ?, 0, 1, 'suspense', 1,
                'below_minimum', 1000, 1000)",
        )
        .bind(&self.id)
        .bind(i64::try_from(CHAIN_ID).unwrap())
        .bind(USDC.as_slice())
        .bind(self.sender.as_slice())
        .bind(&random()[..20])
        .bind(self.units.to_string())
        .bind(self.units)
        .bind(format!("{:#x}", self.sender))
        .bind(self.transaction.as_slice())
        .bind(random().as_slice())
        .execute(&mut books)
        .await
        .unwrap();
        sqlx::query("INSERT INTO payment_keys (key, payment_id) VALUES (?, ?)")
            .bind(format!("log:eip155:{CHAIN_ID}:{:#x}:0", self.transaction))
            .bind(&self.id)
            .execute(&mut books)
            .await
            .unwrap();
        if self.units > 0 {
            self.post(&mut books).await;
        }
    }

    async fn post(&self, books: &mut SqliteConnection) {
        let asset = format!("eip155:{CHAIN_ID}:{USDC:#x}");
        let accounts = [format!("cash:{asset}"), format!("suspense:{asset}")];
        for name in &accounts {
            sqlx::query("INSERT INTO accounts (name) VALUES (?) ON CONFLICT DO NOTHING")
                .bind(name)
                .execute(&mut *books)
                .await
                .unwrap();
        }
        sqlx::query(
            "INSERT INTO postings (from_account, to_account, amount_units, reason, reference,
                created_ms)
             VALUES ((SELECT id FROM accounts WHERE name = ?),
                (SELECT id FROM accounts WHERE name = ?), ?, 'suspense', ?, 1000)",
        )
        .bind(&accounts[0])
        .bind(&accounts[1])
        .bind(self.units)
        .bind(&self.id)
        .execute(books)
        .await
        .unwrap();
    }
}
