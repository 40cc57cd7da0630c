//! May another payment be settled for a payer? Asked by the transaction that stores its intent.

use alloy::primitives::U256;
use sqlx::{Executor, Sqlite, SqliteConnection};

use super::{
    super::{NewPayment, PayerRecord, PayerRefusal, StoreError, payers::LATELY_MS},
    rows,
};
use crate::base::{AgentAddress, AssetId, PurchaseId, Timestamp};

pub(in super::super) async fn record<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    payer: AgentAddress,
    now: Timestamp,
) -> Result<PayerRecord, StoreError> {
    let (open, failed, failed_lately) = sqlx::query_as(
        "SELECT count(DISTINCT payments.id) FILTER (
                    WHERE state IN ('authorized', 'broadcast') AND signature IS NOT NULL),
                count(sent.hash), count(sent.hash) FILTER (WHERE sent.signed_ms > ?)
         FROM payments LEFT JOIN relayer_transactions AS sent
           ON sent.payment_id = payments.id AND sent.status = 'closed' AND sent.reverted
          AND reversals = 0
         WHERE payer = ? AND state NOT IN ('confirmed', 'credited')",
    )
    .bind(now.millis().saturating_sub(LATELY_MS))
    .bind(payer.address().as_slice())
    .fetch_one(executor)
    .await?;
    Ok(PayerRecord {
        open,
        failed,
        failed_lately,
    })
}

/// The payer's open payments in a token, with their amounts in base units.
pub(in super::super) async fn promised<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    payer: AgentAddress,
    asset: AssetId,
) -> Result<Vec<(PurchaseId, U256)>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, amount FROM payments
         WHERE payer = ? AND state IN ('authorized', 'broadcast') AND signature IS NOT NULL
           AND chain_id = ? AND token = ?",
    )
    .bind(payer.address().as_slice())
    .bind(rows::signed(asset.network.chain_id(), "chain_id")?)
    .bind(asset.token.as_slice())
    .fetch_all(executor)
    .await?;
    rows.iter()
        .map(|row| Ok((rows::parsed(row, "id")?, rows::parsed(row, "amount")?)))
        .collect()
}

pub(super) async fn refusal(
    transaction: &mut SqliteConnection,
    payment: &NewPayment,
) -> Result<Option<PayerRefusal>, StoreError> {
    let terms = &payment.authorization.terms;
    let payer = AgentAddress::new(terms.from);
    let Some(risk) = &payment.risk else {
        // The money is here: nothing is sent for it.
        return Ok(None);
    };
    let record = record(&mut *transaction, payer, payment.now).await?;
    if let Some(refusal) = record.refusal(risk.by_code) {
        return Ok(Some(refusal));
    }
    let promised = promised(transaction, payer, payment.asset).await?;
    Ok((!risk.covers(terms.value, &promised)).then_some(PayerRefusal::FundsPromised))
}
