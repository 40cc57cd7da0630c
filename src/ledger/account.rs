//! The accounts of the books.

use std::fmt;

use crate::base::{AgentAddress, AssetId};

/// One account. The sum over all accounts is zero at any moment: what wallets own and the house
/// earned is what arrived as cash, so a cash account's balance is negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// What the house owes to a wallet.
    Wallet(AgentAddress),
    /// What arrived in one token on one network.
    Cash(AssetId),
    /// What captured charges and direct calls brought.
    Revenue,
    /// What the house gave away.
    Promotion,
    /// What ran out before it was spent.
    Expired,
    /// What arrived in one token on one network and is nobody's yet.
    Suspense(AssetId),
    /// What was spent of payments that the chain dropped afterwards.
    Loss,
    /// What is on its way back to payers.
    Refunds,
}

impl fmt::Display for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wallet(wallet) => write!(formatter, "wallet:{wallet}"),
            Self::Cash(asset) => write!(formatter, "cash:{asset}"),
            Self::Revenue => formatter.write_str("revenue"),
            Self::Promotion => formatter.write_str("promotion"),
            Self::Expired => formatter.write_str("expired"),
            Self::Suspense(asset) => write!(formatter, "suspense:{asset}"),
            Self::Loss => formatter.write_str("loss"),
            Self::Refunds => formatter.write_str("refunds"),
        }
    }
}
