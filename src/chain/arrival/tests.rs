//! What counts, by what stands beside it.

use alloy::primitives::U256;

use super::*;

const NETWORK: NetworkId = NetworkId::from_chain_id(1);
const TOKEN: Address = Address::repeat_byte(1);
const PAYER: Address = Address::repeat_byte(2);
const PAY_TO: Address = Address::repeat_byte(3);
const FORMER: Address = Address::repeat_byte(4);
const CONTRACT: Address = Address::repeat_byte(5);
const AGENT: Address = Address::repeat_byte(6);
const NONCE: B256 = B256::repeat_byte(7);

fn recipients() -> Recipients {
    Recipients {
        pay_tos: HashSet::from([PAY_TO, FORMER]),
        purchase_contracts: HashSet::from([CONTRACT]),
    }
}

fn log(address: Address, event: &impl SolEvent) -> Log {
    let data = event.encode_log_data();
    Log {
        address,
        topics: data.topics().to_vec(),
        data: data.data.clone(),
        transaction_hash: None,
    }
}

fn moved(from: Address, to: Address, value: u64) -> Log {
    let value = U256::from(value);
    log(TOKEN, &Token::Transfer { from, to, value })
}

fn used(authorizer: Address) -> Log {
    let nonce = NONCE;
    log(TOKEN, &Token::AuthorizationUsed { authorizer, nonce })
}

fn bought(token: Address, amount: u64) -> Log {
    let event = CreditsPurchase::CreditsPurchased {
        purchaseId: B256::repeat_byte(8),
        agent: AGENT,
        payer: PAYER,
        token,
        amount: U256::from(amount),
    };
    log(CONTRACT, &event)
}

fn at(address: Address, log: Log) -> Log {
    Log { address, ..log }
}

fn with(change: impl FnOnce(&mut Log), mut log: Log) -> Log {
    change(&mut log);
    log
}

fn judged(logs: &[Log]) -> Arrivals {
    judge(NETWORK, &[TOKEN], &recipients(), logs)
}

/// Positions, kinds and amounts, and how many events nothing was paid for.
fn summary(logs: &[Log]) -> (Vec<(u32, ArrivalKind, u64)>, usize) {
    let found = judged(logs);
    let arrivals = found.arrivals.iter();
    let arrivals = arrivals.map(|it| (it.position, it.kind, it.transfer.value.to()));
    (arrivals.collect(), found.unpaid_events)
}

const AUTHORIZED: ArrivalKind = ArrivalKind::Authorized { nonce: NONCE };
const EVENT: ArrivalKind = ArrivalKind::Event {
    agent: AGENT,
    payer: PAYER,
};

#[test]
fn transfers_count_by_what_stands_beside_them() {
    use ArrivalKind::Plain;
    let stranger = Address::repeat_byte(9);
    let paid = || moved(PAYER, PAY_TO, 500);
    for (name, logs, arrivals, unpaid_events) in [
        ("plain", vec![paid()], vec![(0, Plain, 500)], 0),
        (
            "to a former payTo",
            vec![moved(PAYER, FORMER, 5)],
            vec![(0, Plain, 5)],
            0,
        ),
        (
            "authorized",
            vec![used(PAYER), paid()],
            vec![(1, AUTHORIZED, 500)],
            0,
        ),
        (
            "another's authorization before it",
            vec![used(stranger), paid()],
            vec![(1, Plain, 500)],
            0,
        ),
        (
            "an authorization of another token before it",
            vec![at(stranger, used(PAYER)), paid()],
            vec![(1, Plain, 500)],
            0,
        ),
        (
            "an authorization, and a log between",
            vec![used(PAYER), used(stranger), paid()],
            vec![(2, Plain, 500)],
            0,
        ),
        (
            "two under one authorization",
            vec![used(PAYER), paid(), paid()],
            vec![(1, AUTHORIZED, 500), (2, Plain, 500)],
            0,
        ),
    ] {
        assert_eq!(summary(&logs), (arrivals, unpaid_events), "{name}");
    }
}

#[test]
fn what_leaves_a_purchase_contract_counts_by_its_event_alone() {
    use ArrivalKind::{Plain, Unexplained};
    let stranger = Address::repeat_byte(9);
    let passed_on = || moved(CONTRACT, PAY_TO, 500);
    for (name, logs, arrivals, unpaid_events) in [
        (
            "bought on chain",
            vec![moved(PAYER, CONTRACT, 500), passed_on(), bought(TOKEN, 500)],
            vec![(1, EVENT, 500)],
            0,
        ),
        (
            "bought on chain, twice",
            vec![
                passed_on(),
                bought(TOKEN, 500),
                passed_on(),
                bought(TOKEN, 500),
            ],
            vec![(0, EVENT, 500), (2, EVENT, 500)],
            0,
        ),
        (
            "out of the contract, no event",
            vec![passed_on()],
            vec![(0, Unexplained, 500)],
            0,
        ),
        (
            "an event of another amount",
            vec![passed_on(), bought(TOKEN, 499)],
            vec![(0, Unexplained, 500)],
            1,
        ),
        (
            "an event of another token",
            vec![passed_on(), bought(stranger, 500)],
            vec![(0, Unexplained, 500)],
            1,
        ),
        (
            "an event, and a log between",
            vec![passed_on(), used(PAYER), bought(TOKEN, 500)],
            vec![(0, Unexplained, 500)],
            1,
        ),
        (
            "two events for one transfer",
            vec![passed_on(), bought(TOKEN, 500), bought(TOKEN, 500)],
            vec![(0, EVENT, 500)],
            1,
        ),
        (
            "another contract's event",
            vec![passed_on(), at(stranger, bought(TOKEN, 500))],
            vec![(0, Unexplained, 500)],
            0,
        ),
        (
            "a treasury that is no payTo",
            vec![moved(CONTRACT, stranger, 500), bought(TOKEN, 500)],
            vec![],
            1,
        ),
        (
            "an event after a stranger's transfer",
            vec![moved(PAYER, PAY_TO, 500), bought(TOKEN, 500)],
            vec![(0, Plain, 500)],
            1,
        ),
    ] {
        assert_eq!(summary(&logs), (arrivals, unpaid_events), "{name}");
    }
}

#[test]
fn nothing_arrives_by_what_is_no_payment() {
    let paid = || moved(PAYER, PAY_TO, 500);
    for (name, log) in [
        ("to another", moved(PAYER, AGENT, 500)),
        ("of nothing", moved(PAYER, PAY_TO, 0)),
        ("a mint", moved(Address::ZERO, PAY_TO, 500)),
        ("between payTos", moved(FORMER, PAY_TO, 500)),
        ("of another token", at(CONTRACT, paid())),
        ("an approval", with(|log| log.topics[0] = NONCE, paid())),
        (
            "a topic too few",
            with(|log| log.topics.truncate(2), paid()),
        ),
        (
            "a topic too many",
            with(|log| log.topics.push(NONCE), paid()),
        ),
        (
            "too much data",
            with(|log| log.data = [0; 64].into(), paid()),
        ),
        ("no data", with(|log| log.data = [].into(), paid())),
        ("no topics", with(|log| log.topics.clear(), paid())),
    ] {
        assert_eq!(judged(&[log]), Arrivals::default(), "{name}");
    }
}

#[test]
fn an_arrival_names_its_asset_and_its_place() {
    let found = judged(&[moved(PAYER, AGENT, 1), moved(PAYER, PAY_TO, 500)]);
    let arrival = found.arrivals[0];
    let asset = AssetId {
        network: NETWORK,
        token: TOKEN,
    };
    assert_eq!((arrival.asset, arrival.transfer.from), (asset, PAYER));
    let key = PaymentKey::Log {
        asset,
        transaction: NONCE,
        position: 1,
        transfer: arrival.transfer,
    };
    assert_eq!(arrival.log_key(NONCE), key);
}

#[test]
fn another_transfer_at_the_same_place_has_another_key() {
    let key = |log: Log| judged(&[log]).arrivals[0].log_key(NONCE).to_string();
    let one = key(moved(PAYER, PAY_TO, 500));
    assert_eq!(one, key(moved(PAYER, PAY_TO, 500)));
    for other in [
        moved(PAYER, PAY_TO, 501),
        moved(PAYER, FORMER, 500),
        moved(AGENT, PAY_TO, 500),
    ] {
        assert_ne!(one, key(other));
    }
}

#[test]
fn what_a_contract_that_is_not_configured_sells_is_nobodys() {
    let shop = Address::repeat_byte(9);
    let sold = |amount| at(shop, bought(TOKEN, amount));
    let unknown = (vec![(0, ArrivalKind::UnknownContract, 500)], 0);
    let plain = (vec![(0, ArrivalKind::Plain, 500)], 0);
    for (name, next, expected) in [
        ("its own event", sold(500), unknown),
        ("of another amount", sold(501), plain.clone()),
        (
            "of another token",
            at(shop, bought(AGENT, 500)),
            plain.clone(),
        ),
        ("another's event", at(AGENT, bought(TOKEN, 500)), plain),
    ] {
        let logs = [moved(shop, PAY_TO, 500), next];
        assert_eq!(summary(&logs), expected, "{name}");
    }
}
