//! Payments on their way back: what is left of them is taken from the wallet, and paid out or given back.

use alloy::primitives::{Address, B256};
use sqlx::{Executor, Row, Sqlite, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use super::{
    super::{
        EndRefund, HoldRefund, OpenTransaction, Payment, Purpose, RecheckRefund, Refund, RefundEnd,
        RefundFound, RefundRefusal, RefundSent, Rest, StoreError, writer::Command,
    },
    books, payments, reads, rows,
};
use crate::{
    base::{AssetId, Credits, NetworkId, PurchaseId, RefundId, Timestamp},
    ledger::{Account, Grant, Posting, PostingReason, unspent},
    payment::{Booked, PaymentWay, RefundState, VoidReason, refund_amount},
};

pub(in super::super) async fn refund<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    id: RefundId,
) -> Result<Option<Refund>, StoreError> {
    let row = sqlx::query("SELECT * FROM refunds WHERE id = ?")
        .bind(id.to_string())
        .fetch_optional(executor)
        .await?;
    row.as_ref().map(read).transpose()
}

pub(in super::super) async fn refund_of<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    payment: PurchaseId,
) -> Result<Option<Refund>, StoreError> {
    let row = sqlx::query("SELECT * FROM refunds WHERE payment_id = ? AND state <> 'void'")
        .bind(payment.to_string())
        .fetch_optional(executor)
        .await?;
    row.as_ref().map(read).transpose()
}

pub(in super::super) async fn open(
    pool: &SqlitePool,
    after: Option<RefundId>,
    limit: u32,
) -> Result<Vec<RefundId>, StoreError> {
    let rows = sqlx::query(
        "SELECT id FROM refunds WHERE state IN ('held', 'broadcast') AND id > ?
         ORDER BY id LIMIT ?",
    )
    .bind(after.map_or_else(String::new, |after| after.to_string()))
    .bind(limit)
    .fetch_all(pool)
    .await?;
    rows.iter().map(|row| rows::parsed(row, "id")).collect()
}

pub(in super::super) async fn sent(
    pool: &SqlitePool,
    id: RefundId,
) -> Result<Option<RefundSent>, StoreError> {
    let row = sqlx::query("SELECT * FROM relayer_transactions WHERE refund_id = ?")
        .bind(id.to_string())
        .fetch_optional(pool)
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let sent = rows::open_transaction(&row)?;
    let mut hashes = vec![sent.signed.hash];
    hashes.extend(reads::replaced_hashes(pool, &sent).await?);
    Ok(Some(RefundSent {
        account_nonce: sent.account_nonce,
        hashes,
    }))
}

pub(in super::super) async fn paid(
    pool: &SqlitePool,
    chain_id: u64,
    limit: u32,
) -> Result<Vec<Refund>, StoreError> {
    let rows = sqlx::query(
        "SELECT * FROM refunds WHERE chain_id = ? AND state = 'paid' AND final = 0 LIMIT ?",
    )
    .bind(rows::signed(chain_id, "chain_id")?)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<Refund, StoreError> {
    let network = NetworkId::from_chain_id(rows::unsigned(row, "chain_id")?);
    let hash = row.try_get::<Option<&[u8]>, _>("transaction_hash")?;
    Ok(Refund {
        id: rows::parsed(row, "id")?,
        payment: rows::parsed(row, "payment_id")?,
        state: rows::parsed(row, "state")?,
        asset: AssetId {
            network,
            token: Address::from(rows::bytes::<20>(row, "token")?),
        },
        float: Address::from(rows::bytes::<20>(row, "float")?),
        payer: Address::from(rows::bytes::<20>(row, "payer")?),
        amount: rows::parsed(row, "amount")?,
        credits: rows::credits(row, "units")?,
        since_block: rows::unsigned(row, "since_block")?,
        transaction: match hash {
            Some(_) => Some(B256::from(rows::bytes::<32>(row, "transaction_hash")?)),
            None => None,
        },
        block: match row.try_get::<Option<i64>, _>("block")? {
            Some(_) => Some((
                rows::unsigned(row, "block")?,
                B256::from(rows::bytes::<32>(row, "block_hash")?),
            )),
            None => None,
        },
        reason: row.try_get("reason")?,
        created_at: Timestamp::from_millis(row.try_get("created_ms")?),
    })
}

/// What stands of one payment in its wallet's books.
struct Standing {
    id: PurchaseId,
    net: Credits,
    /// The posting that brought it: a higher number came later.
    came: i64,
}

/// What is unspent of a payment.
pub(in super::super) async fn rest(
    connection: &mut SqliteConnection,
    payment: &Payment,
) -> Result<Rest, StoreError> {
    let found = found(connection, payment).await?;
    let credits = found.map_or(Credits::ZERO, |(_, credits)| credits);
    Ok(of(payment, credits))
}

fn of(payment: &Payment, credits: Credits) -> Rest {
    Rest {
        credits,
        amount: refund_amount(payment.transfer.value, payment.credits, credits),
    }
}

/// The grant that a payment became a part of, and what is left of the payment in it.
async fn found(
    connection: &mut SqliteConnection,
    payment: &Payment,
) -> Result<Option<(Grant, Credits)>, StoreError> {
    if payment.booked != Some(Booked::Wallet) {
        return Ok(None);
    }
    let Some(account) = books::wallet_account(&mut *connection, payment.wallet).await? else {
        return Ok(None);
    };
    let source = payments::source(payment.way);
    let mut grants = account.grants.into_iter();
    let grant = grants.find(|grant| {
        grant.source == source
            && grant.expires_at.is_none()
            && grant.priority == payments::PURCHASE_PRIORITY
    });
    let standings = standings(connection, payment, account.id).await?;
    let this = standings.iter().find(|it| it.id == payment.id);
    let (Some(grant), Some(this)) = (grant, this) else {
        return Ok(None);
    };
    let later = standings.iter().filter(|it| it.came > this.came);
    let later = later.map(|it| it.net);
    let rest = unspent(grant.unallocated(), this.net, later);
    Ok(rest.is_positive().then_some((grant, rest)))
}

/// All payments that became credits of this one's wallet in the same grant.
async fn standings(
    connection: &mut SqliteConnection,
    payment: &Payment,
    account: i64,
) -> Result<Vec<Standing>, StoreError> {
    let rows = sqlx::query(
        "SELECT payments.id AS id, way,
                sum(iif(to_account = ?1, amount_units, -amount_units)) AS net_units,
                max(iif(to_account = ?1 AND postings.reason IN ('purchase', 'attribution'), postings.id, 0))
                    AS came
         FROM payments JOIN postings ON reference = payments.id
         WHERE wallet = ?2 AND booked = 'wallet' AND ?1 IN (from_account, to_account)
           AND postings.reason IN ('purchase', 'direct_call', 'suspense', 'attribution', 'reversal', 'recovery', 'refund', 'refund_void')
         GROUP BY payments.id",
    )
    .bind(account)
    .bind(payment.wallet.to_string())
    .fetch_all(connection)
    .await?;
    let source = payments::source(payment.way);
    let mut standings = Vec::with_capacity(rows.len());
    for row in &rows {
        let way = PaymentWay::parse(row.try_get("way")?).ok_or(StoreError::Corrupt("way"))?;
        if payments::source(way) == source {
            standings.push(Standing {
                id: rows::parsed(row, "id")?,
                net: rows::credits(row, "net_units")?,
                came: row.try_get("came")?,
            });
        }
    }
    Ok(standings)
}

impl Command for HoldRefund {
    type Answer = Result<Refund, RefundRefusal>;

    async fn execute(
        &self,
        transaction: &mut SqliteConnection,
    ) -> Result<Self::Answer, StoreError> {
        if let Some(known) = refund_of(&mut *transaction, self.payment).await? {
            return Ok(Err(RefundRefusal::Known(Box::new(known))));
        }
        let payment = reads::payment(&mut *transaction, self.payment).await?;
        let Some(payment) = payment.filter(|payment| payment.booked == Some(Booked::Wallet)) else {
            return Ok(Err(RefundRefusal::NotCredits));
        };
        let Some((grant, credits)) = found(transaction, &payment).await? else {
            return Ok(Err(RefundRefusal::NothingLeft));
        };
        let rest = of(&payment, credits);
        if rest.amount.is_zero() {
            return Ok(Err(RefundRefusal::NothingLeft));
        }
        let refunded = self.refunded(transaction, &payment).await?;
        let total = refunded.checked_add(credits);
        if total.is_none_or(|total| total > self.cap) {
            let rest = credits;
            return Ok(Err(RefundRefusal::CapReached { rest, refunded }));
        }
        add_to_grant(transaction, grant.id.0, -credits.units()).await?;
        let wallet = Account::Wallet(payment.wallet);
        let reason = PostingReason::Refund;
        post(
            transaction,
            &payment,
            (wallet, Account::Refunds),
            credits,
            reason,
            self.now,
        )
        .await?;
        self.insert(transaction, &payment, &grant, &rest).await?;
        let refund = refund(transaction, self.id).await?;
        Ok(Ok(refund.ok_or(StoreError::Corrupt("refunds"))?))
    }
}

impl HoldRefund {
    /// What the network's cap has gone to.
    async fn refunded(
        &self,
        transaction: &mut SqliteConnection,
        payment: &Payment,
    ) -> Result<Credits, StoreError> {
        let row = sqlx::query(
            "SELECT coalesce(sum(units), 0) AS units FROM refunds
             WHERE chain_id = ? AND created_ms > ? AND state <> 'void'",
        )
        .bind(rows::signed(payment.asset.network.chain_id(), "chain_id")?)
        .bind(self.now.millis().saturating_sub(Self::DAY_MS))
        .fetch_one(transaction)
        .await?;
        rows::credits(&row, "units")
    }

    async fn insert(
        &self,
        transaction: &mut SqliteConnection,
        payment: &Payment,
        grant: &Grant,
        rest: &Rest,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO refunds (id, payment_id, state, chain_id, token, float, payer, amount, units,
                grant_id, since_block, created_ms, updated_ms)
             VALUES (?, ?, 'held', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(self.id.to_string())
        .bind(payment.id.to_string())
        .bind(rows::signed(payment.asset.network.chain_id(), "chain_id")?)
        .bind(payment.asset.token.as_slice())
        .bind(self.float.as_slice())
        .bind(payment.transfer.from.as_slice())
        .bind(rest.amount.to_string())
        .bind(rest.credits.units())
        .bind(grant.id.0)
        .bind(rows::signed(self.since_block, "since_block")?)
        .bind(self.now.millis())
        .bind(self.now.millis())
        .execute(transaction)
        .await?;
        Ok(())
    }
}

/// Conditional on the state, so a second execution changes nothing.
impl Command for EndRefund {
    type Answer = bool;

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<bool, StoreError> {
        let refund = refund(&mut *transaction, self.refund).await?;
        let refund = refund.ok_or(StoreError::Corrupt("refunds"))?;
        let payment = reads::payment(&mut *transaction, refund.payment).await?;
        let payment = payment.ok_or(StoreError::Corrupt("payments"))?;
        if !self.end(transaction).await? {
            return Ok(false);
        }
        let (to, reason) = match self.end {
            RefundEnd::Paid(_) => (Account::Cash(refund.asset), PostingReason::RefundPaid),
            RefundEnd::Void(_) if payment.booked == Some(Booked::Wallet) => {
                self.give_back(transaction, &refund).await?;
                (Account::Wallet(payment.wallet), PostingReason::RefundVoid)
            }
            // The chain dropped the payment meanwhile, and the house took that loss.
            RefundEnd::Void(_) => (Account::Loss, PostingReason::RefundVoid),
        };
        let sides = (Account::Refunds, to);
        post(
            transaction,
            &payment,
            sides,
            refund.credits,
            reason,
            self.now,
        )
        .await?;
        Ok(true)
    }
}

impl EndRefund {
    /// False when it had ended already. Its transaction, whose account nonce is used up, is closed with
    /// it: a void one is never sent again.
    async fn end(&self, transaction: &mut SqliteConnection) -> Result<bool, StoreError> {
        let (to, from) = match self.end {
            RefundEnd::Paid(_) => (RefundState::Paid, RefundState::Broadcast),
            // What may have been broadcast is never merely expected to fail.
            RefundEnd::Void(VoidReason::WouldFail | VoidReason::FloatChanged) => {
                (RefundState::Void, RefundState::Held)
            }
            RefundEnd::Void(VoidReason::Failed | VoidReason::Superseded) => {
                (RefundState::Void, RefundState::Broadcast)
            }
        };
        let (at, reason) = match self.end {
            RefundEnd::Paid(at) => (Some(at), None),
            RefundEnd::Void(reason) => (None, Some(reason)),
        };
        let block = at.map(|at| rows::signed(at.block, "block")).transpose()?;
        let ended = sqlx::query(
            "UPDATE refunds SET state = ?, transaction_hash = coalesce(?, transaction_hash),
                block = ?, block_hash = ?, reason = ?, updated_ms = ?
             WHERE id = ? AND state = ?",
        )
        .bind(to.as_str())
        .bind(at.map(|at| at.transaction.to_vec()))
        .bind(block)
        .bind(at.map(|at| at.block_hash.to_vec()))
        .bind(reason.map(VoidReason::as_str))
        .bind(self.now.millis())
        .bind(self.refund.to_string())
        .bind(from.as_str())
        .execute(&mut *transaction)
        .await?;
        if ended.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("UPDATE relayer_transactions SET status = 'closed' WHERE refund_id = ?")
            .bind(self.refund.to_string())
            .execute(transaction)
            .await?;
        Ok(true)
    }

    /// The credits are the grant's again.
    async fn give_back(
        &self,
        transaction: &mut SqliteConnection,
        refund: &Refund,
    ) -> Result<(), StoreError> {
        let grant = sqlx::query_scalar("SELECT grant_id FROM refunds WHERE id = ?")
            .bind(self.refund.to_string())
            .fetch_one(&mut *transaction)
            .await?;
        add_to_grant(transaction, grant, refund.credits.units()).await
    }
}

/// Conditional on the block that was judged, so a second execution changes nothing.
impl Command for RecheckRefund {
    type Answer = bool;

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<bool, StoreError> {
        let refund = refund(&mut *transaction, self.refund).await?;
        let refund = refund.ok_or(StoreError::Corrupt("refunds"))?;
        let stands = refund.state == RefundState::Paid
            && refund.block.is_some_and(|(_, hash)| hash == self.from);
        if !stands {
            return Ok(false);
        }
        let query = match self.found {
            RefundFound::Final => sqlx::query("UPDATE refunds SET final = 1 WHERE id = ?"),
            RefundFound::Moved(at) => sqlx::query(
                "UPDATE refunds SET transaction_hash = ?, block = ?, block_hash = ?, updated_ms = ?
                 WHERE id = ?",
            )
            .bind(at.transaction.to_vec())
            .bind(rows::signed(at.block, "block")?)
            .bind(at.block_hash.to_vec())
            .bind(self.now.millis()),
            RefundFound::Undone => sqlx::query(
                "UPDATE refunds SET state = 'broadcast', block = NULL, block_hash = NULL,
                    updated_ms = ?
                 WHERE id = ?",
            )
            .bind(self.now.millis()),
        };
        query
            .bind(self.refund.to_string())
            .execute(&mut *transaction)
            .await?;
        if self.found == RefundFound::Undone {
            let payment = reads::payment(&mut *transaction, refund.payment).await?;
            let payment = payment.ok_or(StoreError::Corrupt("payments"))?;
            let sides = (Account::Cash(refund.asset), Account::Refunds);
            let reason = PostingReason::RefundUndone;
            post(
                transaction,
                &payment,
                sides,
                refund.credits,
                reason,
                self.now,
            )
            .await?;
        }
        Ok(true)
    }
}

/// The transaction of a refund that is not at its end: open again if a reorganization undid what closed
/// it.
pub(in super::super) struct ReopenRefund(pub(in super::super) RefundId);

impl Command for ReopenRefund {
    type Answer = Option<OpenTransaction>;

    async fn execute(
        &self,
        transaction: &mut SqliteConnection,
    ) -> Result<Self::Answer, StoreError> {
        sqlx::query(
            "UPDATE relayer_transactions SET status = 'open'
             WHERE refund_id = ?1 AND status = 'closed'
               AND EXISTS (SELECT 1 FROM refunds WHERE id = ?1 AND state = 'broadcast')",
        )
        .bind(self.0.to_string())
        .execute(&mut *transaction)
        .await?;
        reads::open_transaction(transaction, Purpose::Refund(self.0)).await
    }
}

async fn add_to_grant(
    transaction: &mut SqliteConnection,
    grant: i64,
    units: i64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE grants SET remaining_units = remaining_units + ? WHERE id = ?")
        .bind(units)
        .bind(grant)
        .execute(transaction)
        .await?;
    Ok(())
}

async fn post(
    transaction: &mut SqliteConnection,
    payment: &Payment,
    (from, to): (Account, Account),
    amount: Credits,
    reason: PostingReason,
    now: Timestamp,
) -> Result<(), StoreError> {
    let posting =
        Posting::new(from, to, amount, reason).map_err(|_| StoreError::Corrupt("refunds"))?;
    books::post(transaction, &posting, &payment.id.to_string(), now).await
}
