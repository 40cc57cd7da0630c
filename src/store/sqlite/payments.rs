//! Payments: the intent, the credit, the giving up.

use sqlx::SqliteConnection;

use super::{
    super::{
        CreditPayment, GiveUp, NewDirectCall, NewPayment, PayerRefusal, Payment, PaymentRefusal,
        StoreError, StoreLimits, writer::Command,
    },
    books::{self, NewGrant},
    payers, reads, reversals, rows,
};
use crate::{
    base::{AgentAddress, PurchaseId, Timestamp},
    ledger::{Account, GrantSource, Posting, PostingReason},
    payment::{Booked, Booking, DirectStage, PaymentKey, PaymentState, PaymentWay, booking},
};

/// Purchased credits are spent after promotions that were given a lower number.
pub(super) const PURCHASE_PRIORITY: i64 = 100;

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
        if let Some(refusal) = payers::refusal(&mut *transaction, payment).await? {
            return Ok(Err(PaymentRefusal::Payer(refusal)));
        }
        if let Some(call) = &self.call {
            if !call.settle_first && reads::is_barred(&mut *transaction, payer(payment)).await? {
                return Ok(Err(PaymentRefusal::Payer(PayerRefusal::Barred)));
            }
            if reads::has_unsettled_call(transaction, payer(payment)).await? {
                return Ok(Err(PaymentRefusal::Payer(PayerRefusal::Busy)));
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
    AgentAddress::new(payment.authorization.terms.from)
}

async fn insert(
    transaction: &mut SqliteConnection,
    payment: &NewPayment,
) -> Result<(), StoreError> {
    let terms = &payment.authorization.terms;
    sqlx::query(
        "INSERT INTO payments (id, way, state, chain_id, token, payer, pay_to, amount,
            transfer_method, valid_after, valid_before, nonce, signature, permit, credits_units, wallet,
            label, since_block, created_ms, updated_ms)
         VALUES (?, ?, 'authorized', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(payment.id.to_string())
    .bind(payment.way.as_str())
    .bind(rows::signed(payment.asset.network.chain_id(), "chain_id")?)
    .bind(payment.asset.token.as_slice())
    .bind(terms.from.as_slice())
    .bind(terms.to.as_slice())
    .bind(terms.value.to_string())
    .bind(terms.method.as_str())
    // The far ends of time are all one: an authorization that was settled may name any.
    .bind(i64::try_from(terms.valid_after).unwrap_or(i64::MAX))
    .bind(i64::try_from(terms.valid_before).unwrap_or(i64::MAX))
    .bind(terms.nonce.as_slice())
    .bind(payment.authorization.signature.as_slice())
    .bind(payment.authorization.permit.map(|permit| permit.to_bytes()))
    .bind(payment.credits.units())
    .bind(payment.wallet.to_string())
    .bind(payment.label.as_deref())
    .bind(rows::signed(payment.since_block, "since_block")?)
    .bind(payment.now.millis())
    .bind(payment.now.millis())
    .execute(&mut *transaction)
    .await?;
    take_key(transaction, &payment.key(), payment.id).await
}

/// Counts a transfer for this payment, and for no other.
pub(super) async fn take_key(
    transaction: &mut SqliteConnection,
    key: &PaymentKey,
    payment: PurchaseId,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO payment_keys (key, payment_id) VALUES (?, ?)")
        .bind(key.to_string())
        .bind(payment.to_string())
        .execute(transaction)
        .await?;
    Ok(())
}

/// Counts one of the transfers for the payment. False when each is counted for another.
pub(super) async fn take_transfer(
    transaction: &mut SqliteConnection,
    payment: PurchaseId,
    transfers: &[PaymentKey],
) -> Result<bool, StoreError> {
    let mut free = None;
    for key in transfers {
        match reads::payment_of_key(&mut *transaction, key).await? {
            Some(id) if id == payment => return Ok(true),
            Some(_) => {}
            None => free = free.or(Some(key)),
        }
    }
    match free {
        Some(key) => take_key(transaction, key, payment).await?,
        None => return Ok(transfers.is_empty()),
    }
    Ok(true)
}

fn first_stage(call: &NewDirectCall) -> DirectStage {
    if call.settle_first {
        DirectStage::Waiting
    } else {
        DirectStage::Running
    }
}

async fn insert_call(
    transaction: &mut SqliteConnection,
    payment: &NewPayment,
    call: &NewDirectCall,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO direct_calls (payment_id, tool, action, settle_first, request_hash,
            identified, stage, deadline_ms, expires_ms, created_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(payment.id.to_string())
    .bind(call.tool.as_str())
    .bind(call.action.as_str())
    .bind(call.settle_first)
    .bind(call.request_hash.as_slice())
    .bind(call.identified)
    .bind(first_stage(call).as_str())
    .bind(call.deadline.millis())
    .bind(call.replay_until.millis())
    .bind(payment.now.millis())
    .execute(transaction)
    .await?;
    Ok(())
}

/// Books what arrived as [`booking`] decides. Only what is not credited yet is, so a second execution
/// changes nothing. Also what was given up: money that arrives is never refused.
impl Command for CreditPayment {
    /// Whether it was booked.
    type Answer = bool;

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<bool, StoreError> {
        let Some(payment) = reads::payment(&mut *transaction, self.payment).await? else {
            return Err(StoreError::Corrupt("payments"));
        };
        if !take_transfer(&mut *transaction, self.payment, &self.transfers).await? {
            let give_up = GiveUp {
                payment: self.payment,
                state: PaymentState::Failed,
                reason: "authorization_spent_elsewhere",
                now: self.now,
            };
            give_up.execute(transaction).await?;
            return Ok(false);
        }
        let call = match payment.way {
            PaymentWay::Purchase | PaymentWay::Claim | PaymentWay::Event | PaymentWay::Transfer => {
                None
            }
            PaymentWay::Direct => {
                let call = reads::direct_call(&mut *transaction, self.payment).await?;
                Some(call.ok_or(StoreError::Corrupt("direct_calls"))?)
            }
        };
        let identified = call.as_ref().is_some_and(|call| call.identified);
        let booking = booking(call.map(|call| call.stage), payment.state, identified);
        let (state, account) = match booking {
            Booking::Undecided => (PaymentState::Confirmed, None),
            Booking::Credits => (PaymentState::Credited, Some(booked(&payment))),
            Booking::Revenue => (PaymentState::Credited, Some(Booked::Revenue)),
        };
        let moved = sqlx::query(
            "UPDATE payments SET state = ?, booked = ?, transaction_hash = ?, block = ?,
                block_hash = ?, reason = NULL, updated_ms = ?
             WHERE id = ? AND state NOT IN ('confirmed', 'credited')",
        )
        .bind(state.as_str())
        .bind(account.map(Booked::as_str))
        .bind(self.at.transaction.as_slice())
        .bind(rows::signed(self.at.block, "block")?)
        .bind(self.at.block_hash.as_slice())
        .bind(self.now.millis())
        .bind(self.payment.to_string())
        .execute(&mut *transaction)
        .await?;
        if moved.rows_affected() == 0 {
            return Ok(false);
        }
        match booking {
            Booking::Undecided => return Ok(false),
            Booking::Credits => to_its_account(transaction, &payment, self.now).await?,
            Booking::Revenue => to_revenue(transaction, &payment, self.now).await?,
        }
        Ok(true)
    }
}

/// Which grants the credits of a payment belong to.
pub(super) const fn source(way: PaymentWay) -> GrantSource {
    match way {
        PaymentWay::Purchase | PaymentWay::Direct => GrantSource::X402,
        PaymentWay::Claim | PaymentWay::Event | PaymentWay::Transfer => GrantSource::OnChain,
    }
}

/// The payment becomes credits of its wallet, or waits in suspense for an operator to say whose it is.
/// What is worth less than a unit is on record only.
pub(super) async fn to_its_account(
    transaction: &mut SqliteConnection,
    payment: &Payment,
    now: Timestamp,
) -> Result<(), StoreError> {
    match booked(payment) {
        _ if !payment.credits.is_positive() => Ok(()),
        Booked::Suspense => to_suspense(transaction, payment, now).await,
        Booked::Wallet | Booked::Revenue => to_wallet(transaction, payment, now).await,
    }
}

/// Where the money of a payment that pays for no call goes.
pub(super) fn booked(payment: &Payment) -> Booked {
    if payment.unattributed || !payment.credits.is_positive() {
        Booked::Suspense
    } else {
        Booked::Wallet
    }
}

async fn to_suspense(
    transaction: &mut SqliteConnection,
    payment: &Payment,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (cash, suspense) = (
        Account::Cash(payment.asset),
        Account::Suspense(payment.asset),
    );
    let posting = Posting::new(cash, suspense, payment.credits, PostingReason::Suspense)
        .map_err(|_| StoreError::Corrupt("credits_units"))?;
    books::post(transaction, &posting, &payment.id.to_string(), now).await
}

/// The payment becomes credits of its wallet.
pub(super) async fn to_wallet(
    transaction: &mut SqliteConnection,
    payment: &Payment,
    now: Timestamp,
) -> Result<(), StoreError> {
    let amount = reversals::recover_loss(transaction, payment, now).await?;
    if !amount.is_positive() {
        return Ok(());
    }
    let grant = NewGrant {
        wallet: payment.wallet,
        from: Account::Cash(payment.asset),
        amount,
        source: source(payment.way),
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
    let amount = reversals::recover_loss(transaction, payment, now).await?;
    if !amount.is_positive() {
        return Ok(());
    }
    let cash = Account::Cash(payment.asset);
    let posting = Posting::new(cash, Account::Revenue, amount, PostingReason::DirectCall)
        .map_err(|_| StoreError::Corrupt("credits_units"))?;
    books::post(transaction, &posting, &payment.id.to_string(), now).await
}

impl Command for GiveUp {
    type Answer = ();

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<(), StoreError> {
        let Some(payment) = reads::payment(&mut *transaction, self.payment).await? else {
            return Err(StoreError::Corrupt("payments"));
        };
        // What may have been broadcast is never merely refused.
        let moved = sqlx::query(
            "UPDATE payments SET state = ?1, reason = ?2, updated_ms = ?3
             WHERE id = ?4 AND (state = 'authorized'
                                OR (state IN ('broadcast', 'refused') AND ?1 <> 'refused'))",
        )
        .bind(self.state.as_str())
        .bind(self.reason)
        .bind(self.now.millis())
        .bind(self.payment.to_string())
        .execute(&mut *transaction)
        .await?;
        if moved.rows_affected() == 0 || payment.way != PaymentWay::Direct {
            return Ok(());
        }
        sqlx::query(
            "UPDATE direct_calls SET stage = 'abandoned' WHERE payment_id = ? AND stage = 'waiting'",
        )
        .bind(self.payment.to_string())
        .execute(&mut *transaction)
        .await?;
        if payment.state != PaymentState::Refused {
            bar_payer(transaction, self).await?;
        }
        Ok(())
    }
}

/// Bars the payer if its tool has run and its payment will never come: the operator's loss, once.
/// Also when the payer was sent away by then, as it is when the settlement takes long to fail; but
/// not when the payment ran out because no settlement of ours was ever mined, unless it was left to a
/// facilitator and the chain would have refused it.
async fn bar_payer(transaction: &mut SqliteConnection, give_up: &GiveUp) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO barred_payers (payer, payment_id, created_ms)
         SELECT payer, payment_id, ?1 FROM direct_calls JOIN payments ON payments.id = payment_id
         WHERE payment_id = ?2 AND NOT settle_first
           AND (stage = 'done' OR (stage = 'abandoned' AND reply_status IS NOT NULL))
           AND (state <> 'expired' OR EXISTS (
                SELECT 1 FROM relayer_transactions AS sent
                WHERE sent.payment_id = payments.id AND sent.status = 'closed')
            OR EXISTS (
                SELECT 1 FROM facilitator_requests AS asked
                WHERE asked.payment_id = payments.id AND asked.would_fail))
         ON CONFLICT (payer) DO NOTHING",
    )
    .bind(give_up.now.millis())
    .bind(give_up.payment.to_string())
    .execute(transaction)
    .await?;
    Ok(())
}

pub(in super::super) struct ReopenPayment {
    pub(in super::super) id: PurchaseId,
    pub(in super::super) now: Timestamp,
}

impl Command for ReopenPayment {
    type Answer = bool;

    async fn execute(&self, transaction: &mut SqliteConnection) -> Result<bool, StoreError> {
        let Some(payment) = reads::payment(&mut *transaction, self.id).await? else {
            return Err(StoreError::Corrupt("payments"));
        };
        let payer = AgentAddress::new(payment.transfer.from);
        let record = payers::record(&mut *transaction, payer, self.now).await?;
        // Nobody asked again what the payer holds, or whether it has code: so as for the strictest.
        if record.refusal(true).is_some() {
            return Ok(false);
        }
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
