//! The one key under which a payment is counted.

use std::fmt;

use alloy::primitives::{Address, B256};

use super::Transfer;
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
    /// Any other transfer: its position among its own transaction's logs, and what it moved. The same
    /// transaction may move something else at that place once a reorganization gives it another block:
    /// that is another transfer.
    Log {
        asset: AssetId,
        transaction: B256,
        position: u32,
        transfer: Transfer,
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
                asset,
                transaction,
                position,
                transfer: Transfer { from, to, value },
            } => {
                write!(
                    formatter,
                    "log:{asset}:{transaction:#x}:{position}:{from:#x}:{to:#x}:{value}"
                )
            }
        }
    }
}
