//! What the chain says of every payment, read from the token's own log and by nothing that is
//! tested.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol,
    sol_types::SolEvent,
};
use counterfoil::chain::devnet::USDC;
use serde::Deserialize;
use serde_json::json;

use crate::world::World;

sol! {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    topics: Vec<B256>,
    data: Bytes,
    transaction_hash: B256,
    #[serde(rename = "logIndex")]
    position: U256,
}

/// What one transfer is known by. No transaction here makes two without an authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// The nonce.
    Authorization(B256),
    Transaction(B256),
}

/// A transfer to the house.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) from: Address,
    /// In base units.
    pub(crate) value: u64,
    pub(crate) transaction: B256,
}

/// Everything that arrived at the house.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    pub(crate) payments: BTreeMap<Mark, Arrival>,
    pub(crate) all: u64,
}

impl Arrivals {
    pub(crate) async fn read(world: &World) -> Self {
        let filter = json!({ "address": USDC, "fromBlock": "0x0", "toBlock": "latest" });
        let logs: Vec<Log> = world
            .chain
            .rpc("eth_getLogs", json!([filter]))
            .await
            .unwrap();
        let mut arrivals = Self::default();
        for (index, log) in logs.iter().enumerate() {
            let house = world.pay_to.into_word();
            if log.topics[0] != Transfer::SIGNATURE_HASH || log.topics[2] != house {
                continue;
            }
            let value: u64 = U256::from_be_slice(&log.data).to();
            arrivals.all += value;
            let before = index.checked_sub(1).map(|before| &logs[before]);
            let nonce = before.and_then(|before| before.nonce_used_by(log));
            let transaction = log.transaction_hash;
            let mark = nonce.map_or(Mark::Transaction(transaction), Mark::Authorization);
            let arrival = Arrival {
                from: Address::from_word(log.topics[1]),
                value,
                transaction,
            };
            assert!(arrivals.payments.insert(mark, arrival).is_none());
        }
        arrivals
    }
}

impl Log {
    /// The nonce, if this is the log directly before the transfer that it allowed.
    fn nonce_used_by(&self, transfer: &Self) -> Option<B256> {
        let used = self.topics[0] == AuthorizationUsed::SIGNATURE_HASH
            && self.topics[1] == transfer.topics[1]
            && self.transaction_hash == transfer.transaction_hash
            && self.position + U256::ONE == transfer.position;
        used.then(|| self.topics[2])
    }
}
