//! What a receipt's logs say of one authorization.

use alloy::{
    primitives::{Address, B256},
    sol_types::SolEvent,
};

use super::{bindings::Token, node::Log};
use crate::payment::{Authorization, Transfer};

/// How an authorization's nonce was used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Paid,
    SpentElsewhere,
    Cancelled,
}

/// Judges the logs of one successful transaction, in their order. `None` when they do not speak of
/// the authorization.
///
/// EIP-3009 tokens write `AuthorizationUsed` and then `Transfer`; the pair must be adjacent, since
/// one transaction may hold any number of both.
pub(super) fn judge(token: Address, terms: &Authorization, logs: &[Log]) -> Option<Verdict> {
    let mut verdict = None;
    for (index, log) in logs.iter().enumerate() {
        if names_authorization(log, Token::AuthorizationUsed::SIGNATURE_HASH, token, terms) {
            let next = logs.get(index + 1);
            if next.is_some_and(|next| is_transfer(next, token, &terms.transfer())) {
                return Some(Verdict::Paid);
            }
            verdict = Some(Verdict::SpentElsewhere);
        }
        if names_authorization(
            log,
            Token::AuthorizationCanceled::SIGNATURE_HASH,
            token,
            terms,
        ) {
            verdict = Some(Verdict::Cancelled);
        }
    }
    verdict
}

fn names_authorization(log: &Log, event: B256, token: Address, terms: &Authorization) -> bool {
    log.address == token && log.topics == [event, terms.from.into_word(), terms.nonce]
}

/// Where a transaction's logs hold this very transfer.
pub(super) fn positions(token: Address, transfer: &Transfer, logs: &[Log]) -> Vec<u32> {
    let positions = (0..).zip(logs);
    positions
        .filter(|(_, log)| is_transfer(log, token, transfer))
        .map(|(position, _)| position)
        .collect()
}

pub(super) fn is_transfer(log: &Log, token: Address, transfer: &Transfer) -> bool {
    let topics = [
        Token::Transfer::SIGNATURE_HASH,
        transfer.from.into_word(),
        transfer.to.into_word(),
    ];
    log.address == token
        && log.topics == topics
        && log.data.as_ref() == transfer.value.to_be_bytes::<32>()
}

#[cfg(test)]
mod tests {
    use alloy::primitives::U256;

    use super::*;
    use crate::payment::TransferMethod;

    const TOKEN: Address = Address::repeat_byte(1);
    const TERMS: Authorization = Authorization {
        method: TransferMethod::Eip3009,
        from: Address::repeat_byte(2),
        to: Address::repeat_byte(3),
        value: U256::from_limbs([500, 0, 0, 0]),
        valid_after: 0,
        valid_before: 1,
        nonce: B256::repeat_byte(4),
    };

    fn log(topics: [B256; 3], data: &[u8]) -> Log {
        Log {
            address: TOKEN,
            topics: topics.to_vec(),
            data: data.to_vec().into(),
            transaction_hash: None,
        }
    }

    fn used() -> Log {
        let event = Token::AuthorizationUsed::SIGNATURE_HASH;
        log([event, TERMS.from.into_word(), TERMS.nonce], &[])
    }

    fn cancelled() -> Log {
        let event = Token::AuthorizationCanceled::SIGNATURE_HASH;
        log([event, TERMS.from.into_word(), TERMS.nonce], &[])
    }

    fn transfer(to: Address, value: u64) -> Log {
        let event = Token::Transfer::SIGNATURE_HASH;
        log(
            [event, TERMS.from.into_word(), to.into_word()],
            &U256::from(value).to_be_bytes::<32>(),
        )
    }

    fn of_another_token(log: Log) -> Log {
        Log {
            address: Address::repeat_byte(9),
            ..log
        }
    }

    fn of_another_nonce(mut log: Log) -> Log {
        log.topics[2] = B256::repeat_byte(9);
        log
    }

    #[test]
    fn a_transfer_is_found_wherever_it_stands() {
        let paid = || transfer(TERMS.to, 500);
        let logs = [
            used(),
            paid(),
            transfer(TERMS.to, 499),
            of_another_token(paid()),
            transfer(Address::repeat_byte(8), 500),
            paid(),
        ];
        assert_eq!(positions(TOKEN, &TERMS.transfer(), &logs), [1, 5]);
    }

    #[test]
    fn only_the_adjacent_exact_transfer_is_a_payment() {
        use Verdict::{Cancelled, Paid, SpentElsewhere};
        let paid = || transfer(TERMS.to, 500);
        let stranger = Address::repeat_byte(8);
        for (name, logs, verdict) in [
            ("pair", vec![used(), paid()], Some(Paid)),
            (
                "pair among others",
                vec![of_another_nonce(used()), paid(), used(), paid()],
                Some(Paid),
            ),
            ("no transfer", vec![used()], Some(SpentElsewhere)),
            (
                "transfer before",
                vec![paid(), used()],
                Some(SpentElsewhere),
            ),
            (
                "log between",
                vec![used(), of_another_token(paid()), paid()],
                Some(SpentElsewhere),
            ),
            (
                "other amount",
                vec![used(), transfer(TERMS.to, 499)],
                Some(SpentElsewhere),
            ),
            (
                "other recipient",
                vec![used(), transfer(stranger, 500)],
                Some(SpentElsewhere),
            ),
            (
                "transfer of another token",
                vec![used(), of_another_token(paid())],
                Some(SpentElsewhere),
            ),
            (
                "use at another token",
                vec![of_another_token(used()), paid()],
                None,
            ),
            (
                "use of another nonce",
                vec![of_another_nonce(used()), paid()],
                None,
            ),
            ("transfer alone", vec![paid()], None),
            ("cancelled", vec![cancelled()], Some(Cancelled)),
            (
                "cancelled, then a plain transfer",
                vec![cancelled(), paid()],
                Some(Cancelled),
            ),
            ("nothing", vec![], None),
        ] {
            assert_eq!(judge(TOKEN, &TERMS, &logs), verdict, "{name}");
        }
    }
}
