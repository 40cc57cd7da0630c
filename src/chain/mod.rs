//! Everything that talks to an EVM node.
//!
//! Owns RPC with its bounds and its failover, the token's bindings, the facts of an authorization,
//! and the relayer that signs and sends settlements. Must never know of purchases, credits or
//! databases: it reports what the chain says, and sends the bytes it is given.
//!
//! Begin with `facts.rs`, which judges by `verdict.rs`.

mod bindings;
mod broadcast;
mod canonical;
mod error;
mod facts;
mod fees;
mod network;
mod node;
mod relayer;
mod rpc;
mod search;
mod token;
mod verdict;

pub mod devnet;

pub use broadcast::{Broadcast, Rejection};
pub use canonical::BlocksLook;
pub use error::{ChainError, RpcRefusal};
pub use facts::{AuthorizationLook, IncludedTransaction, NonceUse};
pub use fees::{Fees, GasPrice};
pub use network::{Asset, Network, NetworkSettings, NetworkSettingsError};
pub use relayer::{SignedTransaction, StoredTransaction};
pub use token::{DomainError, SETTLEMENT_GAS_MAX, SimulationError};
