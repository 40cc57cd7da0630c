//! What is left of one payment, where payments of one source share a grant.

use crate::base::Credits;

/// What is unspent of a payment of which `net` stands in the books: given, less what was refunded and
/// taken back. `available` is what its grant has that no hold has taken; `later` are the nets of the
/// payments that came into the grant after it. The oldest is spent first.
#[must_use]
pub fn unspent(
    available: Credits,
    net: Credits,
    later: impl IntoIterator<Item = Credits>,
) -> Credits {
    let mut rest = available;
    for later in later {
        rest = less(rest, later.max(Credits::ZERO));
    }
    rest.min(net).max(Credits::ZERO)
}

/// A difference that is never below zero.
fn less(amount: Credits, part: Credits) -> Credits {
    amount
        .checked_sub(part)
        .unwrap_or(Credits::ZERO)
        .max(Credits::ZERO)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn units(units: i64) -> Credits {
        Credits::from_units(units)
    }

    /// The rest of each payment, oldest first.
    fn rests(available: i64, nets: &[i64]) -> Vec<i64> {
        let rest = |index: usize| {
            let later = nets[index + 1..].iter().copied().map(units);
            unspent(units(available), units(nets[index]), later).units()
        };
        (0..nets.len()).map(rest).collect()
    }

    #[test]
    fn the_oldest_is_spent_first() {
        assert_eq!(rests(300, &[100, 100, 100]), [100, 100, 100]);
        assert_eq!(rests(250, &[100, 100, 100]), [50, 100, 100]);
        assert_eq!(rests(120, &[100, 100, 100]), [0, 20, 100]);
        assert_eq!(rests(0, &[100, 100, 100]), [0, 0, 0]);
        assert_eq!(rests(100, &[100]), [100]);
        assert_eq!(rests(40, &[100]), [40]);
    }

    #[test]
    fn never_more_than_the_payment_and_never_less_than_nothing() {
        assert_eq!(rests(500, &[100, 50]), [100, 50]);
        assert_eq!(rests(100, &[-30, 100]), [0, 100]);
        assert_eq!(rests(-5, &[100]), [0]);
        assert_eq!(rests(60, &[100, -30]), [60, 0]);
    }

    /// A queue of payments, spent from the front.
    #[derive(Clone, Debug)]
    enum Event {
        Pay(i64),
        Spend(i64),
        Refund(prop::sample::Index),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (1_i64..100).prop_map(Event::Pay),
            (1_i64..150).prop_map(Event::Spend),
            any::<prop::sample::Index>().prop_map(Event::Refund),
        ]
    }

    proptest! {
        /// Against a model that keeps what is left of each payment apart.
        #[test]
        fn is_what_a_queue_of_payments_has_left(events in prop::collection::vec(event(), 0..40)) {
            let (mut nets, mut left, mut available) = (Vec::new(), Vec::new(), 0);
            for event in events {
                match event {
                    Event::Pay(amount) => {
                        nets.push(amount);
                        left.push(amount);
                        available += amount;
                    }
                    Event::Spend(amount) => {
                        let mut amount = amount.min(available);
                        available -= amount;
                        for payment in &mut left {
                            let part = amount.min(*payment);
                            *payment -= part;
                            amount -= part;
                        }
                    }
                    Event::Refund(which) if !nets.is_empty() => {
                        let which = which.index(nets.len());
                        let rest = rests(available, &nets)[which];
                        nets[which] -= rest;
                        available -= rest;
                        left[which] -= rest;
                    }
                    Event::Refund(_) => {}
                }
                prop_assert_eq!(&rests(available, &nets), &left);
                prop_assert_eq!(left.iter().sum::<i64>(), available);
            }
        }
    }
}
