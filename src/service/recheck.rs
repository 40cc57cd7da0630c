//! Looks again at payments that counted, and at refunds that were paid, until no reorganization can reach their blocks.
//!
//! Each round compares the blocks that payments depend on with the chain's. What has stood since the
//! last round needs no look: that the newest block of that round still stands says so of all below it.
//! Where another block stands, the facts decide what becomes of its payments.

use std::{borrow::Cow, collections::HashSet};

use tokio::task::JoinSet;

use super::{Service, Unavailable, arrivals::terms_of, locked, settle::waits};
use crate::{
    base::PurchaseId,
    chain::{BlocksLook, Network},
    payment::{PaymentState, Recheck, recheck},
    store::{BlockId, MovePayment, Payment, ReversePayment, Reversed},
};

/// Blocks that one round compares.
const BLOCKS_MAX: u32 = 64;
/// Payments of one block that one round looks at.
const PAYMENTS_MAX: u32 = 1_000;
/// Payments that are looked at side by side.
const AT_ONCE: usize = 8;

/// What earlier rounds found on one network.
#[derive(Clone, Debug, Default)]
pub(super) struct Rechecked {
    /// The newest confirmed block of the last round.
    newest: Option<BlockId>,
    /// Blocks below that one which stood.
    standing: HashSet<BlockId>,
    /// How far the last round came.
    after: Option<BlockId>,
}

/// What one round found.
struct Round {
    look: BlocksLook,
    /// Blocks that stand, old and new.
    standing: HashSet<BlockId>,
    /// Blocks in whose place others stand.
    replaced: Vec<BlockId>,
    /// Something was undone since the last round, or there was none.
    undone: bool,
}

impl Service {
    /// One round over the payments that counted and that a reorganization may still reach.
    ///
    /// # Errors
    /// When the store cannot answer. A node that does not answer is logged, and asked again in the
    /// next round.
    pub async fn recheck(&self) -> Result<(), Unavailable> {
        for network in self.networks() {
            match self.recheck_network(network).await {
                Err(Unavailable::Chain(error)) => {
                    tracing::warn!(network = %network.id(), %error, "credited payments are not looked at again");
                }
                outcome => outcome?,
            }
            match self.recheck_refunds(network).await {
                Err(Unavailable::Chain(error)) => {
                    tracing::warn!(network = %network.id(), %error, "paid refunds are not looked at again");
                }
                outcome => outcome?,
            }
        }
        Ok(())
    }

    async fn recheck_network(&self, network: &Network) -> Result<(), Unavailable> {
        let chain_id = network.id().chain_id();
        let before = locked(&self.0.rechecked).get(&network.id()).cloned();
        let before = before.unwrap_or_default();
        let blocks = self
            .store()
            .blocks_depended_on(chain_id, before.after, BLOCKS_MAX)
            .await?;
        if blocks.is_empty() {
            // From the start again; what stands needs no look then either.
            let after = None;
            locked(&self.0.rechecked).insert(network.id(), Rechecked { after, ..before });
            return Ok(());
        }
        let round = compare(network, before, &blocks).await?;
        if round.undone {
            self.check_final(network, &round.look).await?;
        }
        let mut standing = round.standing;
        let deep: Vec<BlockId> = blocks
            .iter()
            .filter(|block| standing.contains(*block))
            .filter(|(number, _)| {
                number.saturating_add(self.reorg_blocks_max(network.id())) < round.look.confirmed.0
            })
            .copied()
            .collect();
        if !deep.is_empty() {
            standing.retain(|block| !deep.contains(block));
            self.store().finish_blocks(chain_id, deep).await?;
        }
        let whole = blocks.len() < BLOCKS_MAX as usize;
        let rechecked = Rechecked {
            newest: Some(round.look.confirmed),
            standing,
            after: blocks.last().copied().filter(|_| !whole),
        };
        locked(&self.0.rechecked).insert(network.id(), rechecked);
        for block in round.replaced {
            self.recheck_block(network, block).await?;
        }
        Ok(())
    }

    /// Whether a reorganization went deeper than any that is looked for.
    async fn check_final(&self, network: &Network, look: &BlocksLook) -> Result<(), Unavailable> {
        let chain_id = network.id().chain_id();
        let Some((number, hash)) = self.store().newest_final_block(chain_id).await? else {
            return Ok(());
        };
        if number > look.confirmed.0 {
            return Ok(());
        }
        let found = network.confirmed_blocks(&[number]).await?;
        if found.hashes.iter().flatten().any(|found| *found != hash) {
            metrics::counter!("reorganizations_too_deep_total").increment(1);
            tracing::error!(
                network = %network.id(), block = number, %hash, reorg_blocks_max = self.reorg_blocks_max(network.id()),
                "alert: a reorganization went deeper than reorg_blocks_max; payments up to this block are not looked at again: compare the books with the chain"
            );
        }
        Ok(())
    }

    async fn recheck_block(&self, network: &Network, block: BlockId) -> Result<(), Unavailable> {
        let chain_id = network.id().chain_id();
        let payments = self
            .store()
            .payments_in_block(chain_id, block, PAYMENTS_MAX);
        let payments = payments.await?;
        tracing::warn!(network = %network.id(), block = block.0, hash = %block.1, payments = payments.len(), "a block that payments depend on is not on the chain any more");
        for some in payments.chunks(AT_ONCE) {
            if self.stopping() {
                break;
            }
            let mut looks = JoinSet::new();
            for &id in some {
                let (service, network) = (self.clone(), network.clone());
                looks.spawn(async move {
                    if let Err(error) = service.recheck_payment(&network, id, block).await {
                        waits(id, &error);
                    }
                });
            }
            looks.join_all().await;
        }
        Ok(())
    }

    /// Looks again at a payment that counted from `block`, and does what follows.
    async fn recheck_payment(
        &self,
        network: &Network,
        id: PurchaseId,
        block: BlockId,
    ) -> Result<(), Unavailable> {
        let Some(payment) = self.store().payment(id).await? else {
            return Ok(());
        };
        if payment.block != Some(block) {
            return Ok(());
        }
        let Some(mut judged) = self.judge(network, &payment, block).await? else {
            return Ok(());
        };
        let mut transfers = Vec::new();
        if let Recheck::Moved(at) = judged {
            transfers = self.transfers_of(id, at).await?;
            if self.are_counted_elsewhere(id, &transfers).await? {
                judged = Recheck::Dropped;
            }
        }
        let (payment_id, from, now) = (id, block.1, self.now());
        match judged {
            Recheck::Wait => Ok(()),
            // The word of a node that has not seen the reorganization yet.
            Recheck::Moved(at) if at.block_hash == from => Ok(()),
            Recheck::Moved(at) => {
                let moved = MovePayment {
                    payment: payment_id,
                    from,
                    at,
                    transfers,
                    now,
                };
                if self.store().move_payment(moved).await? {
                    tracing::warn!(transaction = %at.transaction, block = at.block, "a credited payment is in another block");
                }
                Ok(())
            }
            Recheck::Dropped => {
                let reverse = ReversePayment {
                    payment: payment_id,
                    from,
                    now,
                };
                // Committed together with all that follows from it. A crash after it leaves a payment
                // that the reconciler finds: it is sent again, credited again, or given up.
                if let Some(reversed) = self.store().reverse_payment(reverse).await? {
                    alert(&payment, &reversed);
                    self.drive_detached(id);
                }
                Ok(())
            }
        }
    }

    /// `None` when the payment's block stands after all, or nobody can tell.
    async fn judge(
        &self,
        network: &Network,
        payment: &Payment,
        block: BlockId,
    ) -> Result<Option<Recheck>, Unavailable> {
        let terms = match (&payment.authorization, payment.nonce) {
            (Some(authorization), _) => Cow::Borrowed(&authorization.terms),
            (None, Some(nonce)) => Cow::Owned(terms_of(payment, nonce)),
            (None, None) => return self.judge_by_place(network, payment, block).await,
        };
        let fact = network.fact_after_reorganization(
            payment.asset.token,
            &terms,
            payment.since_block,
            payment.transaction,
            block,
        );
        Ok(fact.await?.map(recheck))
    }

    /// A plain transfer is where its transaction is. That no node knows of it counts only beside one
    /// that has confirmed another block in its block's place.
    async fn judge_by_place(
        &self,
        network: &Network,
        payment: &Payment,
        block: BlockId,
    ) -> Result<Option<Recheck>, Unavailable> {
        match self.find_transfer(network, payment).await? {
            Some(at) if at.confirmed => Ok(Some(Recheck::Moved(at))),
            Some(_) => Ok(Some(Recheck::Wait)),
            None => {
                let look = network.confirmed_blocks(&[block.0]).await?;
                let replaced = look.hashes.iter().flatten().any(|hash| *hash != block.1);
                Ok(replaced.then_some(Recheck::Dropped))
            }
        }
    }
}

/// Compares blocks with the chain's, from one node in one look.
async fn compare(
    network: &Network,
    before: Rechecked,
    blocks: &[BlockId],
) -> Result<Round, Unavailable> {
    let Rechecked {
        newest,
        mut standing,
        ..
    } = before;
    let new = |block: &&BlockId| !standing.contains(*block);
    let new: Vec<BlockId> = blocks.iter().filter(new).copied().collect();
    let asked: Vec<BlockId> = newest.into_iter().chain(new.iter().copied()).collect();
    let heights: Vec<u64> = asked.iter().map(|(number, _)| *number).collect();
    let look = network.confirmed_blocks(&heights).await?;
    let mut found = asked.iter().zip(&look.hashes);
    let undone = match newest {
        // A node that is behind the last one does not say that it stands.
        Some((_, hash)) => found.next().is_none_or(|(_, found)| *found != Some(hash)),
        None => true,
    };
    if undone {
        standing.clear();
    }
    let mut replaced = Vec::new();
    for (block, found) in found {
        match found {
            Some(hash) if *hash == block.1 => {
                standing.insert(*block);
            }
            Some(_) => replaced.push(*block),
            None => {}
        }
    }
    Ok(Round {
        look,
        standing,
        replaced,
        undone,
    })
}

/// Told to whoever watches over the service: a person may want to look at it.
fn alert(payment: &Payment, reversed: &Reversed) {
    metrics::counter!("payments_reversed_total").increment(1);
    let lost_units = u64::try_from(reversed.lost.units()).unwrap_or_default();
    metrics::counter!("reversal_lost_units_total").increment(lost_units);
    let (asset, transaction) = (payment.asset, payment.transaction.unwrap_or_default());
    if reversed.was == PaymentState::Confirmed {
        tracing::error!(%asset, %transaction, "alert: the chain dropped a payment that was confirmed; nothing had been booked");
        return;
    }
    tracing::error!(
        %asset, %transaction, credits = %payment.credits, taken = %reversed.taken,
        suspended = %reversed.suspended, lost = %reversed.lost,
        "alert: the chain dropped a credited payment; it is taken back as far as it is left"
    );
}
