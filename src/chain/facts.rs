//! The chain is the judge: what became of an authorization.

use std::num::NonZeroU64;

use alloy::primitives::{Address, B256};

use super::{
    ChainError, Network,
    bindings::Token,
    node::{Horizon, Node, Receipt},
    search::LOOKBACK_BLOCKS,
    verdict::{self, Verdict},
};
use crate::payment::{Authorization, AuthorizationFact, Confirmations, Inclusion};

/// A transaction that is in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncludedTransaction {
    pub inclusion: Inclusion,
    /// The receipt's status is 1.
    pub succeeded: bool,
}

impl Network {
    /// What the chain says of an authorization, read from one node in one look.
    ///
    /// `known_transaction` is looked at first. `since_block` is where a search for the use of the
    /// nonce ends; without it, 50,000 blocks are searched. Whether `terms.to` is a `payTo` is for
    /// the caller to know.
    ///
    /// # Errors
    /// When no node answers, or answers contradict each other. Nothing follows from an error.
    pub async fn authorization_fact(
        &self,
        token: Address,
        terms: &Authorization,
        since_block: Option<u64>,
        known_transaction: Option<B256>,
    ) -> Result<AuthorizationFact, ChainError> {
        let depth = self.inner().confirmations;
        self.on_one_node(|node| async move {
            let look = Look {
                horizon: node.horizon(depth).await?,
                node: &node,
                token,
                terms,
            };
            look.fact(since_block, known_transaction).await
        })
        .await
    }

    /// Where a transaction stands; `None` while no block holds it.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn transaction_included(
        &self,
        transaction: B256,
    ) -> Result<Option<IncludedTransaction>, ChainError> {
        let depth = self.inner().confirmations;
        self.on_one_node(|node| async move {
            let horizon = node.horizon(depth).await?;
            let Some(receipt) = node.receipt(transaction).await? else {
                return Ok(None);
            };
            Ok(Some(IncludedTransaction {
                inclusion: inclusion(&node, &horizon, &receipt).await?,
                succeeded: receipt.succeeded(),
            }))
        })
        .await
    }

    /// The number of the newest block.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn head_block(&self) -> Result<u64, ChainError> {
        let depth = Confirmations::Blocks(NonZeroU64::MIN);
        self.on_one_node(|node| async move { Ok(node.horizon(depth).await?.head.number()) })
            .await
    }
}

/// One look at one authorization.
struct Look<'a> {
    node: &'a Node,
    horizon: Horizon,
    token: Address,
    terms: &'a Authorization,
}

impl Look<'_> {
    async fn fact(
        &self,
        since_block: Option<u64>,
        known_transaction: Option<B256>,
    ) -> Result<AuthorizationFact, ChainError> {
        if let Some(transaction) = known_transaction
            && let Some(fact) = self.judge(transaction).await?
        {
            return Ok(fact);
        }
        let head = self.horizon.head;
        let state = Token::authorizationStateCall {
            authorizer: self.terms.from,
            nonce: self.terms.nonce,
        };
        if !self.node.view(self.token, &state, Some(head.hash)).await? {
            // A used nonce stays used, so false at the head is false at its confirmed ancestor
            // too; reading it there would need the state of an old block, which few nodes keep.
            return Ok(AuthorizationFact::Unused {
                confirmed_until: self.horizon.confirmed.time(),
            });
        }
        let newest = head.number();
        let oldest = since_block.unwrap_or(newest.saturating_sub(LOOKBACK_BLOCKS));
        let uses = self.node.find_uses(self.token, self.terms, oldest, newest);
        for transaction in uses.await? {
            if let Some(fact) = self.judge(transaction).await? {
                return Ok(fact);
            }
        }
        Ok(AuthorizationFact::Unexplained)
    }

    /// Judges a transaction by its receipt. `None` when there is none, it failed, or it does not
    /// speak of the authorization.
    async fn judge(&self, transaction: B256) -> Result<Option<AuthorizationFact>, ChainError> {
        let Some(receipt) = self.node.receipt(transaction).await? else {
            return Ok(None);
        };
        if !receipt.succeeded() {
            return Ok(None);
        }
        let Some(verdict) = verdict::judge(self.token, self.terms, &receipt.logs) else {
            return Ok(None);
        };
        let at = inclusion(self.node, &self.horizon, &receipt).await?;
        Ok(Some(match verdict {
            Verdict::Paid => AuthorizationFact::Paid(at),
            Verdict::SpentElsewhere => AuthorizationFact::SpentElsewhere(at),
            Verdict::Cancelled => AuthorizationFact::Cancelled(at),
        }))
    }
}

/// Where a receipt's block stands, once it is sure that the block is on the canonical chain.
async fn inclusion(
    node: &Node,
    horizon: &Horizon,
    receipt: &Receipt,
) -> Result<Inclusion, ChainError> {
    let block = receipt.block_number();
    if node.block(block).await?.hash != receipt.block_hash {
        return Err(node.inconsistent("a receipt is of a block that was replaced"));
    }
    Ok(Inclusion {
        transaction: receipt.transaction_hash,
        block,
        confirmed: block <= horizon.confirmed.number(),
    })
}
