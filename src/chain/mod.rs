//! Everything that talks to an EVM node.
//!
//! Owns RPC with its bounds and its failover, the token's bindings, the facts of an authorization,
//! the relayers that sign and send settlements, the request to a facilitator that sends them in their
//! place, and the contracts that an operator deploys. Must never know of purchases, credits or
//! databases: it reports what the chain says, and sends the bytes it is given.
//!
//! Begin with `facts.rs`, which judges an authorization by `verdict.rs`, and `watch.rs`, which judges
//! what arrives by `arrival.rs`.

mod account;
mod arrival;
mod bindings;
mod broadcast;
mod canonical;
mod contract;
mod counterfactual;
mod error;
mod exchange;
mod facilitator;
mod facts;
mod fees;
mod network;
mod node;
mod permit2;
mod places;
mod refund;
mod relayer;
mod rpc;
mod search;
mod settlement;
#[cfg(test)]
mod testing;
mod token;
mod verdict;
mod wallet;
mod watch;

pub mod devnet;

pub use account::{Account, Estimate, ExecuteError, Executed};
pub use arrival::{Arrival, ArrivalKind, Arrivals, Recipients};
pub use broadcast::{Broadcast, Rejection};
pub use canonical::BlocksLook;
pub use contract::{CodeFound, Contract, DEPLOYMENT_PROXY, OwnerCall, Ownership};
pub use error::{ChainError, RpcRefusal};
pub use facilitator::{
    Answer, Facilitator, FacilitatorError, FacilitatorSettings, FacilitatorSettingsError, Remote,
    RemoteSettings, Turn,
};
pub use facts::{AuthorizationLook, IncludedTransaction, NonceUse};
pub use fees::{Fees, GasPrice};
pub use network::{Asset, Network, NetworkSettings, NetworkSettingsError};
pub use refund::RefundTransfer;
pub use relayer::{GasFunds, Relayer, SignedTransaction, StoredTransaction, cost_gwei};
pub use search::SPAN_BLOCKS_MAX;
pub use settlement::{Call, SETTLEMENT_GAS_MAX, SETTLEMENT_GAS_TYPICAL, is_signed_by_key};
pub use token::{DomainError, SimulationError};
pub use watch::{BlockMark, BlockRange, Followed, Position, Receiving, TransactionLook};
