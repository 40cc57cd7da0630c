//! A hold: the request id taken and the price reserved, or nothing at all.

use sqlx::SqliteConnection;

use super::{
    super::{
        CallReply, FinishCall, HoldRefusal, NewHold, StoreError, StoreLimits, StoredCall,
        writer::Command,
    },
    books::{self, WalletAccount},
    finish, reads,
};
use crate::{
    base::Credits,
    ledger::{Allocation, GrantSource, allocate},
};

pub(in super::super) struct Hold {
    pub(in super::super) hold: NewHold,
    pub(in super::super) limits: StoreLimits,
}

/// A hold and its capture in one commit.
pub(in super::super) struct Debit {
    pub(in super::super) hold: Hold,
    pub(in super::super) reply: CallReply,
}

impl Command for Hold {
    type Answer = Result<(), HoldRefusal>;

    async fn execute(
        &self,
        transaction: &mut SqliteConnection,
    ) -> Result<Self::Answer, StoreError> {
        let hold = &self.hold;
        let taken = reads::call(
            &mut *transaction,
            hold.wallet,
            &hold.session,
            &hold.request_id,
        )
        .await?;
        if let Some(taken) = taken {
            return Ok(Err(HoldRefusal::Taken(Box::new(taken))));
        }
        if reads::stored_reply_bytes(transaction).await? >= self.limits.stored_replies_bytes_max {
            return Ok(Err(HoldRefusal::RepliesFull));
        }
        let Some(account) = books::wallet_account(transaction, hold.wallet).await? else {
            return Ok(Err(HoldRefusal::Insufficient {
                available: Credits::ZERO,
            }));
        };
        match allocate(&account.grants, hold.price, hold.now) {
            Err(refusal) => Ok(Err(HoldRefusal::Insufficient {
                available: refusal.available,
            })),
            Ok(allocations) => {
                reserve(transaction, hold, &account, &allocations).await?;
                Ok(Ok(()))
            }
        }
    }
}

async fn reserve(
    transaction: &mut SqliteConnection,
    hold: &NewHold,
    account: &WalletAccount,
    allocations: &[Allocation],
) -> Result<(), StoreError> {
    let charge = hold.charge.to_string();
    insert_charge(transaction, hold, account, source(account, allocations)).await?;
    for allocation in allocations {
        sqlx::query("INSERT INTO allocations (charge_id, grant_id, amount_units) VALUES (?, ?, ?)")
            .bind(&charge)
            .bind(allocation.grant.0)
            .bind(allocation.amount.units())
            .execute(&mut *transaction)
            .await?;
        sqlx::query("UPDATE grants SET held_units = held_units + ? WHERE id = ?")
            .bind(allocation.amount.units())
            .bind(allocation.grant.0)
            .execute(&mut *transaction)
            .await?;
    }
    sqlx::query("UPDATE accounts SET held_units = held_units + ? WHERE id = ?")
        .bind(hold.price.units())
        .bind(account.id)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "INSERT INTO requests (wallet, session, request_id, charge_id, expires_ms)
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(hold.wallet.to_string())
    .bind(&hold.session)
    .bind(hold.request_id.as_str())
    .bind(&charge)
    .bind(hold.replay_until.millis())
    .execute(transaction)
    .await?;
    Ok(())
}

/// The source of the grant that pays first.
fn source(account: &WalletAccount, allocations: &[Allocation]) -> GrantSource {
    allocations
        .first()
        .and_then(|first| account.grants.iter().find(|grant| grant.id == first.grant))
        .map_or(GrantSource::X402, |grant| grant.source)
}

async fn insert_charge(
    transaction: &mut SqliteConnection,
    hold: &NewHold,
    account: &WalletAccount,
    source: GrantSource,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO charges (id, account_id, session, request_id, tool, action, price_units,
            price_list, message, signature, payload_hash, credit_source, deadline_ms, created_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(hold.charge.to_string())
    .bind(account.id)
    .bind(&hold.session)
    .bind(hold.request_id.as_str())
    .bind(hold.tool.as_str())
    .bind(hold.action.as_str())
    .bind(hold.price.units())
    .bind(hold.price_list.as_slice())
    .bind(&hold.message)
    .bind(hold.signature.as_slice())
    .bind(hold.payload_hash.as_slice())
    .bind(source.as_str())
    .bind(hold.deadline.millis())
    .bind(hold.now.millis())
    .execute(transaction)
    .await?;
    Ok(())
}

impl Command for Debit {
    type Answer = Result<StoredCall, HoldRefusal>;

    async fn execute(
        &self,
        transaction: &mut SqliteConnection,
    ) -> Result<Self::Answer, StoreError> {
        if let Err(refusal) = self.hold.execute(transaction).await? {
            return Ok(Err(refusal));
        }
        let NewHold { charge, now, .. } = self.hold.hold;
        let finish = FinishCall {
            charge,
            reply: self.reply.clone(),
            now,
        };
        Ok(Ok(finish::finish(transaction, &finish).await?))
    }
}
