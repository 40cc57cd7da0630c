//! Keeps the relayers' transactions moving until the chain has used their account nonces up.
//!
//! Every account nonce has to be used, also when its payment was settled by somebody else: the
//! relayer's later transactions wait for it. So one that no node takes is signed again at other
//! fees, and a nonce that nothing is stored for is filled. Whatever is signed is stored first.

use alloy::primitives::Address;

use super::{Service, Unavailable};
use crate::{
    base::Timestamp,
    chain::{
        self, Broadcast, ChainError, Fees, GasPrice, Network, NonceUse, Rejection, Relayer,
        StoredTransaction,
    },
    store::{FillNonce, OpenTransaction, ReplaceTransaction, SignedTransaction},
};

/// What a node refuses is signed again after this long, and again after as long.
const REFUSED_FOR_MS: i64 = 5_000;
/// What a node has and does not mine is signed again after this long, if others offer more.
const STUCK_FOR_MS: i64 = 12_000;
/// How often one transaction is signed again. From the lowest fees to the highest are fewer steps,
/// unless a node refuses whatever it is offered.
const REPLACEMENTS_MAX: usize = 64;
/// A node that lags behind shows a gap for a moment: one this old is real.
const GAP_FOR_MS: i64 = 10_000;
/// Account nonces that are filled. A wider gap is the word of a broken node, and filling it would
/// cost more gas than it is worth.
const GAP_MAX: u64 = 64;

/// Why a transaction is to be signed again at other fees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Nodes say that its fees are too low.
    TooLow,
    /// The account cannot pay its fees.
    TooHigh,
    /// It waits for long; perhaps others offer more.
    Stuck,
}

impl Service {
    /// One round over a network's open transactions.
    ///
    /// # Errors
    /// When the store cannot answer. What a node has against it is logged.
    pub(super) async fn tend_all(&self, network: &Network, limit: u32) -> Result<(), Unavailable> {
        let chain_id = network.id().chain_id();
        for busy in self.store().busy_relayers(chain_id).await? {
            if !self.tend_relayer(network, busy.relayer, limit).await? {
                break;
            }
        }
        Ok(())
    }

    /// False when no other relayer would fare better: nobody answers.
    async fn tend_relayer(
        &self,
        network: &Network,
        relayer: Address,
        limit: u32,
    ) -> Result<bool, Unavailable> {
        let chain_id = network.id().chain_id();
        let open = self.store().open_transactions(chain_id, relayer, limit);
        let open = open.await?;
        let waits = |error: &Unavailable| {
            tracing::warn!(network = %network.id(), %relayer, %error, "a transaction waits");
        };
        if let (Some(relayer), Some(first)) = (network.relayer(relayer), open.first())
            && let Err(error) = self.fill_gap(network, relayer, first).await
        {
            waits(&error);
        }
        for open in &open {
            match self.tend(network, open).await {
                Ok(()) => {}
                Err(
                    error @ (Unavailable::Chain(ChainError::Unreachable { .. })
                    | Unavailable::Store(_)),
                ) => {
                    waits(&error);
                    return Ok(false);
                }
                Err(error) => waits(&error),
            }
        }
        Ok(true)
    }

    /// Closes an open transaction once its account nonce is used for good; sends it again while it
    /// is not used, or another in its place.
    pub(super) async fn tend(
        &self,
        network: &Network,
        open: &OpenTransaction,
    ) -> Result<(), Unavailable> {
        let mut hashes = vec![open.signed.hash];
        hashes.extend(self.store().replaced_hashes(open).await?);
        // The account that signed it, whatever key the configuration names today.
        let used = network.nonce_use(open.relayer, open.account_nonce, &hashes);
        match used.await? {
            NonceUse::Used {
                confirmed: true,
                reverted,
            } => Ok(self.store().close_transaction(open, reverted).await?),
            // A reorganization may still drop it.
            NonceUse::Used {
                confirmed: false, ..
            } => Ok(()),
            NonceUse::Unused { next } => {
                let answer = self.broadcast(network, &open.signed).await;
                let age_ms = self.age_ms(open.signed_at);
                match why_replace(&answer, age_ms, next == open.account_nonce) {
                    Some(why) => self.replace(network, open, why, hashes.len() - 1).await,
                    None => Ok(()),
                }
            }
        }
    }

    async fn replace(
        &self,
        network: &Network,
        open: &OpenTransaction,
        why: Why,
        replacements: usize,
    ) -> Result<(), Unavailable> {
        let hash = open.signed.hash;
        let Some(relayer) = network.relayer(open.relayer) else {
            tracing::error!(relayer = %open.relayer, %hash, "only the relayer's former key can raise its fees");
            return Ok(());
        };
        let Some(stored) = StoredTransaction::read(&open.signed.raw) else {
            tracing::error!(%hash, "the stored bytes are no transaction of the relayer's");
            return Ok(());
        };
        let price = network.gas_price().await?;
        let Some(fees) = other_fees(&price, stored.fees(), why, network.max_fee_per_gas()) else {
            return Ok(());
        };
        if replacements >= REPLACEMENTS_MAX {
            tracing::error!(%hash, ?why, "a transaction was signed again too often: look at the node");
            return Ok(());
        }
        let Some(signed) = relayer.sign_again(&stored, fees) else {
            return Ok(());
        };
        self.check_gas(network, open.relayer, open.account_nonce, signed.cost_gwei)
            .await?;
        let replacement = ReplaceTransaction {
            open: open.clone(),
            signed: to_store(signed),
            now: self.now(),
        };
        let signed = replacement.signed.clone();
        if self.store().replace_transaction(replacement).await? {
            // Stored. A crash here is found from the account nonce, and these bytes are sent.
            tracing::warn!(replaced = %hash, hash = %signed.hash, ?why, ?fees, "a transaction is signed again");
            metrics::counter!("relayer_replacements_total").increment(1);
            self.broadcast(network, &signed).await;
        }
        Ok(())
    }

    /// Uses up account nonces that the chain waits for and that no open transaction has: all later
    /// ones wait for them.
    async fn fill_gap(
        &self,
        network: &Network,
        relayer: &Relayer,
        first: &OpenTransaction,
    ) -> Result<(), Unavailable> {
        let address = relayer.address();
        if self.age_ms(first.created_at) < GAP_FOR_MS {
            return Ok(());
        }
        let (next, end) = (network.next_nonce(address).await?, first.account_nonce);
        if next >= end {
            return Ok(());
        }
        let width = end - next;
        tracing::error!(network = %network.id(), relayer = %address, next, width, "the relayer's transactions wait for account nonces that nothing is open for");
        if width > GAP_MAX {
            tracing::error!(network = %network.id(), relayer = %address, "these are too many to fill: give relayer_key_file another key");
            return Ok(());
        }
        let fees = network.gas_price().await?.fees;
        let gas_limit = network.filler_gas(address).await?;
        for account_nonce in next..end {
            let filler = relayer.sign_filler(account_nonce, fees, gas_limit);
            self.check_gas(network, address, account_nonce, filler.cost_gwei)
                .await?;
            let fill = FillNonce {
                chain_id: network.id().chain_id(),
                relayer: address,
                account_nonce,
                filler: to_store(filler),
                now: self.now(),
            };
            if let Some(signed) = self.store().fill_nonce(fill).await? {
                self.broadcast(network, &signed).await;
            }
        }
        Ok(())
    }

    /// Whatever a node answers to a broadcast is a hint: the facts decide.
    pub(super) async fn broadcast(
        &self,
        network: &Network,
        signed: &SignedTransaction,
    ) -> Broadcast {
        let answer = network.broadcast(&signed.raw).await;
        match &answer {
            Broadcast::Accepted | Broadcast::AlreadyKnown => {}
            Broadcast::NonceTooLow | Broadcast::Rejected { .. } | Broadcast::Unknown { .. } => {
                tracing::warn!(hash = %signed.hash, ?answer, "a broadcast was not taken");
            }
        }
        answer
    }

    fn age_ms(&self, since: Timestamp) -> i64 {
        self.now().millis().saturating_sub(since.millis())
    }
}

/// `in_front`: the chain waits for this very account nonce.
fn why_replace(answer: &Broadcast, age_ms: i64, in_front: bool) -> Option<Why> {
    let (why, after_ms) = match answer {
        Broadcast::Rejected { cause, .. } => match cause {
            Rejection::Fees => (Why::TooLow, REFUSED_FOR_MS),
            Rejection::Funds => (Why::TooHigh, REFUSED_FOR_MS),
            Rejection::Invalid => return None,
        },
        // What waits for another transaction's account nonce says nothing of its own fees.
        Broadcast::Accepted | Broadcast::AlreadyKnown | Broadcast::Unknown { .. } => {
            in_front.then_some((Why::Stuck, STUCK_FOR_MS))?
        }
        Broadcast::NonceTooLow => return None,
    };
    (age_ms >= after_ms).then_some(why)
}

/// The fees to sign with instead of those that were sent; `None` to leave it as it is.
fn other_fees(price: &GasPrice, sent: Fees, why: Why, cap: u128) -> Option<Fees> {
    match why {
        Why::Stuck if !price.outbids(sent) => None,
        Why::Stuck | Why::TooLow => price.fees.replacing(sent, cap),
        // No node holds it, so that lower fees can take its place.
        Why::TooHigh => (price.fees.max_fee_per_gas < sent.max_fee_per_gas).then_some(price.fees),
    }
}

pub(super) fn to_store(signed: chain::SignedTransaction) -> SignedTransaction {
    SignedTransaction {
        raw: signed.raw,
        hash: signed.hash,
        cost_gwei: signed.cost_gwei,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(cause: Rejection) -> Broadcast {
        let reason = String::new();
        Broadcast::Rejected { cause, reason }
    }

    #[test]
    fn what_nodes_refuse_is_signed_again_soon_and_what_they_keep_when_it_is_stuck() {
        let unknown = Broadcast::Unknown {
            reason: String::new(),
        };
        for (answer, age_ms, in_front, why) in [
            (rejected(Rejection::Fees), 4_999, true, None),
            (rejected(Rejection::Fees), 5_000, false, Some(Why::TooLow)),
            (rejected(Rejection::Funds), 4_999, true, None),
            (rejected(Rejection::Funds), 5_000, false, Some(Why::TooHigh)),
            (rejected(Rejection::Invalid), i64::MAX, true, None),
            (Broadcast::NonceTooLow, i64::MAX, true, None),
            (Broadcast::AlreadyKnown, 11_999, true, None),
            (Broadcast::AlreadyKnown, 12_000, true, Some(Why::Stuck)),
            (Broadcast::AlreadyKnown, i64::MAX, false, None),
            (Broadcast::Accepted, 12_000, true, Some(Why::Stuck)),
            (unknown.clone(), 12_000, true, Some(Why::Stuck)),
            (unknown, i64::MAX, false, None),
        ] {
            let found = why_replace(&answer, age_ms, in_front);
            assert_eq!(found, why, "{answer:?} {age_ms} {in_front}");
        }
    }

    #[test]
    fn fees_rise_by_an_eighth_or_to_the_market_and_fall_only_where_nothing_was_taken() {
        let fees = |max_fee_per_gas, max_priority_fee_per_gas| Fees {
            max_fee_per_gas,
            max_priority_fee_per_gas,
        };
        let price = GasPrice {
            base_fee_per_gas: 100,
            fees: fees(202, 2),
        };
        for (sent, why, expected) in [
            (fees(300, 2), Why::Stuck, None),
            (fees(101, 2), Why::Stuck, Some(fees(202, 3))),
            (fees(201, 1), Why::Stuck, Some(fees(227, 2))),
            (fees(300, 2), Why::TooLow, Some(fees(338, 3))),
            (fees(450, 2), Why::TooLow, None),
            (fees(300, 2), Why::TooHigh, Some(fees(202, 2))),
            (fees(202, 2), Why::TooHigh, None),
        ] {
            assert_eq!(
                other_fees(&price, sent, why, 500),
                expected,
                "{sent:?} {why:?}"
            );
        }
    }
}
