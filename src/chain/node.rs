//! The questions that one node is asked.

use std::{
    num::NonZeroU64,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, B256, Bytes, U64, U256},
    sol_types::SolCall,
};
use serde::Deserialize;
use serde_json::json;

use super::{ChainError, rpc::Rpc};
use crate::{
    base::{NetworkId, Timestamp},
    payment::Confirmations,
};

/// How long a node's word on its chain counts: another may answer at its address one day.
const CHAIN_CHECK_LASTS: Duration = Duration::from_mins(1);

/// A node, and when it was last seen to be on the chain that it stands for.
pub(super) struct Node {
    pub(super) rpc: Rpc,
    network: NetworkId,
    chain_checked: Mutex<Option<Instant>>,
}

/// A block's place and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Block {
    number: U64,
    pub(super) hash: B256,
    timestamp: U64,
}

/// The newest block, and the newest whose facts count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Horizon {
    pub(super) head: Block,
    pub(super) confirmed: Block,
}

/// A log entry, as far as it is judged.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Log {
    pub(super) address: Address,
    pub(super) topics: Vec<B256>,
    pub(super) data: Bytes,
    pub(super) transaction_hash: Option<B256>,
}

/// A transaction's outcome, as far as it is judged.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    pub(super) transaction_hash: B256,
    pub(super) block_hash: B256,
    block_number: U64,
    status: Option<U64>,
    pub(super) contract_address: Option<Address>,
    pub(super) logs: Vec<Log>,
}

impl Block {
    pub(super) fn number(&self) -> u64 {
        self.number.to()
    }

    pub(super) fn time(&self) -> Timestamp {
        Timestamp::from_seconds(i64::try_from(self.timestamp.to::<u64>()).unwrap_or(i64::MAX))
    }
}

impl Receipt {
    pub(super) fn block_number(&self) -> u64 {
        self.block_number.to()
    }

    pub(super) fn succeeded(&self) -> bool {
        self.status == Some(U64::ONE)
    }
}

impl Node {
    pub(super) const fn new(rpc: Rpc, network: NetworkId) -> Self {
        Self {
            rpc,
            network,
            chain_checked: Mutex::new(None),
        }
    }

    /// Makes sure, now and then, that the node is on its chain: no fact is taken from another one.
    pub(super) async fn check_chain(&self) -> Result<(), ChainError> {
        let checked = *self
            .chain_checked
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if checked.is_some_and(|at| at.elapsed() < CHAIN_CHECK_LASTS) {
            return Ok(());
        }
        self.ask_chain().await
    }

    /// Makes sure that the node answers, and for its chain.
    pub(super) async fn ask_chain(&self) -> Result<(), ChainError> {
        let asked = self.ask_chain_id().await;
        let checked = asked.is_ok().then(Instant::now);
        // What failed is asked again before anything else is.
        *self
            .chain_checked
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = checked;
        asked
    }

    async fn ask_chain_id(&self) -> Result<(), ChainError> {
        let chain_id: U64 = self.rpc.call("eth_chainId", ()).await?;
        let found = NetworkId::from_chain_id(chain_id.to());
        if found != self.network {
            return Err(ChainError::WrongChain {
                node: self.rpc.name().to_owned(),
                expected: self.network,
                found,
            });
        }
        Ok(())
    }

    pub(super) async fn horizon(&self, depth: Confirmations) -> Result<Horizon, ChainError> {
        let head = self.tagged_block("latest").await?;
        let confirmed = match depth {
            Confirmations::Blocks(NonZeroU64::MIN) => head,
            Confirmations::Blocks(blocks) => {
                let below = blocks.get() - 1;
                self.block(head.number().saturating_sub(below)).await?
            }
            Confirmations::Safe => self.tagged_block("safe").await?,
            Confirmations::Finalized => self.tagged_block("finalized").await?,
        };
        if confirmed.number() > head.number() {
            return Err(self.inconsistent("a confirmed block is above the head"));
        }
        Ok(Horizon { head, confirmed })
    }

    async fn tagged_block(&self, tag: &'static str) -> Result<Block, ChainError> {
        let block: Option<Block> = self.rpc.call("eth_getBlockByNumber", (tag, false)).await?;
        block.ok_or_else(|| ChainError::NoSuchBlock {
            node: self.rpc.name().to_owned(),
            tag,
        })
    }

    /// The canonical block at a height that exists.
    pub(super) async fn block(&self, number: u64) -> Result<Block, ChainError> {
        let params = (U64::from(number), false);
        let block: Option<Block> = self.rpc.call("eth_getBlockByNumber", params).await?;
        block.ok_or_else(|| self.inconsistent("a block below the head is missing"))
    }

    pub(super) async fn receipt(&self, transaction: B256) -> Result<Option<Receipt>, ChainError> {
        self.receipt_within(transaction, None).await
    }

    /// The same, with a time of its own.
    pub(super) async fn receipt_within(
        &self,
        transaction: B256,
        timeout: Option<Duration>,
    ) -> Result<Option<Receipt>, ChainError> {
        let method = "eth_getTransactionReceipt";
        self.rpc.call_within(method, (transaction,), timeout).await
    }

    /// A view call at the newest block, or pinned to one block by its hash (EIP-1898).
    pub(super) async fn view<C: SolCall + Sync>(
        &self,
        contract: Address,
        call: &C,
        at: Option<B256>,
    ) -> Result<C::Return, ChainError> {
        let transaction = json!({ "to": contract, "data": Bytes::from(call.abi_encode()) });
        let block = match at {
            Some(hash) => json!({ "blockHash": hash }),
            None => json!("latest"),
        };
        let returned: Bytes = self.rpc.call("eth_call", (transaction, block)).await?;
        C::abi_decode_returns(&returned).map_err(|_| ChainError::BadReply {
            node: self.rpc.name().to_owned(),
            method: C::SIGNATURE.to_owned(),
        })
    }

    /// What an account holds to pay gas with, in wei.
    pub(super) async fn gas_balance(&self, account: Address) -> Result<U256, ChainError> {
        self.rpc.call("eth_getBalance", (account, "latest")).await
    }

    /// The next account nonce after the newest block.
    pub(super) async fn next_nonce(&self, account: Address) -> Result<u64, ChainError> {
        let params = (account, "latest");
        let nonce: U64 = self.rpc.call("eth_getTransactionCount", params).await?;
        Ok(nonce.to())
    }

    /// The next account nonce after one block, named by its hash (EIP-1898).
    pub(super) async fn nonce_after(
        &self,
        account: Address,
        block: B256,
    ) -> Result<u64, ChainError> {
        let params = (account, json!({ "blockHash": block }));
        let nonce: U64 = self.rpc.call("eth_getTransactionCount", params).await?;
        Ok(nonce.to())
    }

    pub(super) fn inconsistent(&self, what: &'static str) -> ChainError {
        ChainError::Inconsistent {
            node: self.rpc.name().to_owned(),
            what,
        }
    }
}
