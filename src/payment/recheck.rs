//! What becomes of a payment that counted, once the chain has put another block in its block's place.

use super::{AuthorizationFact, Inclusion};

/// What follows for a payment whose block was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recheck {
    /// It was paid all the same, in another block.
    Moved(Inclusion),
    /// It is not paid: what it became is taken back, and it waits for its transfer again.
    Dropped,
    /// The facts are not settled yet: look again later.
    Wait,
}

/// Decides from the facts alone. `fact` was read from a node that has confirmed another block at the
/// height of the payment's, so that an authorization which is unused there was dropped, and not only
/// unknown to a node that is behind.
#[must_use]
pub fn recheck(fact: AuthorizationFact) -> Recheck {
    match fact {
        AuthorizationFact::Paid(at) if at.confirmed => Recheck::Moved(at),
        AuthorizationFact::SpentElsewhere(at) | AuthorizationFact::Cancelled(at)
            if at.confirmed =>
        {
            Recheck::Dropped
        }
        AuthorizationFact::Unused { .. } => Recheck::Dropped,
        AuthorizationFact::Paid(_)
        | AuthorizationFact::SpentElsewhere(_)
        | AuthorizationFact::Cancelled(_)
        | AuthorizationFact::Unexplained => Recheck::Wait,
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::*;
    use crate::base::Timestamp;

    #[test]
    fn a_payment_is_taken_back_on_confirmed_facts_alone() {
        let at = |confirmed| Inclusion {
            transaction: B256::repeat_byte(7),
            block: 9,
            block_hash: B256::repeat_byte(8),
            confirmed,
        };
        let unused = AuthorizationFact::Unused {
            confirmed_until: Timestamp::from_seconds(1),
        };
        for (fact, expected) in [
            (AuthorizationFact::Paid(at(true)), Recheck::Moved(at(true))),
            (AuthorizationFact::Paid(at(false)), Recheck::Wait),
            (AuthorizationFact::Cancelled(at(true)), Recheck::Dropped),
            (AuthorizationFact::Cancelled(at(false)), Recheck::Wait),
            (
                AuthorizationFact::SpentElsewhere(at(true)),
                Recheck::Dropped,
            ),
            (AuthorizationFact::SpentElsewhere(at(false)), Recheck::Wait),
            (AuthorizationFact::Unexplained, Recheck::Wait),
            (unused, Recheck::Dropped),
        ] {
            assert_eq!(recheck(fact), expected, "{fact:?}");
        }
    }
}
