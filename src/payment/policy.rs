//! What becomes of a transfer that nobody announced.

use std::collections::HashSet;

use alloy::primitives::Address;

use crate::base::Credits;

/// What an operator wants done with plain transfers to a `payTo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainTransfers {
    /// They wait for a claim.
    Claim,
    /// Their sender is credited.
    Credit,
    /// They wait for the operator.
    Suspense,
}

/// The operator's rule for plain transfers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferPolicy {
    pub plain_transfers: PlainTransfers,
    /// Less is not credited to its sender.
    pub min: Credits,
    /// Who sends for many, as exchanges do: their address is nobody's wallet.
    pub omnibus_senders: HashSet<Address>,
}

/// Where a plain transfer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposal {
    /// Nowhere yet: a claim will say.
    Leave,
    /// To its sender's wallet.
    Credit,
    /// To suspense, from where an operator moves it.
    Suspend,
}

impl TransferPolicy {
    /// Decides by the sender and by what the transfer is worth.
    #[must_use]
    pub fn dispose(&self, from: Address, worth: Credits) -> Disposal {
        match self.plain_transfers {
            PlainTransfers::Claim => Disposal::Leave,
            PlainTransfers::Suspense => Disposal::Suspend,
            PlainTransfers::Credit if worth < self.min => Disposal::Suspend,
            PlainTransfers::Credit if self.is_nobody(from) => Disposal::Suspend,
            PlainTransfers::Credit => Disposal::Credit,
        }
    }

    /// Whether nobody who could sign for credits has this address: it sends for many, or by no key.
    #[must_use]
    pub fn is_nobody(&self, from: Address) -> bool {
        self.omnibus_senders.contains(&from) || is_reserved(from)
    }
}

/// The addresses of precompiled contracts and of chains' own machinery, for which nobody has a key.
fn is_reserved(address: Address) -> bool {
    address.iter().take(18).all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_can_be_told_from_others_is_credited() {
        let exchange = Address::repeat_byte(9);
        let payer = Address::repeat_byte(1);
        let precompile = Address::with_last_byte(9);
        let policy = |plain_transfers| TransferPolicy {
            plain_transfers,
            min: Credits::from_units(10_000),
            omnibus_senders: HashSet::from([exchange]),
        };
        let one = Credits::from_units(10_000);
        let less = Credits::from_units(9_999);
        for (mode, from, worth, expected) in [
            (PlainTransfers::Claim, payer, one, Disposal::Leave),
            (PlainTransfers::Claim, exchange, less, Disposal::Leave),
            (PlainTransfers::Suspense, payer, one, Disposal::Suspend),
            (PlainTransfers::Credit, payer, one, Disposal::Credit),
            (PlainTransfers::Credit, payer, less, Disposal::Suspend),
            (PlainTransfers::Credit, exchange, one, Disposal::Suspend),
            (PlainTransfers::Credit, precompile, one, Disposal::Suspend),
        ] {
            let found = policy(mode).dispose(from, worth);
            assert_eq!(found, expected, "{mode:?} {from} {worth}");
        }
    }
}
