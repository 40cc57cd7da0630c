//! Networks and the assets on them.

use std::{fmt, str::FromStr};

use alloy::primitives::Address;
use thiserror::Error;

/// An EVM chain, written in CAIP-2 as `eip155:84532`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not an EVM network: eip155: and the chain id")]
pub struct NetworkIdError;

impl NetworkId {
    #[must_use]
    pub const fn from_chain_id(chain_id: u64) -> Self {
        Self(chain_id)
    }

    #[must_use]
    pub const fn chain_id(self) -> u64 {
        self.0
    }
}

impl FromStr for NetworkId {
    type Err = NetworkIdError;

    fn from_str(text: &str) -> Result<Self, NetworkIdError> {
        let id = Self(
            text.strip_prefix("eip155:")
                .and_then(|id| id.parse().ok())
                .ok_or(NetworkIdError)?,
        );
        // One spelling only: `eip155:+1` and `eip155:01` are not names of chain 1.
        (id.0 > 0 && id.to_string() == text)
            .then_some(id)
            .ok_or(NetworkIdError)
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "eip155:{}", self.0)
    }
}

/// A token contract on a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetId {
    pub network: NetworkId,
    pub token: Address,
}

impl fmt::Display for AssetId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{:#x}", self.network, self.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_for_each_network() {
        assert_eq!("eip155:84532".parse(), Ok(NetworkId::from_chain_id(84532)));
        for text in [
            "eip155:",
            "eip155:0",
            "eip155:01",
            "eip155:+1",
            "solana:1",
            "84532",
            "eip155:1 ",
        ] {
            assert_eq!(text.parse::<NetworkId>(), Err(NetworkIdError), "{text:?}");
        }
    }
}
