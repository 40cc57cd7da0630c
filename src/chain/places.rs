//! Where something arrived: the logs of a range of blocks, as far as a node gives them.

use std::collections::HashSet;

use alloy::{
    primitives::{Address, B256, U64},
    sol_types::SolEvent,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    ChainError, RpcRefusal,
    bindings::{CreditsPurchase, Token},
    search::{asked_too_much, narrower},
    watch::{Position, Reader, Scope},
};

/// Behind one address there may be several nodes, and one that is late gives the logs of a block it
/// does not have as none. So blocks of the last seconds are read once more with those that are new.
const OVERLAP_SECONDS: u64 = 60;
/// At least and at most so many, however long a block takes.
const OVERLAP_BLOCKS: u64 = 32;
const OVERLAP_BLOCKS_MAX: u64 = 1_024;
/// And no more than so many requests give, of a node that gives few blocks at once.
const OVERLAP_REQUESTS: u64 = 16;

/// Where a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogPlace {
    pub(super) transaction_hash: B256,
    block_hash: B256,
}

impl Scope {
    /// Filters of `eth_getLogs` for transfers to recipients, and for events that no such transfer may
    /// come with.
    fn filters(&self) -> Vec<Value> {
        let pay_tos = self.recipients.pay_tos.iter().map(Address::into_word);
        let contracts = &self.recipients.purchase_contracts;
        let mut filters = vec![transfers(
            &json!(*self.tokens),
            &json!(pay_tos.collect::<Vec<_>>()),
        )];
        filters.extend((!contracts.is_empty()).then(|| events(&json!(contracts))));
        filters
    }

    /// The same in as many parts as there are, for a block that holds too many logs for one answer.
    fn single_filters(&self) -> Vec<Value> {
        let mut filters = Vec::new();
        for token in self.tokens.iter() {
            for pay_to in &self.recipients.pay_tos {
                filters.push(transfers(&json!(token), &json!(pay_to.into_word())));
            }
        }
        let contracts = self.recipients.purchase_contracts.iter();
        filters.extend(contracts.map(|contract| events(&json!(contract))));
        filters
    }
}

fn transfers(tokens: &Value, to: &Value) -> Value {
    json!({ "address": tokens, "topics": [Token::Transfer::SIGNATURE_HASH, null, to] })
}

fn events(contracts: &Value) -> Value {
    let topics = [CreditsPurchase::CreditsPurchased::SIGNATURE_HASH];
    json!({ "address": contracts, "topics": topics })
}

impl Reader {
    /// The first block that is read once more.
    pub(super) async fn overlap_from(&self, position: &Position) -> Result<u64, ChainError> {
        let next = position.next;
        let least = next.saturating_sub(OVERLAP_BLOCKS).max(position.first);
        if least >= next {
            return Ok(next);
        }
        let confirmed = &self.horizon.confirmed;
        let then = self.node.block(least).await?.time();
        let seconds = confirmed.time().seconds().saturating_sub(then.seconds());
        let blocks = confirmed.number().saturating_sub(least);
        let overlap = overlap_blocks(blocks, u64::try_from(seconds).unwrap_or_default());
        let overlap = overlap.min(position.span.max(1).saturating_mul(OVERLAP_REQUESTS));
        Ok(next.saturating_sub(overlap).max(position.first))
    }

    /// Where something arrived from `first` to `last`; `None` when the node refuses so many blocks,
    /// and `span` is less then.
    pub(super) async fn new_places(
        &self,
        mut first: u64,
        last: u64,
        span: &mut u64,
        is_known: &(dyn Fn(B256, B256) -> bool + Send + Sync),
    ) -> Result<Option<Vec<LogPlace>>, ChainError> {
        let mut places = Vec::new();
        let mut seen = HashSet::new();
        while first <= last {
            let until = first.saturating_add(*span - 1).min(last);
            let logs = match self.logs(first, until, self.scope.filters()).await? {
                Ok(logs) => logs,
                Err(_) if let Some(less) = narrower(until - first + 1) => {
                    *span = less.min(*span);
                    return Ok(None);
                }
                Err(_) => self
                    .logs(first, until, self.scope.single_filters())
                    .await?
                    .map_err(ChainError::Rpc)?,
            };
            let is_new = |it: &LogPlace| !is_known(it.transaction_hash, it.block_hash);
            let logs = logs.into_iter().filter(is_new);
            places.extend(logs.filter(|place| seen.insert(*place)));
            first = until + 1;
        }
        Ok(Some(places))
    }

    /// What all filters give, or the node's word that this is too much.
    async fn logs(
        &self,
        first: u64,
        until: u64,
        filters: Vec<Value>,
    ) -> Result<Result<Vec<LogPlace>, RpcRefusal>, ChainError> {
        let mut all = Vec::new();
        for mut filter in filters {
            filter["fromBlock"] = json!(U64::from(first));
            filter["toBlock"] = json!(U64::from(until));
            let logs: Result<Vec<LogPlace>, _> = self.node.rpc.call("eth_getLogs", (filter,)).await;
            match logs {
                Ok(logs) => all.extend(logs),
                Err(ChainError::Rpc(refusal)) if asked_too_much(&refusal) => {
                    return Ok(Err(refusal));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Ok(all))
    }
}

/// How many blocks [`OVERLAP_SECONDS`] are, where `blocks` took so many seconds.
fn overlap_blocks(blocks: u64, seconds: u64) -> u64 {
    let overlap = OVERLAP_SECONDS.saturating_mul(blocks).checked_div(seconds);
    overlap
        .map_or(OVERLAP_BLOCKS_MAX, |overlap| overlap.saturating_add(1))
        .clamp(OVERLAP_BLOCKS, OVERLAP_BLOCKS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_read_again_however_fast_blocks_are() {
        for (name, blocks, seconds, expected) in [
            ("12 s a block", 32, 384, 32),
            ("2 s", 32, 64, 32),
            ("1 s", 32, 32, 61),
            ("0.25 s", 32, 8, 241),
            ("0.25 s, while catching up", 40_000, 10_000, 241),
            ("faster than can be told", 32, 0, 1_024),
            ("0.01 s", 100, 1, 1_024),
            ("no block", 0, 0, 1_024),
        ] {
            assert_eq!(overlap_blocks(blocks, seconds), expected, "{name}");
        }
    }
}
