//! Payments: the intent, the credit, the giving up.

use sqlx::{Row, SqliteConnection};

use super::{
    super::{
        CreditPayment, DirectStage, GiveUp, NewDirectCall, NewPayment, Payment, PaymentRefusal,
        PaymentWay, StoreError, StoreLimits, writer::Command,
    },
    books::{self, NewGrant},
    reads, rows,
};
use crate::{
    base::{AgentAddress, PurchaseId, Timestamp},
    ledger::{Account, GrantSource, Posting, PostingReason},
    payment::PaymentState,
};

/// Purchased credits are spent after promotions that were given a lower number.
const PURCHASE_PRIORITY: i64 = 100;

pub(in super::super) struct InsertPayment {
    pub(in super::super) payment: NewPayment,
    pub(in super::super) call: Option<NewDirectCall>,
    pub(in super::super) limits: StoreLimits,
}

impl Command for InsertPayment {
    type Answer = Result<(), PaymentRefusal>;

    async fn execute(
        &self,
        transaction: &mut SqliteConnection,
    ) -> Result<Self::Answer, StoreError> {
        let payment = &self.payment;
        if let Some(known) = reads::payment_by_key(&mut *transaction, &payment.key()).await? {
            return Ok(Err(PaymentRefusal::Known(Box::new(known))));
        }
        if let Some(call) = &self.call {
            if !call.settle_first && reads::is_barred(&mut *transaction, payer(payment)).await? {
                return Ok(Err(PaymentRefusal::PayerBarred));
            }
            if reads::has_unsettled_call(transaction, payer(payment)).await? {
                return Ok(Err(PaymentRefusal::PayerBusy));
            }
            let stored = reads::stored_reply_bytes(transaction).await?;
            if stored >= self.limits.stored_replies_bytes_max {
                return Ok(Err(PaymentRefusal::RepliesFull));
            }
        }
        insert(transaction, payment).await?;
        if let Some(call) = &self.call {
            insert_call(transaction, payment, call).await?;
        }
        Ok(Ok(()))
    }
}

fn payer(payment: &NewPayment) -> AgentAddress {
    AgentAddress::new(payment.terms.from)
}

async fn insert(
    transaction: &mut SqliteConnection,
    payment: &NewPayment,
) -> Result<(), StoreError> {
    let terms = &payment.terms;
    sqlx::query(
        "INSERT INTO payments (id, key, way, state, chain_id, token, payer, pay_to, amount,
            valid_after, valid_before, nonce, signature, credits_units, wallet, label, since_block,
            created_ms, updated_ms)
         VALUES (?, ?, ?, 'authorized', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(payment.id.to_string())
    .bind(payment.key().to_string())
    .bind(payment.way.as_str())
    .bind(rows::signed(payment.asset.network.chain_id(), "chain_id")?)
    .bind(payment.asset.token.as_slice())
    .bind(terms.from.as_slice())
    .bind(terms.to.as_slice())
    .bind(terms.value.to_string())
    .bind(rows::signed(terms.valid_after, "valid_after")?)
    .bind(rows::signed(terms.valid_before, "valid_before")?)
    .bind(terms.nonce.as_slice())
    .bind(payment.signature.as_slice())
    .bind(payment.credits.units())
    .bind(payment.wallet.to_string())
    .bind(payment.label.as_deref())
    .bind(rows::signed(payment.since_block, "since_block")?)
    .bind(payment.now.millis())
    .bind(payment.now.millis())
    .execute(transaction)
    .await?;
    Ok(())
}

async fn insert_call(
    transaction: &mut SqliteConnection,
    payment: &NewPayment,
    call: &NewDirectCall,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO direct_calls (payment_id, tool, action, settle_first, request_hash,
            identified, stage, expires_ms, created_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(payment.id.to_string())
    .bind(call.tool.as_str())
    .bind(call.action.as_str())
    .bind(call.settle_first)
    .bind(call.request_hash.as_slice())
    .bind(call.identified)
    .bind(if call.settle_first {
        "waiting"
    } else {
        "running"
    })
    .bind(call.replay_until.millis())
    .bind(payment.now.millis())
    .execute(transaction)
    .await?;
    Ok(())
}

/// A purchase's transfer becomes credits; a direct call's becomes revenue, waits for its tool when
/// it settles first, or becomes credits of its payer when the call failed or was abandoned. Only an
/// open payment, or a refused one that was paid all the same, is credited, so a second execution
/// changes nothing.
impl Command for CreditPayment {
    type Answer = ();

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<(), StoreError> {
        let Some(payment) = reads::payment(&mut *transaction, self.payment).await? else {
            return Err(StoreError::Corrupt("payments"));
        };
        let use_of_it = match payment.way {
            PaymentWay::Purchase => Use::Credits,
            PaymentWay::Direct => {
                let call = reads::direct_call(&mut *transaction, self.payment).await?;
                match call.ok_or(StoreError::Corrupt("direct_calls"))?.stage {
                    DirectStage::Waiting => Use::Undecided,
                    DirectStage::Running | DirectStage::Done => Use::Revenue,
                    // Nothing was given for it, and still somebody submitted it.
                    DirectStage::Failed | DirectStage::TimedOut | DirectStage::Abandoned => {
                        Use::Credits
                    }
                }
            }
        };
        let state = match use_of_it {
            Use::Undecided => PaymentState::Confirmed,
            Use::Credits | Use::Revenue => PaymentState::Credited,
        };
        let moved = sqlx::query(
            "UPDATE payments SET state = ?, transaction_hash = ?, block = ?, reason = NULL,
                updated_ms = ?
             WHERE id = ? AND state IN ('authorized', 'broadcast', 'refused')",
        )
        .bind(state.as_str())
        .bind(self.transaction.as_slice())
        .bind(rows::signed(self.block, "block")?)
        .bind(self.now.millis())
        .bind(self.payment.to_string())
        .execute(&mut *transaction)
        .await?;
        if moved.rows_affected() == 0 {
            return Ok(());
        }
        match use_of_it {
            Use::Undecided => Ok(()),
            Use::Credits => to_wallet(transaction, &payment, self.now).await,
            Use::Revenue => to_revenue(transaction, &payment, self.now).await,
        }
    }
}

/// What a confirmed payment becomes.
enum Use {
    Credits,
    Revenue,
    /// Its tool has still to answer.
    Undecided,
}

/// The payment becomes credits of its wallet.
pub(super) async fn to_wallet(
    transaction: &mut SqliteConnection,
    payment: &Payment,
    now: Timestamp,
) -> Result<(), StoreError> {
    let grant = NewGrant {
        wallet: payment.wallet,
        from: Account::Cash(payment.asset),
        amount: payment.credits,
        source: GrantSource::X402,
        reason: PostingReason::Purchase,
        priority: PURCHASE_PRIORITY,
        expires_at: None,
        reference: &payment.id.to_string(),
        now,
    };
    books::grant(transaction, grant).await
}

/// The payment paid for one call.
pub(super) async fn to_revenue(
    transaction: &mut SqliteConnection,
    payment: &Payment,
    now: Timestamp,
) -> Result<(), StoreError> {
    let cash = Account::Cash(payment.asset);
    let posting = Posting::new(
        cash,
        Account::Revenue,
        payment.credits,
        PostingReason::DirectCall,
    )
    .map_err(|_| StoreError::Corrupt("credits_units"))?;
    books::post(transaction, &posting, &payment.id.to_string(), now).await
}

impl Command for GiveUp {
    type Answer = ();

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<(), StoreError> {
        // What may have been broadcast is never merely refused.
        let moved = sqlx::query(
            "UPDATE payments SET state = ?1, reason = ?2, updated_ms = ?3
             WHERE id = ?4 AND (state = 'authorized'
                                OR (state IN ('broadcast', 'refused') AND ?1 <> 'refused'))
             RETURNING payer",
        )
        .bind(self.state.as_str())
        .bind(self.reason)
        .bind(self.now.millis())
        .bind(self.payment.to_string())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = moved else {
            return Ok(());
        };
        // The tool has run and its payment will never come: the operator's loss, once. Also when
        // the payer was sent away by then, as it is when the settlement takes long to fail.
        sqlx::query(
            "INSERT INTO barred_payers (payer, payment_id, created_ms)
             SELECT ?, payment_id, ? FROM direct_calls
             WHERE payment_id = ? AND NOT settle_first
               AND (stage = 'done' OR (stage = 'abandoned' AND reply_status IS NOT NULL))
             ON CONFLICT (payer) DO NOTHING",
        )
        .bind(row.try_get::<Vec<u8>, _>("payer")?)
        .bind(self.now.millis())
        .bind(self.payment.to_string())
        .execute(transaction)
        .await?;
        Ok(())
    }
}

pub(in super::super) struct ReopenPayment {
    pub(in super::super) id: PurchaseId,
    pub(in super::super) now: Timestamp,
}

impl Command for ReopenPayment {
    type Answer = bool;

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<bool, StoreError> {
        let moved = sqlx::query(
            "UPDATE payments SET state = 'authorized', reason = NULL, updated_ms = ?
             WHERE id = ? AND state = 'refused' AND way = 'purchase'",
        )
        .bind(self.now.millis())
        .bind(self.id.to_string())
        .execute(transaction)
        .await?;
        Ok(moved.rows_affected() == 1)
    }
}
