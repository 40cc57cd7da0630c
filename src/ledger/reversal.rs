//! What is taken back when the chain drops a payment that was credited, and what comes back first when
//! the payment does.

use super::{Allocation, Grant, GrantSource};
use crate::base::Credits;

/// What the postings of one payment add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What counts as arrived on the chain.
    pub arrived: Credits,
    /// What a wallet was given of it.
    pub given: Credits,
    /// What is in suspense.
    pub suspended: Credits,
    /// What the house paid for it so far, since it was spent when the chain dropped it.
    pub lost: Credits,
}

/// How the whole of what had arrived is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// From the wallet's grants.
    pub takes: Vec<Allocation>,
    /// What that is in all.
    pub taken: Credits,
    /// From suspense.
    pub suspended: Credits,
    /// What nobody has any more: the house's loss.
    pub lost: Credits,
}

/// Takes back what the payment's wallet was given, as far as it is left in grants of `source`, and what
/// is in suspense. The rest is lost. What holds have allocated stays with them: those calls are running.
#[must_use]
pub fn reverse(standing: &Standing, source: GrantSource, grants: &[Grant]) -> Reversal {
    let mut order: Vec<&Grant> = grants.iter().filter(|it| it.source == source).collect();
    // Those that do not expire are where payments go.
    order.sort_by(|left, right| {
        let expires = |grant: &Grant| grant.expires_at.is_some();
        expires(left)
            .cmp(&expires(right))
            .then(left.spending_order(right))
    });
    let given = standing.given.min(standing.arrived);
    let mut missing = given;
    let mut takes = Vec::new();
    for grant in order {
        let amount = grant.unallocated().min(missing);
        if amount.is_positive() {
            takes.push(Allocation {
                grant: grant.id,
                amount,
            });
            missing = less(missing, amount);
        }
    }
    let from_wallet = less(given, missing);
    let rest = less(standing.arrived, from_wallet);
    let suspended = standing.suspended.min(rest);
    Reversal {
        takes,
        taken: from_wallet,
        suspended,
        lost: less(rest, suspended),
    }
}

/// What goes back to the house first when a payment of `amount` comes again after `lost`.
#[must_use]
pub fn recover(amount: Credits, lost: Credits) -> Credits {
    amount.min(lost)
}

/// A difference that is never below zero.
fn less(amount: Credits, part: Credits) -> Credits {
    amount
        .checked_sub(part)
        .filter(|rest| rest.is_positive())
        .unwrap_or(Credits::ZERO)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{base::Timestamp, ledger::GrantId};

    fn units(units: i64) -> Credits {
        Credits::from_units(units)
    }

    fn grant(id: i64, source: GrantSource, expires: bool, remaining: i64, held: i64) -> Grant {
        Grant {
            id: GrantId(id),
            source,
            priority: 100,
            expires_at: expires.then(|| Timestamp::from_seconds(5)),
            remaining: units(remaining),
            held: units(held),
        }
    }

    fn given(amount: i64) -> Standing {
        Standing {
            arrived: units(amount),
            given: units(amount),
            suspended: Credits::ZERO,
            lost: Credits::ZERO,
        }
    }

    fn parts(reversal: &Reversal) -> Vec<(i64, i64)> {
        let part = |it: &Allocation| (it.grant.0, it.amount.units());
        reversal.takes.iter().map(part).collect()
    }

    #[test]
    fn what_is_left_is_taken_and_the_rest_is_lost() {
        use GrantSource::{Promotion, X402};
        let grants = [
            grant(1, X402, true, 50, 0),
            grant(2, Promotion, false, 1_000, 0),
            grant(3, X402, false, 80, 30),
        ];
        let reversal = reverse(&given(100), X402, &grants);
        assert_eq!(parts(&reversal), [(3, 50), (1, 50)]);
        assert_eq!(reversal.lost, Credits::ZERO);
        let reversal = reverse(&given(120), X402, &grants);
        assert_eq!(parts(&reversal), [(3, 50), (1, 50)]);
        assert_eq!((reversal.taken, reversal.lost), (units(100), units(20)));
        let reversal = reverse(&given(20), X402, &grants);
        assert_eq!(parts(&reversal), [(3, 20)]);
        let reversal = reverse(&given(20), X402, &[]);
        assert_eq!((reversal.taken, reversal.lost), (units(0), units(20)));
    }

    #[test]
    fn only_what_the_payment_gave_is_taken() {
        let grants = [grant(1, GrantSource::X402, false, 500, 0)];
        // A direct call's price, of which nothing became credits.
        let earned = Standing {
            given: Credits::ZERO,
            ..given(100)
        };
        let reversal = reverse(&earned, GrantSource::X402, &grants);
        assert_eq!((reversal.taken, reversal.lost), (units(0), units(100)));
        let suspended = Standing {
            suspended: units(100),
            ..earned
        };
        let reversal = reverse(&suspended, GrantSource::X402, &grants);
        assert_eq!((reversal.taken, reversal.lost), (units(0), units(0)));
        assert_eq!(reversal.suspended, units(100));
    }

    /// The accounts that one payment touches, moved as the store moves them.
    #[derive(Default)]
    struct Books {
        wallet: i64,
        held: i64,
        cash: i64,
        loss: i64,
        revenue: i64,
        /// What the payment's postings add up to.
        given: i64,
        lost: i64,
        credited: bool,
    }

    impl Books {
        fn credit(&mut self, amount: i64) {
            let back = recover(units(amount), units(self.lost)).units();
            self.cash -= amount;
            self.loss += back;
            self.lost -= back;
            self.wallet += amount - back;
            self.given += amount - back;
            self.credited = true;
        }

        fn reverse(&mut self, amount: i64) {
            let standing = Standing {
                arrived: units(amount),
                given: units(self.given),
                suspended: Credits::ZERO,
                lost: units(self.lost),
            };
            let grants = [grant(1, GrantSource::X402, false, self.wallet, self.held)];
            let reversal = reverse(&standing, GrantSource::X402, &grants);
            let (taken, lost) = (reversal.taken.units(), reversal.lost.units());
            assert_eq!(taken + lost, amount, "all of it is taken back");
            self.cash += amount;
            self.wallet -= taken;
            self.given -= taken;
            self.loss -= lost;
            self.lost += lost;
            self.credited = false;
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_the_books_have_what_the_chain_has(
            amount in 1..100_i64,
            steps in proptest::collection::vec((0..5_u8, 1..60_i64), 1..40),
        ) {
            let mut books = Books::default();
            for (step, some) in steps {
                match step {
                    0 if !books.credited => books.credit(amount),
                    1 if books.credited => books.reverse(amount),
                    2 => {
                        let price = some.min(books.wallet - books.held);
                        books.wallet -= price;
                        books.revenue += price;
                    }
                    3 => books.held += some.min(books.wallet - books.held),
                    4 => books.held -= some.min(books.held),
                    _ => {}
                }
                let on_chain = if books.credited { amount } else { 0 };
                prop_assert_eq!(books.cash, -on_chain);
                prop_assert!(books.wallet >= books.held);
                let all = books.wallet + books.cash + books.loss + books.revenue;
                prop_assert_eq!(all, 0);
                prop_assert_eq!(books.loss, -books.lost);
                prop_assert!(books.lost >= 0);
                prop_assert!(!books.credited || books.lost == 0);
            }
        }
    }
}
