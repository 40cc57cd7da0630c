//! What became of a Permit2 authorization.
//!
//! Permit2 writes no log when it moves a token: a nonce is a bit that is set, whatever set it. So a
//! payment is a transaction that holds the token's exact transfer and was called with the nonce, and
//! the transfer is counted under its own place in that transaction besides.

use alloy::primitives::{B256, Bytes, U256};
use serde::Deserialize;

use super::{
    ChainError, Network,
    bindings::Permit2,
    facts::{Look, inclusion},
    node::Node,
    search::LOOKBACK_BLOCKS,
    verdict,
};
use crate::{
    base::AssetId,
    payment::{Authorization, AuthorizationFact, Inclusion, PERMIT2, PaymentKey, TransferMethod},
};

/// A transaction, as far as it is judged.
#[derive(Deserialize)]
struct Called {
    input: Bytes,
}

impl Network {
    /// The keys of the logs that may be an authorization's transfer, in the transaction that paid
    /// it. None where the authorization's own key is enough.
    ///
    /// # Errors
    /// When no node answers, or the transaction is not where it was.
    pub async fn transfer_keys(
        &self,
        asset: AssetId,
        terms: &Authorization,
        at: Inclusion,
    ) -> Result<Vec<PaymentKey>, ChainError> {
        if terms.method == TransferMethod::Eip3009 {
            return Ok(Vec::new());
        }
        let transfer = terms.transfer();
        let positions = self.on_one_node(|node| async move {
            match node.receipt(at.transaction).await? {
                Some(receipt) if receipt.block_hash == at.block_hash => {
                    Ok(verdict::positions(asset.token, &transfer, &receipt.logs))
                }
                _ => Err(node.inconsistent("a payment's receipt is gone")),
            }
        });
        let key = |position| PaymentKey::Log {
            asset,
            transaction: at.transaction,
            position,
            transfer,
        };
        Ok(positions.await?.into_iter().map(key).collect())
    }
}

impl Network {
    /// Those of `nonces` that a transaction was called with.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn named_nonces(
        &self,
        transaction: B256,
        nonces: &[B256],
    ) -> Result<Vec<B256>, ChainError> {
        let called = self
            .on_one_node(|node| async move { called(&node, transaction).await })
            .await?;
        let is_named = |nonce: &&B256| {
            called
                .as_ref()
                .is_some_and(|called| names(&called.input, **nonce))
        };
        Ok(nonces.iter().filter(is_named).copied().collect())
    }
}

async fn called(node: &Node, transaction: B256) -> Result<Option<Called>, ChainError> {
    let method = "eth_getTransactionByHash";
    node.rpc.call(method, (transaction,)).await
}

impl Look<'_> {
    pub(super) async fn permit2_fact(
        &self,
        since_block: Option<u64>,
        known_transaction: Option<B256>,
    ) -> Result<AuthorizationFact, ChainError> {
        if let Some(transaction) = known_transaction
            && let Some(at) = self.permit2_payment(transaction).await?
        {
            return Ok(AuthorizationFact::Paid(at));
        }
        let head = self.horizon.head;
        if !self.is_bit_set(head.hash).await? {
            return Ok(AuthorizationFact::Unused {
                confirmed_until: self.horizon.confirmed.time(),
            });
        }
        let newest = head.number();
        let oldest = since_block.unwrap_or(newest.saturating_sub(LOOKBACK_BLOCKS));
        let transfer = self.terms.transfer();
        let found = self
            .node
            .find_transfers(self.token, &transfer, oldest, newest);
        for transaction in found.await? {
            if let Some(at) = self.permit2_payment(transaction).await? {
                return Ok(AuthorizationFact::Paid(at));
            }
        }
        self.permit2_spent().await
    }

    /// The nonce is used and no transfer to `to` came of it. That is sure once no block that the
    /// transfer could be in can change.
    async fn permit2_spent(&self) -> Result<AuthorizationFact, ChainError> {
        let confirmed = self.horizon.confirmed;
        let sure = confirmed.time() > self.terms.expires_at()
            || match self.is_bit_set(confirmed.hash).await {
                Ok(set) => set,
                // Few nodes keep the state of old blocks; the deadline will tell.
                Err(ChainError::Rpc(_)) => false,
                Err(error) => return Err(error),
            };
        if !sure {
            return Ok(AuthorizationFact::Unexplained);
        }
        Ok(AuthorizationFact::SpentElsewhere(Inclusion {
            // The chain does not tell which it was.
            transaction: B256::ZERO,
            block: confirmed.number(),
            block_hash: confirmed.hash,
            confirmed: true,
        }))
    }

    async fn is_bit_set(&self, block: B256) -> Result<bool, ChainError> {
        let (word, bit) = place(self.terms.nonce);
        let call = Permit2::nonceBitmapCall {
            owner: self.terms.from,
            wordPos: word,
        };
        let bitmap = self.node.view(PERMIT2, &call, Some(block)).await?;
        Ok(bitmap.bit(bit))
    }

    /// Where a transaction stands, if it is a payment of the authorization.
    async fn permit2_payment(&self, transaction: B256) -> Result<Option<Inclusion>, ChainError> {
        let Some(receipt) = self.node.receipt(transaction).await? else {
            return Ok(None);
        };
        let transfer = self.terms.transfer();
        if !receipt.succeeded()
            || verdict::positions(self.token, &transfer, &receipt.logs).is_empty()
        {
            return Ok(None);
        }
        let called = called(self.node, transaction).await?;
        if !called.is_some_and(|called| names(&called.input, self.terms.nonce)) {
            return Ok(None);
        }
        inclusion(self.node, &self.horizon, &receipt)
            .await
            .map(Some)
    }
}

/// Where Permit2 keeps a nonce: the word, and the bit in it.
fn place(nonce: B256) -> (U256, usize) {
    let nonce: U256 = nonce.into();
    (nonce >> 8, usize::from(nonce.byte(0)))
}

/// Whether call data names the nonce anywhere: whoever settles may call the proxy through others.
fn names(input: &[u8], nonce: B256) -> bool {
    input.windows(32).any(|window| window == nonce.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_a_bit_of_a_word() {
        for (nonce, word, bit) in [
            (U256::ZERO, U256::ZERO, 0),
            (U256::from(255), U256::ZERO, 255),
            (U256::from(256), U256::ONE, 0),
            (U256::MAX, U256::MAX >> 8, 255),
        ] {
            assert_eq!(place(nonce.into()), (word, bit));
        }
    }

    #[test]
    fn call_data_names_a_nonce_wherever_it_stands() {
        let nonce = B256::repeat_byte(7);
        let around = |before: usize, after: usize| {
            [&vec![1; before], nonce.as_slice(), &vec![1; after]].concat()
        };
        assert!(names(&around(0, 0), nonce));
        assert!(names(&around(5, 9), nonce));
        assert!(!names(&around(5, 9)[..36], nonce));
        assert!(!names(&[7; 31], nonce));
    }
}
