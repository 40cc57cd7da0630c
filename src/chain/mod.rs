//! Everything that talks to an EVM node.
//!
//! Owns RPC with its bounds and its failover, the token's bindings, the facts of an authorization,
//! and the relayer that signs and sends settlements. Must never know of purchases, credits or
//! databases: it reports what the chain says, and sends the bytes it is given.
//!
//! Begin with `facts.rs`, which judges an authorization by `verdict.rs`, and `watch.rs`, which judges
//! what arrives by `arrival.rs`.

mod arrival;
mod bindings;
mod broadcast;
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
mod watch;

pub mod devnet;

pub use arrival::{Arrival, ArrivalKind, Arrivals, Recipients};
pub use broadcast::{Broadcast, Rejection};
pub use error::{ChainError, RpcRefusal};
pub use facts::{AuthorizationLook, IncludedTransaction, NonceUse};
pub use fees::{Fees, GasPrice};
pub use network::{Asset, Network, NetworkSettings, NetworkSettingsError};
pub use relayer::{SignedTransaction, StoredTransaction};
pub use search::SPAN_BLOCKS_MAX;
pub use token::{DomainError, SETTLEMENT_GAS_MAX, SimulationError};
pub use watch::{BlockMark, BlockRange, Followed, Position, Receiving, TransactionLook};
