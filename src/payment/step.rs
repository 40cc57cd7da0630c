//! What to do with a payment next.

use alloy::primitives::B256;

use super::{Authorization, AuthorizationFact, Inclusion, PaymentState};

/// Why a payment will never be credited. Each holds a confirmed fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Cancelled { transaction: B256 },
    SpentElsewhere { transaction: B256 },
}

/// The next step of a payment that is not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Sign the settlement, store its raw bytes, then broadcast them.
    Settle,
    /// Broadcast the stored bytes again.
    Resend,
    /// Credit what the confirmed transfer brought.
    Credit(Inclusion),
    Fail(Failure),
    Expire,
    /// The facts are not settled yet: look again later.
    Wait,
}

/// Decides from the facts alone. `None` when the chain has no more to say of it.
///
/// What was refused is not settled from here any more, but its authorization is still out: anyone
/// may submit it, and money that arrives is never refused.
#[must_use]
pub fn next_step(
    state: PaymentState,
    terms: &Authorization,
    fact: AuthorizationFact,
) -> Option<Step> {
    if state.is_settled() && state != PaymentState::Refused {
        return None;
    }
    Some(match fact {
        AuthorizationFact::Paid(at) if at.confirmed => Step::Credit(at),
        AuthorizationFact::SpentElsewhere(at) if at.confirmed => {
            Step::Fail(Failure::SpentElsewhere {
                transaction: at.transaction,
            })
        }
        AuthorizationFact::Cancelled(at) if at.confirmed => Step::Fail(Failure::Cancelled {
            transaction: at.transaction,
        }),
        AuthorizationFact::Paid(_)
        | AuthorizationFact::SpentElsewhere(_)
        | AuthorizationFact::Cancelled(_)
        | AuthorizationFact::Unexplained => Step::Wait,
        AuthorizationFact::Unused { confirmed_until } if confirmed_until > terms.expires_at() => {
            Step::Expire
        }
        AuthorizationFact::Unused { .. } if state == PaymentState::Refused => Step::Wait,
        AuthorizationFact::Unused { .. } if state == PaymentState::Authorized => Step::Settle,
        AuthorizationFact::Unused { .. } => Step::Resend,
    })
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, U256};

    use super::*;
    use crate::{base::Timestamp, payment::TransferMethod};

    const TERMS: Authorization = Authorization {
        method: TransferMethod::Eip3009,
        from: Address::ZERO,
        to: Address::ZERO,
        value: U256::ONE,
        valid_after: 0,
        valid_before: 1_000,
        nonce: B256::ZERO,
    };

    fn included(confirmed: bool) -> Inclusion {
        Inclusion {
            transaction: B256::repeat_byte(7),
            block: 9,
            block_hash: B256::repeat_byte(8),
            confirmed,
        }
    }

    fn unused(seconds: i64) -> AuthorizationFact {
        AuthorizationFact::Unused {
            confirmed_until: Timestamp::from_seconds(seconds),
        }
    }

    #[test]
    fn only_a_confirmed_transfer_is_credited() {
        for state in [PaymentState::Authorized, PaymentState::Broadcast] {
            let step = |fact| next_step(state, &TERMS, fact).unwrap();
            assert_eq!(
                step(AuthorizationFact::Paid(included(true))),
                Step::Credit(included(true))
            );
            assert_eq!(step(AuthorizationFact::Paid(included(false))), Step::Wait);
            assert_eq!(step(AuthorizationFact::Unexplained), Step::Wait);
        }
    }

    #[test]
    fn a_payment_fails_only_on_a_confirmed_fact() {
        let transaction = B256::repeat_byte(7);
        let step = |fact| next_step(PaymentState::Broadcast, &TERMS, fact).unwrap();
        assert_eq!(
            step(AuthorizationFact::Cancelled(included(true))),
            Step::Fail(Failure::Cancelled { transaction })
        );
        assert_eq!(
            step(AuthorizationFact::SpentElsewhere(included(true))),
            Step::Fail(Failure::SpentElsewhere { transaction })
        );
        assert_eq!(
            step(AuthorizationFact::Cancelled(included(false))),
            Step::Wait
        );
        assert_eq!(
            step(AuthorizationFact::SpentElsewhere(included(false))),
            Step::Wait
        );
    }

    #[test]
    fn a_payment_expires_only_at_a_confirmed_block_later_than_valid_before() {
        let step = |seconds| next_step(PaymentState::Broadcast, &TERMS, unused(seconds)).unwrap();
        assert_eq!(step(1_000), Step::Resend);
        assert_eq!(step(1_001), Step::Expire);
    }

    #[test]
    fn an_unused_authorization_is_settled_once_and_then_resent() {
        assert_eq!(
            next_step(PaymentState::Authorized, &TERMS, unused(5)),
            Some(Step::Settle)
        );
        assert_eq!(
            next_step(PaymentState::Broadcast, &TERMS, unused(5)),
            Some(Step::Resend)
        );
    }

    #[test]
    fn a_refused_payment_is_never_sent_but_credited_if_it_arrives() {
        let step = |fact| next_step(PaymentState::Refused, &TERMS, fact).unwrap();
        assert_eq!(step(unused(5)), Step::Wait);
        assert_eq!(step(unused(1_001)), Step::Expire);
        assert!(matches!(
            step(AuthorizationFact::Paid(included(true))),
            Step::Credit(_)
        ));
    }

    #[test]
    fn a_settled_payment_has_no_next_step() {
        use PaymentState::{Confirmed, Credited, Expired, Failed};
        for state in [Confirmed, Credited, Expired, Failed] {
            assert_eq!(
                next_step(state, &TERMS, AuthorizationFact::Paid(included(true))),
                None
            );
        }
    }
}
