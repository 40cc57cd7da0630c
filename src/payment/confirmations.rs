//! How deep a transaction must lie before the books follow it.

/// What an operator asks of a block before its facts count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmations {
    /// This many blocks, the including one among them.
    Blocks(u64),
    /// The node's `safe` block or an ancestor of it.
    Safe,
    /// The node's `finalized` block or an ancestor of it.
    Finalized,
}
