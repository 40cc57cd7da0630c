//! What keeps the service from answering at all.

use alloy::primitives::Address;
use thiserror::Error;

use crate::{base::NetworkId, chain::ChainError, store::StoreError};

/// Nothing was decided; the same request may be sent again. Its text is for the log.
#[derive(Debug, Error)]
pub enum Unavailable {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Nothing is signed that could not be paid for.
    #[error(
        "no relayer on {network} holds the {needed_gwei} gwei that its transactions may cost: send \
         gas to {}",
        addresses(relayers)
    )]
    ShortOfGas {
        network: NetworkId,
        relayers: Vec<Address>,
        needed_gwei: u64,
    },
    #[error("the quota of stored replies is used up")]
    RepliesFull,
    /// A payer's code was asked for its word, and no node told it.
    #[error("a wallet was asked for its signature: {0}")]
    WalletSilent(#[source] ChainError),
    #[error("too many contract wallets are asked for their signatures at once")]
    WalletChecksBusy,
    #[error("too many claimed transactions are looked at, at once")]
    ClaimsBusy,
    #[error("the operating system gives no random bytes")]
    Randomness,
    /// The chain says that an authorization was used, but not where.
    #[error("the authorization was used on the chain in a block too old to be searched")]
    UnexplainedAuthorization,
}

impl Unavailable {
    /// Whether a client can bring it about by what it sends, so that it counts as a failure of its own.
    #[must_use]
    pub const fn is_of_a_wallet(&self) -> bool {
        matches!(self, Self::WalletSilent(_) | Self::WalletChecksBusy)
    }
}

fn addresses(relayers: &[Address]) -> String {
    let relayers: Vec<String> = relayers.iter().map(Address::to_string).collect();
    relayers.join(" or ")
}
