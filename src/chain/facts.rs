//! The chain is the judge: what became of an authorization.

use alloy::primitives::{Address, B256};

use super::{
    ChainError, Network,
    bindings::Token,
    node::{Horizon, Node, Receipt},
    search::LOOKBACK_BLOCKS,
    verdict::{self, Verdict},
};
use crate::payment::{Authorization, AuthorizationFact, Inclusion, TransferMethod};

/// How far below what a look saw a later search ends: more than any reorganization goes back.
pub(super) const SEARCH_MARGIN_BLOCKS: u64 = 256;

/// What one look at an authorization brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthorizationLook {
    pub fact: AuthorizationFact,
    /// Where later searches for the use of this authorization may end: it was not used before.
    pub since_block: u64,
}

/// A transaction that is in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncludedTransaction {
    pub inclusion: Inclusion,
    /// The receipt's status is 1.
    pub succeeded: bool,
}

/// What became of an account nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceUse {
    /// The chain waits for `next`, which is this nonce or a lower one.
    Unused { next: u64 },
    /// A block holds a transaction with it; `confirmed` when no reorganization will undo that,
    /// `reverted` when it is one of those that were asked about and moved nothing.
    Used { confirmed: bool, reverted: bool },
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
    ) -> Result<AuthorizationLook, ChainError> {
        let depth = self.inner().confirmations;
        self.on_one_node(|node| async move {
            let look = Look {
                horizon: node.horizon(depth).await?,
                node: &node,
                token,
                terms,
            };
            let fact = look.fact(since_block, known_transaction).await?;
            Ok(AuthorizationLook {
                fact,
                since_block: look.since_block(fact),
            })
        })
        .await
    }

    /// Whether an account nonce was used, by one of `transactions` or by any other.
    ///
    /// # Errors
    /// When no node answers, or none keeps the state that would tell.
    pub async fn nonce_use(
        &self,
        account: Address,
        account_nonce: u64,
        transactions: &[B256],
    ) -> Result<NonceUse, ChainError> {
        let depth = self.inner().confirmations;
        self.on_one_node(|node| async move {
            let next = node.next_nonce(account).await?;
            if account_nonce >= next {
                return Ok(NonceUse::Unused { next });
            }
            let horizon = node.horizon(depth).await?;
            for transaction in transactions {
                if let Some(receipt) = node.receipt(*transaction).await? {
                    let confirmed = inclusion(&node, &horizon, &receipt).await?.confirmed;
                    return Ok(NonceUse::Used {
                        confirmed,
                        reverted: !receipt.succeeded(),
                    });
                }
            }
            // Used by a transaction that nobody here knows. This needs the state of an older
            // block, so it is asked last.
            let next = node.nonce_after(account, horizon.confirmed.hash).await?;
            let confirmed = account_nonce < next;
            Ok(NonceUse::Used {
                confirmed,
                reverted: false,
            })
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
}

/// One look at one authorization.
pub(super) struct Look<'a> {
    pub(super) node: &'a Node,
    pub(super) horizon: Horizon,
    pub(super) token: Address,
    pub(super) terms: &'a Authorization,
}

impl Look<'_> {
    pub(super) async fn fact(
        &self,
        since_block: Option<u64>,
        known_transaction: Option<B256>,
    ) -> Result<AuthorizationFact, ChainError> {
        match self.terms.method {
            TransferMethod::Eip3009 => self.eip3009_fact(since_block, known_transaction).await,
            TransferMethod::Permit2 => self.permit2_fact(since_block, known_transaction).await,
        }
    }

    async fn eip3009_fact(
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

    /// Below the confirmed block, which no reorganization reaches, and below the use if there is
    /// one.
    fn since_block(&self, fact: AuthorizationFact) -> u64 {
        let confirmed = self.horizon.confirmed.number();
        let used = match fact {
            AuthorizationFact::Paid(at)
            | AuthorizationFact::SpentElsewhere(at)
            | AuthorizationFact::Cancelled(at) => at.block,
            AuthorizationFact::Unused { .. } | AuthorizationFact::Unexplained => confirmed,
        };
        used.min(confirmed).saturating_sub(SEARCH_MARGIN_BLOCKS)
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
pub(super) async fn inclusion(
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
        block_hash: receipt.block_hash,
        confirmed: block <= horizon.confirmed.number(),
    })
}
