//! Why the chain could not be asked.

use alloy::primitives::Bytes;
use thiserror::Error;

use crate::base::NetworkId;

/// A question to the chain that has no answer now. Nodes are named by host and port only: the rest
/// of their URL may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChainError {
    #[error("The node {node} cannot be reached: {reason}.")]
    Unreachable { node: String, reason: String },
    #[error("The node {} refused: {} ({}).", .0.node, .0.message, .0.code)]
    Rpc(RpcRefusal),
    #[error("The node {node} answered {method} with something else than was asked.")]
    BadReply { node: String, method: String },
    #[error("The node {node} has no `{tag}` block.")]
    NoSuchBlock { node: String, tag: &'static str },
    #[error("The node {node} is on {found}, not on {expected}; check rpc_url.")]
    WrongChain {
        node: String,
        expected: NetworkId,
        found: NetworkId,
    },
    /// Nothing is signed at such a price: it may be over soon, or the node is wrong.
    #[error("The node {node} asks for {wei} wei a unit of gas; max_fee_gwei allows {cap} wei.")]
    GasTooDear { node: String, wei: u128, cap: u128 },
    /// An authorization was used, and the node gives too few blocks a request to see where.
    #[error("The node {node} lets too few blocks be searched at once: not found yet.")]
    SearchUnfinished { node: String },
    /// Two reads contradict each other: a reorganization or a node behind others. Ask again.
    #[error("The node {node} contradicts itself: {what}.")]
    Inconsistent { node: String, what: &'static str },
}

/// A JSON-RPC error object, bounded and without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcRefusal {
    pub node: String,
    pub code: i64,
    pub message: String,
    /// What a reverted call returned.
    pub data: Option<Bytes>,
}
