//! A movement of money between two accounts.

use std::fmt;

use thiserror::Error;

use super::Account;
use crate::base::Credits;

/// Why money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostingReason {
    /// A payment bought credits.
    Purchase,
    /// A captured charge.
    Charge,
    /// A payment for one call, without credits.
    DirectCall,
    /// Credits that the house gave away.
    Promotion,
    /// What a grant had left when it ran out.
    Expiry,
    /// A transfer arrived that cannot be attributed.
    Suspense,
    /// An operator gave what was in suspense to its owner.
    Attribution,
    /// The chain dropped a payment that was credited.
    Reversal,
    /// What such a payment had cost the house came back, with the payment.
    Recovery,
    /// Credits were taken back to be paid out.
    Refund,
    /// A refund reached its payer.
    RefundPaid,
    /// The chain dropped a refund that was paid.
    RefundUndone,
    /// A refund can never reach its payer: the credits are the wallet's again.
    RefundVoid,
}

/// Two sides that sum to zero: `amount` leaves `from` and enters `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    from: Account,
    to: Account,
    amount: Credits,
    reason: PostingReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PostingError {
    #[error("a posting needs two different accounts")]
    SameAccount,
    #[error("a posting moves a positive amount")]
    NotPositive,
}

impl Posting {
    /// # Errors
    /// When both sides are one account, or the amount is not positive.
    pub fn new(
        from: Account,
        to: Account,
        amount: Credits,
        reason: PostingReason,
    ) -> Result<Self, PostingError> {
        if from == to {
            return Err(PostingError::SameAccount);
        }
        if !amount.is_positive() {
            return Err(PostingError::NotPositive);
        }
        Ok(Self {
            from,
            to,
            amount,
            reason,
        })
    }

    #[must_use]
    pub const fn from(&self) -> Account {
        self.from
    }

    #[must_use]
    pub const fn to(&self) -> Account {
        self.to
    }

    #[must_use]
    pub const fn amount(&self) -> Credits {
        self.amount
    }

    #[must_use]
    pub const fn reason(&self) -> PostingReason {
        self.reason
    }
}

impl fmt::Display for PostingReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Purchase => "purchase",
            Self::Charge => "charge",
            Self::DirectCall => "direct_call",
            Self::Promotion => "promotion",
            Self::Expiry => "expiry",
            Self::Suspense => "suspense",
            Self::Attribution => "attribution",
            Self::Reversal => "reversal",
            Self::Recovery => "recovery",
            Self::Refund => "refund",
            Self::RefundPaid => "refund_paid",
            Self::RefundUndone => "refund_undone",
            Self::RefundVoid => "refund_void",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_two_sides_and_a_positive_amount() {
        let post = |to, units| {
            let amount = Credits::from_units(units);
            Posting::new(Account::Revenue, to, amount, PostingReason::Charge).map(|_| ())
        };
        assert_eq!(post(Account::Expired, 1), Ok(()));
        assert_eq!(post(Account::Revenue, 1), Err(PostingError::SameAccount));
        assert_eq!(post(Account::Expired, 0), Err(PostingError::NotPositive));
        assert_eq!(post(Account::Expired, -1), Err(PostingError::NotPositive));
    }
}
