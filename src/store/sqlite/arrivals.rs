//! Transfers that were found on the chain: each is booked once, whoever finds it.

use alloy::primitives::B256;
use sqlx::SqliteConnection;

use super::{
    super::{BookArrival, BookedArrival, CreditPayment, Payment, StoreError, writer::Command},
    books,
    payments::take_key,
    reads, rows,
};
use crate::{base::Credits, payment::PaymentKey};

/// One transaction decides whose the transfer is and books it: of all that find it at once, on any
/// way, one does.
impl Command for BookArrival {
    type Answer = BookedArrival;

    async fn execute(
        &self,
        transaction: &mut SqliteConnection,
    ) -> Result<BookedArrival, StoreError> {
        let keys = match self.keys(transaction).await? {
            Ok(keys) => keys,
            Err(known) => return Ok(BookedArrival::Known(known)),
        };
        let credits = if books::has_room(&mut *transaction, self.asset, self.credits).await? {
            self.credits
        } else {
            // On record only, as dust is: no posting may leave the range of the books.
            Credits::ZERO
        };
        insert(transaction, self, credits).await?;
        for key in keys {
            take_key(transaction, &key, self.id).await?;
        }
        if self.at.confirmed {
            let credit = CreditPayment {
                payment: self.id,
                at: self.at,
                transfers: Vec::new(),
                now: self.now,
            };
            credit.execute(transaction).await?;
        }
        Ok(BookedArrival::New)
    }
}

impl BookArrival {
    /// The keys that are free for this transfer, or whose it is.
    ///
    /// An intent that was signed for other terms under the same nonce can never be paid by this
    /// transfer, so that it is a payment of its own.
    async fn keys(
        &self,
        transaction: &mut SqliteConnection,
    ) -> Result<Result<Vec<PaymentKey>, Box<Payment>>, StoreError> {
        let log = self.log_key();
        if let Some(known) = reads::payment_by_key(&mut *transaction, &log).await? {
            return Ok(Err(Box::new(known)));
        }
        let Some(authorization) = self.authorization_key() else {
            return Ok(Ok(vec![log]));
        };
        match reads::payment_by_key(&mut *transaction, &authorization).await? {
            None => Ok(Ok(vec![log, authorization])),
            Some(known) if known.transfer == self.transfer => Ok(Err(Box::new(known))),
            Some(_) => Ok(Ok(vec![log])),
        }
    }
}

async fn insert(
    transaction: &mut SqliteConnection,
    arrival: &BookArrival,
    credits: Credits,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO payments (id, way, state, chain_id, token, payer, pay_to, amount, nonce,
            credits_units, wallet, label, since_block, transaction_hash, block, block_hash,
            log_position, unattributed, created_ms, updated_ms)
         VALUES (?, ?, 'broadcast', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(arrival.id.to_string())
    .bind(arrival.way.as_str())
    .bind(rows::signed(arrival.asset.network.chain_id(), "chain_id")?)
    .bind(arrival.asset.token.as_slice())
    .bind(arrival.transfer.from.as_slice())
    .bind(arrival.transfer.to.as_slice())
    .bind(arrival.transfer.value.to_string())
    .bind(arrival.nonce.as_ref().map(B256::as_slice))
    .bind(credits.units())
    .bind(arrival.wallet.to_string())
    .bind(arrival.label.as_deref())
    .bind(rows::signed(arrival.since_block, "since_block")?)
    .bind(arrival.at.transaction.as_slice())
    .bind(rows::signed(arrival.at.block, "block")?)
    .bind(arrival.at.block_hash.as_slice())
    .bind(arrival.position)
    .bind(arrival.unattributed)
    .bind(arrival.now.millis())
    .bind(arrival.now.millis())
    .execute(transaction)
    .await?;
    Ok(())
}
