//! What a start writes down: price lists, key ids and payTo addresses.

use sqlx::{Row, SqliteConnection};

use super::{
    super::{StoreError, writer::Command},
    rows,
};
use crate::base::{AgentAddress, Timestamp};

pub(in super::super) struct KeepPriceList {
    pub(in super::super) hash: [u8; 32],
    pub(in super::super) text: String,
    pub(in super::super) now: Timestamp,
}

impl Command for KeepPriceList {
    type Answer = ();

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO price_lists (hash, text, created_ms) VALUES (?, ?, ?)
             ON CONFLICT (hash) DO NOTHING",
        )
        .bind(self.hash.as_slice())
        .bind(&self.text)
        .bind(self.now.millis())
        .execute(transaction)
        .await?;
        Ok(())
    }
}

pub(in super::super) struct PinKey {
    pub(in super::super) kind: &'static str,
    pub(in super::super) id: String,
    pub(in super::super) now: Timestamp,
}

impl Command for PinKey {
    type Answer = String;

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<String, StoreError> {
        sqlx::query(
            "INSERT INTO signing_keys (kind, id, created_ms) VALUES (?, ?, ?)
             ON CONFLICT (kind) DO NOTHING",
        )
        .bind(self.kind)
        .bind(&self.id)
        .bind(self.now.millis())
        .execute(&mut *transaction)
        .await?;
        let id = sqlx::query_scalar("SELECT id FROM signing_keys WHERE kind = ?")
            .bind(self.kind)
            .fetch_one(transaction)
            .await?;
        Ok(id)
    }
}

/// What an address is kept as.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum KeptAddress {
    PayTo,
    PurchaseContract,
}

pub(in super::super) struct KeepAddress {
    pub(in super::super) kind: KeptAddress,
    pub(in super::super) chain_id: u64,
    /// `None` only reads what is kept.
    pub(in super::super) address: Option<AgentAddress>,
    pub(in super::super) now: Timestamp,
}

impl Command for KeepAddress {
    type Answer = Vec<AgentAddress>;

    async fn execute(
        &self,
        transaction: &mut SqliteConnection,
    ) -> Result<Vec<AgentAddress>, StoreError> {
        let chain_id = rows::signed(self.chain_id, "chain_id")?;
        let (insert, select) = match self.kind {
            KeptAddress::PayTo => (
                "INSERT INTO pay_to_addresses (chain_id, address, created_ms) VALUES (?, ?, ?)
                 ON CONFLICT (chain_id, address) DO NOTHING",
                "SELECT address FROM pay_to_addresses WHERE chain_id = ?",
            ),
            KeptAddress::PurchaseContract => (
                "INSERT INTO purchase_contracts (chain_id, address, created_ms) VALUES (?, ?, ?)
                 ON CONFLICT (chain_id, address) DO NOTHING",
                "SELECT address FROM purchase_contracts WHERE chain_id = ?",
            ),
        };
        if let Some(address) = self.address {
            sqlx::query(insert)
                .bind(chain_id)
                .bind(address.address().as_slice())
                .bind(self.now.millis())
                .execute(&mut *transaction)
                .await?;
        }
        let rows = sqlx::query(select)
            .bind(chain_id)
            .fetch_all(transaction)
            .await?;
        rows.iter()
            .map(|row| {
                let address: [u8; 20] = row
                    .try_get::<&[u8], _>("address")?
                    .try_into()
                    .map_err(|_| StoreError::Corrupt("address"))?;
                Ok(AgentAddress::new(address.into()))
            })
            .collect()
    }
}
