//! What keeps the service from answering at all.

use thiserror::Error;

use crate::{chain::ChainError, store::StoreError};

/// Nothing was decided; the same request may be sent again. Its text is for the log.
#[derive(Debug, Error)]
pub enum Unavailable {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("the quota of stored replies is used up")]
    RepliesFull,
    #[error("too many contract wallets are asked for their signatures at once")]
    WalletChecksBusy,
    #[error("the operating system gives no random bytes")]
    Randomness,
    /// The chain says that an authorization was used, but not where.
    #[error("the authorization was used on the chain in a block too old to be searched")]
    UnexplainedAuthorization,
}
