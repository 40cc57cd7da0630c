//! How deep a payment must lie before it is money.

use std::num::NonZeroU64;

/// What an operator takes as confirmed on a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmations {
    /// So many blocks, the payment's own among them: 1 is the head of the chain.
    Blocks(NonZeroU64),
    /// The block that the node names `safe`.
    Safe,
    /// The block that the node names `finalized`.
    Finalized,
}
