//! The one key under which a payment is counted.

use std::fmt;

use alloy::primitives::{Address, B256};

use crate::base::{AssetId, NetworkId};

/// What makes a payment this payment, over every way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaymentKey {
    /// A transfer directly after its token's `AuthorizationUsed(from, nonce)`.
    Authorization {
        asset: AssetId,
        from: Address,
        nonce: B256,
    },
    /// A transfer that Permit2 made for a signature of `owner`'s. Permit2 writes no log of that, so
    /// the transfer is counted under its [`PaymentKey::Log`] too.
    Permit2 {
        network: NetworkId,
        owner: Address,
        nonce: B256,
    },
    /// Any other transfer: its position among its own transaction's logs, which no reorganization
    /// of the block changes.
    Log {
        network: NetworkId,
        transaction: B256,
        position: u32,
    },
}

impl fmt::Display for PaymentKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authorization { asset, from, nonce } => {
                write!(formatter, "authorization:{asset}:{from:#x}:{nonce:#x}")
            }
            Self::Permit2 {
                network,
                owner,
                nonce,
            } => {
                write!(formatter, "permit2:{network}:{owner:#x}:{nonce:#x}")
            }
            Self::Log {
                network,
                transaction,
                position,
            } => {
                write!(formatter, "log:{network}:{transaction:#x}:{position}")
            }
        }
    }
}
