//! Columns to domain values.

use std::str::FromStr;

use alloy::primitives::{Address, B256, U256};
use sqlx::{Row, sqlite::SqliteRow};

use super::super::{
    CallReply, DirectCall, OpenTransaction, Payment, Purpose, ReplyKind, SignedTransaction,
    StoreError, StoredCall,
};
use crate::{
    base::{AssetId, Credits, NetworkId, Timestamp},
    ledger::{Grant, GrantId},
    payment::{
        Authorization, Booked, DirectStage, PaymentWay, SignedAuthorization, Transfer,
        TransferMethod,
    },
};

pub(super) fn credits(row: &SqliteRow, column: &'static str) -> Result<Credits, StoreError> {
    Ok(Credits::from_units(row.try_get(column)?))
}

/// A column that holds the text of a domain value.
pub(super) fn parsed<T: FromStr>(row: &SqliteRow, column: &'static str) -> Result<T, StoreError> {
    row.try_get::<&str, _>(column)?
        .parse()
        .map_err(|_| StoreError::Corrupt(column))
}

/// A column of exactly `N` bytes.
pub(super) fn bytes<const N: usize>(
    row: &SqliteRow,
    column: &'static str,
) -> Result<[u8; N], StoreError> {
    row.try_get::<&[u8], _>(column)?
        .try_into()
        .map_err(|_| StoreError::Corrupt(column))
}

/// A non-negative integer column.
pub(super) fn unsigned(row: &SqliteRow, column: &'static str) -> Result<u64, StoreError> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Corrupt(column))
}

/// An unsigned value as SQLite's signed integer.
pub(super) fn signed(value: u64, name: &'static str) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Corrupt(name))
}

pub(super) fn grant(row: &SqliteRow) -> Result<Grant, StoreError> {
    Ok(Grant {
        id: GrantId(row.try_get("grant_id")?),
        source: parsed(row, "source")?,
        priority: row.try_get("priority")?,
        expires_at: row
            .try_get::<Option<i64>, _>("expires_ms")?
            .map(Timestamp::from_millis),
        remaining: credits(row, "remaining_units")?,
        held: credits(row, "grant_held_units")?,
    })
}

pub(super) fn stored_call(row: &SqliteRow) -> Result<StoredCall, StoreError> {
    let reply = match row.try_get::<Option<&str>, _>("reply_kind")? {
        None => None,
        Some(kind) => Some(CallReply {
            kind: ReplyKind::parse(kind).ok_or(StoreError::Corrupt("reply_kind"))?,
            status: status(row)?,
            body: row
                .try_get::<Option<Vec<u8>>, _>("reply_body")?
                .unwrap_or_default(),
        }),
    };
    Ok(StoredCall {
        charge: parsed(row, "charge_id")?,
        status: parsed(row, "status")?,
        price: credits(row, "price_units")?,
        credit_source: parsed(row, "credit_source")?,
        message: row.try_get("message")?,
        signature: row.try_get("signature")?,
        reply,
        balance: Credits::from_units(
            row.try_get::<Option<i64>, _>("balance_units")?
                .unwrap_or_default(),
        ),
    })
}

fn status(row: &SqliteRow) -> Result<Option<u16>, StoreError> {
    row.try_get::<Option<i64>, _>("reply_status")?
        .map(|status| u16::try_from(status).map_err(|_| StoreError::Corrupt("reply_status")))
        .transpose()
}

pub(super) fn payment(row: &SqliteRow) -> Result<Payment, StoreError> {
    let way: &str = row.try_get("way")?;
    let amount: &str = row.try_get("amount")?;
    let transfer = Transfer {
        from: Address::from(bytes(row, "payer")?),
        to: Address::from(bytes(row, "pay_to")?),
        value: U256::from_str(amount).map_err(|_| StoreError::Corrupt("amount"))?,
    };
    Ok(Payment {
        id: parsed(row, "id")?,
        way: PaymentWay::parse(way).ok_or(StoreError::Corrupt("way"))?,
        state: parsed(row, "state")?,
        asset: AssetId {
            network: NetworkId::from_chain_id(unsigned(row, "chain_id")?),
            token: Address::from(bytes(row, "token")?),
        },
        transfer,
        authorization: authorization(row, transfer)?,
        nonce: hash(row, "nonce")?,
        log_position: row.try_get("log_position")?,
        credits: credits(row, "credits_units")?,
        wallet: parsed(row, "wallet")?,
        since_block: unsigned(row, "since_block")?,
        transaction: hash(row, "transaction_hash")?,
        block: match hash(row, "block_hash")? {
            Some(hash) => Some((unsigned(row, "block")?, hash)),
            None => None,
        },
        unattributed: row.try_get("unattributed")?,
        booked: row
            .try_get::<Option<&str>, _>("booked")?
            .map(|booked| Booked::parse(booked).ok_or(StoreError::Corrupt("booked")))
            .transpose()?,
        reversals: row.try_get("reversals")?,
        reason: row.try_get("reason")?,
        updated_at: Timestamp::from_millis(row.try_get("updated_ms")?),
    })
}

fn authorization(
    row: &SqliteRow,
    transfer: Transfer,
) -> Result<Option<SignedAuthorization>, StoreError> {
    let Some(signature) = row.try_get("signature")? else {
        return Ok(None);
    };
    let method: &str = row.try_get("transfer_method")?;
    let terms = Authorization {
        method: TransferMethod::parse(method).ok_or(StoreError::Corrupt("transfer_method"))?,
        from: transfer.from,
        to: transfer.to,
        value: transfer.value,
        valid_after: unsigned(row, "valid_after")?,
        valid_before: unsigned(row, "valid_before")?,
        nonce: B256::from(bytes::<32>(row, "nonce")?),
    };
    Ok(Some(SignedAuthorization { terms, signature }))
}

/// A column of 32 bytes, or NULL.
fn hash(row: &SqliteRow, column: &'static str) -> Result<Option<B256>, StoreError> {
    row.try_get::<Option<&[u8]>, _>(column)?
        .map(|hash| B256::try_from(hash).map_err(|_| StoreError::Corrupt(column)))
        .transpose()
}

pub(super) fn direct_call(row: &SqliteRow) -> Result<DirectCall, StoreError> {
    let stage = DirectStage::parse(row.try_get("stage")?).ok_or(StoreError::Corrupt("stage"))?;
    let kind = match stage {
        DirectStage::Done => Some(ReplyKind::Captured),
        DirectStage::Failed => Some(ReplyKind::Failed),
        DirectStage::TimedOut => Some(ReplyKind::TimedOut),
        DirectStage::Waiting | DirectStage::Running | DirectStage::Abandoned => None,
    };
    let body: Option<Vec<u8>> = row.try_get("reply_body")?;
    let reply = match (kind, body) {
        (Some(kind), Some(body)) => Some(CallReply {
            kind,
            status: status(row)?,
            body,
        }),
        _ => None,
    };
    Ok(DirectCall {
        settle_first: row.try_get("settle_first")?,
        request_hash: bytes(row, "request_hash")?,
        identified: row.try_get("identified")?,
        stage,
        reply,
    })
}

fn purpose(row: &SqliteRow) -> Result<Option<Purpose>, StoreError> {
    if row.try_get::<Option<&str>, _>("payment_id")?.is_some() {
        return Ok(Some(Purpose::Payment(parsed(row, "payment_id")?)));
    }
    if row.try_get::<Option<&str>, _>("refund_id")?.is_some() {
        return Ok(Some(Purpose::Refund(parsed(row, "refund_id")?)));
    }
    Ok(None)
}

pub(super) fn open_transaction(row: &SqliteRow) -> Result<OpenTransaction, StoreError> {
    Ok(OpenTransaction {
        chain_id: unsigned(row, "chain_id")?,
        relayer: Address::from(bytes(row, "relayer")?),
        account_nonce: unsigned(row, "account_nonce")?,
        purpose: purpose(row)?,
        signed_at: Timestamp::from_millis(row.try_get("signed_ms")?),
        created_at: Timestamp::from_millis(row.try_get("created_ms")?),
        signed: SignedTransaction {
            raw: row.try_get("raw")?,
            hash: B256::from(bytes::<32>(row, "hash")?),
            cost_gwei: unsigned(row, "cost_gwei")?,
        },
    })
}
