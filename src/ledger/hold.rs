//! Which grants a hold takes from.

use thiserror::Error;

use super::{Grant, GrantId};
use crate::base::{Credits, Timestamp};

/// A part of a hold, taken from one grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation {
    pub grant: GrantId,
    pub amount: Credits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the price is above the available {available} credits")]
pub struct InsufficientCredits {
    pub available: Credits,
}

/// Takes `price` from `grants` in the order of spending.
///
/// # Errors
/// When what is available at `now` does not cover the price; nothing is taken then.
pub fn allocate(
    grants: &[Grant],
    price: Credits,
    now: Timestamp,
) -> Result<Vec<Allocation>, InsufficientCredits> {
    let mut order: Vec<&Grant> = grants.iter().collect();
    order.sort_by(|left, right| left.spending_order(right));

    let mut missing = price;
    let mut allocations = Vec::new();
    for grant in order {
        let amount = grant.available(now).min(missing);
        if !amount.is_positive() {
            continue;
        }
        allocations.push(Allocation {
            grant: grant.id,
            amount,
        });
        missing = missing.checked_sub(amount).unwrap_or(Credits::ZERO);
    }
    if missing.is_positive() {
        let available = price.checked_sub(missing).unwrap_or(Credits::ZERO);
        return Err(InsufficientCredits { available });
    }
    Ok(allocations)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::GrantSource;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn grant(id: i64, priority: i64, expires_s: Option<i64>, remaining: i64, held: i64) -> Grant {
        Grant {
            id: GrantId(id),
            source: GrantSource::X402,
            priority,
            expires_at: expires_s.map(Timestamp::from_seconds),
            remaining: Credits::from_units(remaining),
            held: Credits::from_units(held),
        }
    }

    fn take(grants: &[Grant], price: i64) -> Result<Vec<(i64, i64)>, i64> {
        allocate(grants, Credits::from_units(price), NOW)
            .map(|parts| {
                parts
                    .iter()
                    .map(|part| (part.grant.0, part.amount.units()))
                    .collect()
            })
            .map_err(|refusal| refusal.available.units())
    }

    #[test]
    fn spends_by_priority_then_expiry_then_age() {
        let grants = [
            grant(1, 5, None, 10, 0),
            grant(2, 0, None, 10, 0),
            grant(3, 0, Some(3_000), 10, 0),
            grant(4, 0, Some(2_000), 10, 0),
            grant(5, 5, None, 10, 0),
        ];
        let parts = take(&grants, 45).unwrap();
        assert_eq!(parts, [(4, 10), (3, 10), (2, 10), (1, 10), (5, 5)]);
    }

    #[test]
    fn takes_neither_what_is_held_nor_what_is_due() {
        let grants = [grant(1, 0, None, 10, 7), grant(2, 0, Some(1_000), 50, 0)];
        assert_eq!(take(&grants, 3), Ok(vec![(1, 3)]));
        assert_eq!(take(&grants, 4), Err(3));
        assert_eq!(take(&[], 1), Err(0));
    }

    proptest! {
        #[test]
        fn takes_exactly_the_price_and_never_more_than_a_grant_has(
            sizes in prop::collection::vec((0_i64..4, 0_i64..50, 0_i64..50), 0..8),
            price in 1_i64..200,
        ) {
            let grants: Vec<Grant> = (1..)
                .zip(&sizes)
                .map(|(id, &(priority, free, held))| grant(id, priority, None, free + held, held))
                .collect();
            let free: i64 = sizes.iter().map(|&(_, free, _)| free).sum();
            match take(&grants, price) {
                Ok(parts) => {
                    prop_assert_eq!(parts.iter().map(|part| part.1).sum::<i64>(), price);
                    for (id, amount) in parts {
                        let index = usize::try_from(id - 1).unwrap();
                        prop_assert!(amount <= grants[index].unallocated().units());
                    }
                }
                Err(available) => {
                    prop_assert_eq!(available, free);
                    prop_assert!(free < price);
                }
            }
        }
    }
}
