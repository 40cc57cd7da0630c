//! A payment's way back to its payer: facts in, next step out.

use std::{fmt, str::FromStr};

use alloy::primitives::{B256, U256, U512};

use super::Inclusion;
use crate::base::Credits;

/// Where a refund stands. Every state is durable before the act that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefundState {
    /// The credits are taken back; nothing is signed.
    Held,
    /// The raw transaction is stored; it may have been broadcast.
    Broadcast,
    /// The transfer to the payer is confirmed on the chain and posted in the books.
    Paid,
    /// It can never reach the payer: the credits are the wallet's again.
    Void,
}

/// What the chain says of the transaction that a refund was stored with, and of those that took its
/// place under the same account nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundFact {
    /// The account nonce is not used.
    Unused,
    /// It is used in a block that a reorganization may still undo, or nobody can tell by what.
    Unsettled,
    /// A status-1 receipt holds the token's `Transfer(float, payer, exact amount)`.
    Paid(Inclusion),
    /// The receipt's status is 0, or its logs hold no transfer of the float's in this token.
    Failed(Inclusion),
    /// A status-1 receipt holds a transfer of the float's in this token that is not the refund: the
    /// token is not what it was taken for.
    Odd { transaction: B256 },
    /// A confirmed block has used the account nonce for a transaction that is none of the refund's.
    Superseded,
}

/// Why a refund is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoidReason {
    /// Nothing was signed: tried before, the token would refuse the transfer.
    WouldFail,
    /// Nothing was signed, and the float has another key now.
    FloatChanged,
    /// A confirmed fact.
    Failed,
    /// A confirmed fact.
    Superseded,
}

/// The next step of a refund whose transaction is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundStep {
    /// Broadcast the stored bytes again, or at other fees.
    Tend,
    Pay(Inclusion),
    Void(VoidReason),
    /// The facts are not settled yet: look again later.
    Wait,
    /// Only an operator can tell what happened.
    Alarm {
        transaction: B256,
    },
}

/// Decides from the facts alone.
#[must_use]
pub const fn next_refund_step(fact: RefundFact) -> RefundStep {
    match fact {
        RefundFact::Unused => RefundStep::Tend,
        RefundFact::Paid(at) if at.confirmed => RefundStep::Pay(at),
        RefundFact::Failed(at) if at.confirmed => RefundStep::Void(VoidReason::Failed),
        RefundFact::Unsettled | RefundFact::Paid(_) | RefundFact::Failed(_) => RefundStep::Wait,
        RefundFact::Odd { transaction } => RefundStep::Alarm { transaction },
        RefundFact::Superseded => RefundStep::Void(VoidReason::Superseded),
    }
}

/// What becomes of a paid refund whose block is not on the chain any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundRecheck {
    /// Another block holds it.
    Moved(Inclusion),
    /// It is not paid any more.
    Undone,
    Wait,
}

/// Decides from the facts alone.
#[must_use]
pub const fn recheck_refund(fact: RefundFact) -> RefundRecheck {
    match fact {
        RefundFact::Paid(at) if at.confirmed => RefundRecheck::Moved(at),
        RefundFact::Unused | RefundFact::Superseded => RefundRecheck::Undone,
        RefundFact::Failed(at) if at.confirmed => RefundRecheck::Undone,
        RefundFact::Paid(_)
        | RefundFact::Failed(_)
        | RefundFact::Unsettled
        | RefundFact::Odd { .. } => RefundRecheck::Wait,
    }
}

/// What of `value`, which bought `credits`, `rest` is worth in base units: in proportion, rounded down,
/// so that all refunds of a payment together never exceed it. The whole is the whole.
#[must_use]
pub fn refund_amount(value: U256, credits: Credits, rest: Credits) -> U256 {
    let (Ok(credits), Ok(rest)) = (u64::try_from(credits.units()), u64::try_from(rest.units()))
    else {
        return U256::ZERO;
    };
    if credits == 0 {
        return U256::ZERO;
    }
    let part = U512::from(value) * U512::from(rest.min(credits)) / U512::from(credits);
    U256::from(part)
}

impl RefundState {
    pub const ALL: [Self; 4] = [Self::Held, Self::Broadcast, Self::Paid, Self::Void];

    /// Whether the chain has no more to say of it.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Held | Self::Broadcast => false,
            Self::Paid | Self::Void => true,
        }
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Broadcast => "broadcast",
            Self::Paid => "paid",
            Self::Void => "void",
        }
    }
}

impl VoidReason {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WouldFail => "transfer_would_fail",
            Self::FloatChanged => "float_changed",
            Self::Failed => "transfer_failed",
            Self::Superseded => "account_nonce_used_elsewhere",
        }
    }
}

impl fmt::Display for RefundState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for RefundState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: B256 = B256::repeat_byte(7);

    const fn at(confirmed: bool) -> Inclusion {
        Inclusion {
            transaction: HASH,
            block: 9,
            block_hash: B256::repeat_byte(8),
            confirmed,
        }
    }

    #[test]
    fn only_a_confirmed_fact_ends_a_refund() {
        for (fact, step) in [
            (RefundFact::Unused, RefundStep::Tend),
            (RefundFact::Unsettled, RefundStep::Wait),
            (RefundFact::Paid(at(false)), RefundStep::Wait),
            (RefundFact::Paid(at(true)), RefundStep::Pay(at(true))),
            (RefundFact::Failed(at(false)), RefundStep::Wait),
            (
                RefundFact::Failed(at(true)),
                RefundStep::Void(VoidReason::Failed),
            ),
            (
                RefundFact::Superseded,
                RefundStep::Void(VoidReason::Superseded),
            ),
            (
                RefundFact::Odd { transaction: HASH },
                RefundStep::Alarm { transaction: HASH },
            ),
        ] {
            assert_eq!(next_refund_step(fact), step, "{fact:?}");
        }
    }

    #[test]
    fn only_a_settled_fact_undoes_a_paid_refund() {
        let odd = RefundFact::Odd { transaction: HASH };
        for (fact, step) in [
            (RefundFact::Unused, RefundRecheck::Undone),
            (RefundFact::Superseded, RefundRecheck::Undone),
            (RefundFact::Failed(at(true)), RefundRecheck::Undone),
            (RefundFact::Failed(at(false)), RefundRecheck::Wait),
            (RefundFact::Paid(at(true)), RefundRecheck::Moved(at(true))),
            (RefundFact::Paid(at(false)), RefundRecheck::Wait),
            (RefundFact::Unsettled, RefundRecheck::Wait),
            (odd, RefundRecheck::Wait),
        ] {
            assert_eq!(recheck_refund(fact), step, "{fact:?}");
        }
    }

    #[test]
    fn states_survive_their_text() {
        for state in RefundState::ALL {
            assert_eq!(state.to_string().parse(), Ok(state));
        }
        assert_eq!("gone".parse::<RefundState>(), Err(()));
    }

    fn amount(value: u128, credits: i64, rest: i64) -> U256 {
        let (credits, rest) = (Credits::from_units(credits), Credits::from_units(rest));
        refund_amount(U256::from(value), credits, rest)
    }

    #[test]
    fn a_rest_is_paid_back_in_proportion_and_the_whole_whole() {
        assert_eq!(amount(1_000_000, 1_000_000, 600_001), U256::from(600_001));
        // With 18 decimals, and dust that bought nothing.
        let value = 10_u128.pow(18) + 7;
        assert_eq!(amount(value, 1_000_000, 1_000_000), U256::from(value));
        assert_eq!(amount(value, 1_000_000, 500_000), U256::from(value / 2));
        assert_eq!(amount(3, 10_000, 3_333), U256::ZERO);
        for (credits, rest) in [(0, 5), (-1, 5), (5, -1), (5, 0)] {
            assert_eq!(amount(1_000, credits, rest), U256::ZERO, "{credits} {rest}");
        }
        assert_eq!(
            amount(1_000, 5, 9),
            U256::from(1_000),
            "never more than came"
        );
        let all = refund_amount(U256::MAX, Credits::from_units(9), Credits::from_units(9));
        assert_eq!(all, U256::MAX);
    }

    proptest! {
        #[test]
        fn refunds_together_never_exceed_the_payment(
            value in any::<u128>(),
            parts in prop::collection::vec(0_i64..1_000_000_000, 1..6),
            unrefunded in 0_i64..1_000_000_000,
        ) {
            let credits = parts.iter().sum::<i64>() + unrefunded;
            let paid = parts.iter().map(|part| amount(value, credits, *part));
            prop_assert!(paid.sum::<U256>() <= U256::from(value));
        }
    }
}
