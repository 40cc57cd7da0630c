//! Which blocks stand on the chain, and what became of an authorization whose block does not.

use alloy::primitives::{Address, B256};

use super::{ChainError, Network, facts::Look};
use crate::payment::{Authorization, AuthorizationFact};

/// Blocks as one node has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlocksLook {
    /// The newest confirmed block, by number and hash.
    pub confirmed: (u64, B256),
    /// The hash at each height that was asked for; `None` above the newest confirmed block.
    pub hashes: Vec<Option<B256>>,
}

impl Network {
    /// The hashes of the confirmed blocks at these heights, read from one node in one look.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn confirmed_blocks(&self, heights: &[u64]) -> Result<BlocksLook, ChainError> {
        let depth = self.inner().confirmations;
        self.on_one_node(|node| async move {
            let confirmed = node.horizon(depth).await?.confirmed;
            let mut hashes = Vec::with_capacity(heights.len());
            for &height in heights {
                hashes.push(if height < confirmed.number() {
                    Some(node.block(height).await?.hash)
                } else {
                    (height == confirmed.number()).then_some(confirmed.hash)
                });
            }
            Ok(BlocksLook {
                confirmed: (confirmed.number(), confirmed.hash),
                hashes,
            })
        })
        .await
    }

    /// What the chain says of an authorization that was used in `block`, if another block stands there
    /// now. `None` when it is the same one, or when the node has not confirmed any at that height: a
    /// node that is behind would call everything unused.
    ///
    /// # Errors
    /// When no node answers, or answers contradict each other. Nothing follows from an error.
    pub async fn fact_after_reorganization(
        &self,
        token: Address,
        terms: &Authorization,
        since_block: u64,
        known_transaction: Option<B256>,
        block: (u64, B256),
    ) -> Result<Option<AuthorizationFact>, ChainError> {
        let depth = self.inner().confirmations;
        self.on_one_node(|node| async move {
            let horizon = node.horizon(depth).await?;
            let (number, hash) = block;
            if horizon.confirmed.number() < number || node.block(number).await?.hash == hash {
                return Ok(None);
            }
            let look = Look {
                horizon,
                node: &node,
                token,
                terms,
            };
            look.fact(Some(since_block), known_transaction)
                .await
                .map(Some)
        })
        .await
    }
}
