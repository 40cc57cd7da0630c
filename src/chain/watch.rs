//! Reads what arrives, block range by block range, and what one transaction brought.

use std::{sync::Arc, time::Duration};

use alloy::primitives::{Address, B256};
use serde::de::IgnoredAny;
use tokio::task::JoinSet;

use super::{
    Arrivals, ChainError, Network, Recipients,
    arrival::judge,
    facts::inclusion,
    node::{Block, Horizon, Node, Receipt},
    places::LogPlace,
};
use crate::{
    base::{NetworkId, Timestamp},
    payment::Inclusion,
};

/// Transactions that one range may bring; a range of one block brings all it has.
const TRANSACTIONS_MAX: usize = 256;

/// Receipts that are asked for at one time.
const RECEIPTS_AT_ONCE: usize = 8;

/// How long a receipt may take that did not come in the time of other answers; it is asked for alone.
const LARGE_RECEIPT_TIMEOUT: Duration = Duration::from_secs(30);

/// A block that was read, by its place and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockMark {
    pub number: u64,
    pub hash: B256,
}

/// A transaction that brought something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiving {
    pub at: Inclusion,
    pub found: Arrivals,
}

/// From where to read on.
#[derive(Clone, Debug)]
pub struct Position {
    /// Nothing before it is ever read.
    pub first: u64,
    /// The next block that was never read; some before it are read once more.
    pub next: u64,
    /// How many blocks to ask for at once.
    pub span: u64,
    /// Blocks that were read, newest first: whether they still stand is looked at before more is read.
    pub marks: Vec<BlockMark>,
}

/// What a look at the next blocks brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// Nothing new is confirmed.
    UpToDate {
        confirmed: u64,
        time: Timestamp,
    },
    /// Blocks that were read are not on the chain any more. `common` is the newest that still is,
    /// unless none is.
    Undone {
        common: Option<BlockMark>,
        confirmed: u64,
    },
    Read(BlockRange),
}

/// Confirmed blocks, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRange {
    pub last: BlockMark,
    /// The newest confirmed block, and its time.
    pub confirmed: u64,
    pub time: Timestamp,
    /// Without those that were left out because they are known.
    pub transactions: Vec<Receiving>,
    /// Why not all of the transactions are here: the range is to be read again.
    pub unread: Option<ChainError>,
    /// How many blocks the node gave at once.
    pub span: u64,
}

/// What is known of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionLook {
    /// No node has heard of it.
    Unknown,
    /// A node holds it, and no block does.
    Pending,
    Included {
        /// The receipt's status is 1; otherwise nothing arrived.
        succeeded: bool,
        receiving: Receiving,
    },
}

impl Network {
    /// The newest confirmed block, and its time.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn confirmed_block(&self) -> Result<(BlockMark, Timestamp), ChainError> {
        let depth = self.inner().confirmations;
        self.on_one_node(|node| async move {
            let confirmed = node.horizon(depth).await?.confirmed;
            Ok((mark(&confirmed), confirmed.time()))
        })
        .await
    }

    /// The first confirmed block that is not older than `time`; the one after the newest when all are.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn first_block_since(&self, time: Timestamp) -> Result<u64, ChainError> {
        let depth = self.inner().confirmations;
        self.on_one_node(|node| async move {
            let confirmed = node.horizon(depth).await?.confirmed;
            // All blocks before `low` are older than `time`; `high` and all after it are not.
            let (mut low, mut high) = (0, confirmed.number() + 1);
            if confirmed.time() < time {
                return Ok(high);
            }
            while low < high {
                let middle = low + (high - low) / 2;
                if node.block(middle).await?.time() < time {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            Ok(low)
        })
        .await
    }

    /// Reads the next confirmed blocks, once it is sure that those before are still on the chain.
    /// Transactions that `is_known` by their hash and their block's are left out.
    ///
    /// # Errors
    /// When no node answers all that has to be asked. Nothing follows from an error.
    pub async fn follow(
        &self,
        position: &Position,
        recipients: &Arc<Recipients>,
        is_known: &(dyn Fn(B256, B256) -> bool + Send + Sync),
    ) -> Result<Followed, ChainError> {
        let depth = self.inner().confirmations;
        let scope = &self.scope(recipients);
        self.on_one_node(|node| async move {
            let horizon = node.horizon(depth).await?;
            let confirmed = horizon.confirmed.number();
            match standing(&node, &position.marks, confirmed).await? {
                Standing::Undone(common) => return Ok(Followed::Undone { common, confirmed }),
                Standing::Sure if position.next <= confirmed => {
                    let reader = Reader {
                        node,
                        horizon,
                        scope: scope.clone(),
                    };
                    let range = reader.read(position, is_known).await?;
                    return Ok(Followed::Read(range));
                }
                Standing::Ahead | Standing::Sure => {}
            }
            Ok(Followed::UpToDate {
                confirmed,
                time: horizon.confirmed.time(),
            })
        })
        .await
    }

    /// What one transaction brought. That no node knows it is said only if every node was asked.
    ///
    /// # Errors
    /// When a node does not answer, and no other holds the transaction.
    pub async fn look_at_transaction(
        &self,
        transaction: B256,
        recipients: &Arc<Recipients>,
    ) -> Result<TransactionLook, ChainError> {
        let scope = self.scope(recipients);
        let mut pending = false;
        let mut failure = None;
        for (_, node) in self.nodes() {
            match self.transaction_at(node, &scope, transaction).await {
                Ok(TransactionLook::Unknown) => {}
                Ok(TransactionLook::Pending) => pending = true,
                Ok(included @ TransactionLook::Included { .. }) => return Ok(included),
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            _ if pending => Ok(TransactionLook::Pending),
            Some(error) => Err(error),
            None => Ok(TransactionLook::Unknown),
        }
    }

    async fn transaction_at(
        &self,
        node: &Arc<Node>,
        scope: &Scope,
        transaction: B256,
    ) -> Result<TransactionLook, ChainError> {
        node.check_chain().await?;
        let horizon = node.horizon(self.inner().confirmations).await?;
        let Some(receipt) = node.receipt(transaction).await? else {
            return node.pool_look(transaction).await;
        };
        Ok(TransactionLook::Included {
            succeeded: receipt.succeeded(),
            receiving: Receiving {
                at: inclusion(node, &horizon, &receipt).await?,
                found: scope.judge(&receipt),
            },
        })
    }

    fn scope(&self, recipients: &Arc<Recipients>) -> Scope {
        Scope {
            network: self.id(),
            tokens: self.assets().iter().map(|asset| asset.token).collect(),
            recipients: Arc::clone(recipients),
        }
    }
}

/// What is looked for.
#[derive(Clone)]
pub(super) struct Scope {
    network: NetworkId,
    pub(super) tokens: Arc<[Address]>,
    pub(super) recipients: Arc<Recipients>,
}

impl Scope {
    fn judge(&self, receipt: &Receipt) -> Arrivals {
        if !receipt.succeeded() {
            return Arrivals::default();
        }
        judge(self.network, &self.tokens, &self.recipients, &receipt.logs)
    }
}

/// Whether what was read still stands.
enum Standing {
    Sure,
    /// The node is behind what was read.
    Ahead,
    Undone(Option<BlockMark>),
}

async fn standing(
    node: &Node,
    marks: &[BlockMark],
    confirmed: u64,
) -> Result<Standing, ChainError> {
    let mut undone = false;
    for mark in marks.iter().filter(|mark| mark.number <= confirmed) {
        if node.block(mark.number).await?.hash == mark.hash {
            return Ok(match undone {
                true => Standing::Undone(Some(*mark)),
                false if marks.first() == Some(mark) => Standing::Sure,
                false => Standing::Ahead,
            });
        }
        undone = true;
    }
    Ok(match undone {
        true => Standing::Undone(None),
        false if marks.is_empty() => Standing::Sure,
        false => Standing::Ahead,
    })
}

/// One node's view of a range.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) node: Arc<Node>,
    pub(super) horizon: Horizon,
    pub(super) scope: Scope,
}

impl Reader {
    async fn read(
        &self,
        position: &Position,
        is_known: &(dyn Fn(B256, B256) -> bool + Send + Sync),
    ) -> Result<BlockRange, ChainError> {
        let confirmed = self.horizon.confirmed;
        let mut span = position.span.max(1);
        let first = self.overlap_from(position).await?;
        let (end, places) = loop {
            let last = position.next.saturating_add(span - 1);
            // Before the logs: if another block takes this one's place meanwhile, the next look sees
            // it and reads again.
            let end = if last >= confirmed.number() {
                confirmed
            } else {
                self.node.block(last).await?
            };
            let asked = span;
            match self
                .new_places(first, end.number(), &mut span, is_known)
                .await?
            {
                Some(places) if places.len() <= TRANSACTIONS_MAX || span == 1 => {
                    break (end, places);
                }
                // So many that they are taken in smaller portions.
                Some(_) => span = span.div_ceil(2),
                None => debug_assert!(span < asked, "it asks for less and less"),
            }
        };
        let (transactions, mut unread) = self.transactions(places).await;
        if transactions.is_empty()
            && let Some(error) = unread.take()
        {
            return Err(error);
        }
        Ok(BlockRange {
            last: mark(&end),
            confirmed: confirmed.number(),
            time: confirmed.time(),
            transactions,
            unread,
            span,
        })
    }

    /// Each transaction's receipt, once, judged; those that are not confirmed left out. With them, why
    /// the rest could not be read.
    async fn transactions(&self, places: Vec<LogPlace>) -> (Vec<Receiving>, Option<ChainError>) {
        let mut found = Vec::with_capacity(places.len());
        for some in places.chunks(RECEIPTS_AT_ONCE) {
            let mut looks = JoinSet::new();
            for (order, place) in some.iter().enumerate() {
                let (reader, hash) = (self.clone(), place.transaction_hash);
                looks.spawn(async move { (order, hash, reader.receiving(hash, None).await) });
            }
            let mut looks = looks.join_all().await;
            looks.sort_by_key(|(order, ..)| *order);
            let (mut failed, mut failure) = (Vec::new(), None);
            for (_, hash, look) in looks {
                match look {
                    Ok(receiving) => found.push(receiving),
                    // It may be as large as a block allows.
                    Err(ChainError::Unreachable { .. }) => failed.push(hash),
                    Err(error) => failure = Some(error),
                }
            }
            for hash in failed {
                match self.receiving(hash, Some(LARGE_RECEIPT_TIMEOUT)).await {
                    Ok(receiving) => found.push(receiving),
                    Err(error) => {
                        failure = Some(error);
                        break;
                    }
                }
            }
            if failure.is_some() {
                found.retain(|receiving| receiving.at.confirmed);
                return (found, failure);
            }
        }
        found.retain(|receiving| receiving.at.confirmed);
        (found, None)
    }

    async fn receiving(
        &self,
        transaction: B256,
        timeout: Option<Duration>,
    ) -> Result<Receiving, ChainError> {
        let node = &self.node;
        let missing = || node.inconsistent("a transaction that has logs has no receipt");
        let receipt = node.receipt_within(transaction, timeout).await?;
        let receipt = receipt.ok_or_else(missing)?;
        Ok(Receiving {
            at: inclusion(node, &self.horizon, &receipt).await?,
            found: self.scope.judge(&receipt),
        })
    }
}

impl Node {
    /// Whether the node holds a transaction that has no receipt.
    async fn pool_look(&self, transaction: B256) -> Result<TransactionLook, ChainError> {
        let method = "eth_getTransactionByHash";
        let held: Option<IgnoredAny> = self.rpc.call(method, (transaction,)).await?;
        Ok(match held {
            Some(_) => TransactionLook::Pending,
            None => TransactionLook::Unknown,
        })
    }
}

fn mark(block: &Block) -> BlockMark {
    BlockMark {
        number: block.number(),
        hash: block.hash,
    }
}
