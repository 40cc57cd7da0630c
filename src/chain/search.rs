//! Finds the transaction that used an authorization up, or moved its money, newest blocks first.

use alloy::{
    primitives::{Address, B256, U64},
    sol_types::SolEvent,
};
use serde_json::{Value, json};

use super::{
    ChainError, RpcRefusal,
    bindings::Token,
    node::{Log, Node},
    verdict::is_transfer,
};
use crate::payment::{Authorization, Transfer};

/// How far back is searched when the caller does not know where to begin.
pub(super) const LOOKBACK_BLOCKS: u64 = 50_000;

/// Asked for in one request at first; many nodes refuse more.
pub const SPAN_BLOCKS_MAX: u64 = 10_000;

/// Requests in one search. At a node that gives 500 blocks a request, this is 32,000 blocks.
const REQUESTS_MAX: usize = 64;

/// Equal transfers of one payer that are looked into.
const TRANSFERS_MAX: usize = 64;

/// A walk down a range of blocks in spans that shrink when a node refuses them.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    oldest: u64,
    newest: u64,
    span: u64,
}

impl Window {
    const fn new(oldest: u64, newest: u64) -> Self {
        Self {
            oldest,
            newest,
            span: SPAN_BLOCKS_MAX,
        }
    }

    /// The first and the last block of the next request.
    fn range(&self) -> (u64, u64) {
        let first = (self.newest + 1).saturating_sub(self.span);
        (first.max(self.oldest), self.newest)
    }

    /// Moves on to older blocks; `false` when there are none.
    fn step(&mut self) -> bool {
        let (first, _) = self.range();
        if first <= self.oldest {
            return false;
        }
        self.newest = first - 1;
        true
    }

    /// Asks for less; `false` when one block was too much already.
    fn shrink(&mut self) -> bool {
        let (first, last) = self.range();
        let less = narrower(last.saturating_sub(first) + 1);
        self.span = less.unwrap_or(1);
        less.is_some()
    }
}

/// How many blocks to ask for where so many were too much; `None` where one was.
pub(super) fn narrower(asked: u64) -> Option<u64> {
    (asked > 1).then_some((asked / 4).max(1))
}

impl Node {
    /// The transactions between two blocks whose logs name the authorization's nonce. Empty only
    /// when every block was searched and there are none: an outage or a limit on the rate of
    /// requests says nothing of the blocks, and is an error.
    pub(super) async fn find_uses(
        &self,
        token: Address,
        terms: &Authorization,
        oldest: u64,
        newest: u64,
    ) -> Result<Vec<B256>, ChainError> {
        let events = [
            Token::AuthorizationUsed::SIGNATURE_HASH,
            Token::AuthorizationCanceled::SIGNATURE_HASH,
        ];
        let topics = json!([events, terms.from.into_word(), terms.nonce]);
        self.find(token, &topics, (oldest, newest), |_| true, 1)
            .await
    }

    /// The newest wanted transactions between two blocks in which `contract` wrote logs of these topics.
    /// Empty under the same condition.
    pub(super) async fn find_logs(
        &self,
        contract: Address,
        topics: &Value,
        blocks: (u64, u64),
        wanted: impl Fn(B256) -> bool + Send + Sync,
    ) -> Result<Vec<B256>, ChainError> {
        let is_wanted = |log: &Log| log.transaction_hash.is_some_and(&wanted);
        self.find(contract, topics, blocks, is_wanted, 1).await
    }

    /// The transactions between two blocks that hold this very transfer, newest first, and
    /// complete, or an error, as above.
    pub(super) async fn find_transfers(
        &self,
        token: Address,
        transfer: &Transfer,
        oldest: u64,
        newest: u64,
    ) -> Result<Vec<B256>, ChainError> {
        let event = Token::Transfer::SIGNATURE_HASH;
        let topics = json!([event, transfer.from.into_word(), transfer.to.into_word()]);
        let is_it = |log: &Log| is_transfer(log, token, transfer);
        let most = TRANSFERS_MAX + 1;
        let found = self
            .find(token, &topics, (oldest, newest), is_it, most)
            .await?;
        if found.len() > TRANSFERS_MAX {
            return Err(self.unfinished());
        }
        Ok(found)
    }

    /// Searches until the oldest block, or until `enough` transactions are found.
    async fn find(
        &self,
        token: Address,
        topics: &Value,
        (oldest, newest): (u64, u64),
        is_it: impl Fn(&Log) -> bool + Send + Sync,
        enough: usize,
    ) -> Result<Vec<B256>, ChainError> {
        let mut window = Window::new(oldest.min(newest), newest);
        let mut found = Vec::new();
        for _ in 0..REQUESTS_MAX {
            match self.logs(token, topics, window.range()).await {
                Ok(logs) => {
                    let logs = logs.iter().rev().filter(|log| is_it(log));
                    found.extend(logs.filter_map(|log| log.transaction_hash));
                    found.dedup();
                    if found.len() >= enough || !window.step() {
                        return Ok(found);
                    }
                }
                Err(ChainError::Rpc(refusal)) if asked_too_much(&refusal) && window.shrink() => {}
                Err(error) => return Err(error),
            }
        }
        Err(self.unfinished())
    }

    fn unfinished(&self) -> ChainError {
        ChainError::SearchUnfinished {
            node: self.rpc.name().to_owned(),
        }
    }

    async fn logs(
        &self,
        token: Address,
        topics: &Value,
        (first, last): (u64, u64),
    ) -> Result<Vec<Log>, ChainError> {
        let filter = json!({
            "address": token,
            "fromBlock": U64::from(first),
            "toBlock": U64::from(last),
            "topics": topics,
        });
        self.rpc.call("eth_getLogs", (filter,)).await
    }
}

/// How nodes say that a request covers too many blocks or would bring too many logs. They share no
/// code for it: -32005 also means too many requests.
const ASKED_TOO_MUCH: [&str; 12] = [
    "block range",
    "blocks range",
    "range is too",
    "range too",
    "range limit",
    "ranges over",
    "too many blocks",
    "returned more than",
    "exceeds max results",
    "too many results",
    "response size",
    "query timeout exceeded",
];
/// Refusals that are worded alike and have another cause.
const NOT_TOO_MUCH: [&str; 2] = ["invalid block range", "rate limit"];

pub(super) fn asked_too_much(refusal: &RpcRefusal) -> bool {
    let message = refusal.message.to_ascii_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    let limited = message.contains("limited to") && message.contains("range");
    (says(&ASKED_TOO_MUCH) || limited) && !says(&NOT_TOO_MUCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_limit_on_the_range_narrows_the_range() {
        let asked_too_much = |message: &str| {
            asked_too_much(&RpcRefusal {
                node: "node:1".into(),
                code: -32005,
                message: message.into(),
                data: None,
            })
        };
        for message in [
            "query returned more than 10000 results. Try with this block range [0x1, 0x2].",
            "exceed maximum block range: 5000",
            "Log response size exceeded. You can make eth_getLogs requests with up to a 2K range",
            "eth_getLogs is limited to a 10,000 range",
            "requested too many blocks from 0 to 5000, maximum is set to 2048",
            "block range is too wide",
            "Block range limit exceeded",
            "ranges over 10000 blocks are not supported on freetier",
            "query exceeds max results 20000, retry with the range 1-2",
            "Query timeout exceeded. Consider reducing your block range.",
        ] {
            assert!(asked_too_much(message), "{message}");
        }
        for message in [
            "",
            "daily request count exceeded, request rate limited",
            "rate limit: too many results for your plan",
            "invalid block range params",
            "internal error",
            "method not found",
            "header not found",
        ] {
            assert!(!asked_too_much(message), "{message}");
        }
    }

    #[test]
    fn walks_down_to_the_oldest_block_and_stops() {
        let mut window = Window::new(95, 20_100);
        assert_eq!(window.range(), (10_101, 20_100));
        assert!(window.step());
        assert_eq!(window.range(), (101, 10_100));
        assert!(window.step());
        assert_eq!(window.range(), (95, 100));
        assert!(!window.step());
    }

    #[test]
    fn shrinks_from_what_was_asked_down_to_one_block() {
        let mut window = Window::new(0, 99);
        let mut spans = Vec::new();
        while window.shrink() {
            spans.push(window.span);
        }
        assert_eq!(spans, [25, 6, 1]);
        assert_eq!(window.range(), (99, 99));
        assert!(window.step());
        assert_eq!(window.range(), (98, 98));
    }

    #[test]
    fn the_genesis_block_is_a_range_of_its_own() {
        let mut window = Window::new(0, 0);
        assert_eq!(window.range(), (0, 0));
        assert!(!window.step());
    }
}
