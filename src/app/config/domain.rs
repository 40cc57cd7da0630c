//! The configuration that the service runs on: every value checked, in the types of the house.

use std::{path::PathBuf, time::Duration};

use super::{
    network::{self, Network},
    problems::{Problem, Problems},
    raw,
    server::{self, Server},
    tool,
};
use crate::{
    base::Credits,
    payment::{PlainTransfers, TransferPolicy},
    upstream::Catalogue,
};

const DAY_SECONDS: i64 = 86_400;
const YEAR_SECONDS: i64 = 365 * DAY_SECONDS;
/// The longest that an authorization may be valid (protocol, section 3).
const QUOTE_SECONDS_MAX: i64 = 3_600;
/// The largest purchase, in credits: ten million dollars.
const PURCHASE_CREDITS_MAX: i64 = 1_000_000_000;
const OMNIBUS_SENDERS_MAX: usize = 10_000;
const KIB: usize = 1_024;
const MIB: usize = 1_024 * KIB;
/// The most requests or connections at one time.
const AT_ONCE_MAX: usize = 65_536;

/// A whole, checked configuration.
#[derive(Debug)]
pub struct Config {
    pub server: Server,
    /// The SQLite file.
    pub database_file: PathBuf,
    pub keys_directory: PathBuf,
    pub session: Session,
    pub purchase: Purchase,
    pub limits: Limits,
    pub networks: Vec<Network>,
    pub catalogue: Catalogue,
}

/// How long signatures and answers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    pub lifetime_seconds: i64,
    /// How long beyond its session's expiry a stored reply is kept.
    pub replay_seconds: i64,
}

/// What can be bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// Purchases are multiples of it; so are the bounds.
    pub step: Credits,
    pub min: Credits,
    pub max: Credits,
    pub quote_seconds: i64,
    pub settle_wait: Duration,
    pub transfer_policy: TransferPolicy,
}

/// The bounds on what strangers can make the service do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub request_bytes_max: usize,
    pub response_bytes_max: usize,
    /// All stored replies together.
    pub stored_replies_bytes_max: u64,
    /// For each client.
    pub failed_signatures_per_minute: u32,
    /// Requests at work at one time.
    pub in_flight_max: usize,
    /// Those of them that bring a payment.
    pub payments_in_flight_max: usize,
    pub connections_max: usize,
    /// Trusted proxies have no such bound.
    pub connections_per_peer_max: usize,
}

impl TryFrom<raw::Raw> for Config {
    type Error = Vec<Problem>;

    fn try_from(raw: raw::Raw) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let server = server::server(&raw.server, &mut problems);
        let database_file = server::database_file(&raw.database, &mut problems);
        let keys_directory = raw.keys.directory;
        if keys_directory.as_os_str().is_empty() {
            problems.add("keys.directory", "names no directory");
        }
        let session = session(&raw.session, &mut problems);
        let purchase = purchase(&raw.purchase, &mut problems);
        let limits = limits(&raw.limits, &mut problems);
        let networks = network::networks(&raw.network, &mut problems);
        let catalogue = tool::catalogue(raw.tool, &mut problems);
        problems.into_result()?;
        let whole = || {
            Some(Self {
                server: server?,
                database_file,
                keys_directory,
                session,
                purchase: purchase?,
                limits,
                networks,
                catalogue: catalogue?,
            })
        };
        Ok(whole().expect("what is absent has left a problem"))
    }
}

fn session(raw: &raw::Session, problems: &mut Problems) -> Session {
    Session {
        lifetime_seconds: problems.within(
            "session.lifetime_seconds",
            raw.lifetime_seconds,
            (1, DAY_SECONDS),
        ),
        replay_seconds: problems.within(
            "session.replay_seconds",
            raw.replay_seconds,
            (1, YEAR_SECONDS),
        ),
    }
}

fn purchase(raw: &raw::Purchase, problems: &mut Problems) -> Option<Purchase> {
    let mut credits = |name: &str, credits: i64| {
        let key = format!("purchase.{name}");
        Credits::from_whole(problems.within(key, credits, (1, PURCHASE_CREDITS_MAX)))
    };
    let step = credits("step_credits", raw.step_credits);
    let min = credits("min_credits", raw.min_credits);
    let max = credits("max_credits", raw.max_credits);
    if raw.step_credits > 0 {
        for (name, credits) in [
            ("min_credits", raw.min_credits),
            ("max_credits", raw.max_credits),
        ] {
            if credits % raw.step_credits != 0 {
                let what = format_args!("is not a multiple of step_credits, {}", raw.step_credits);
                problems.add_value(format!("purchase.{name}"), credits, what);
            }
        }
    }
    if raw.min_credits > raw.max_credits {
        let what = format_args!("is above max_credits, {}", raw.max_credits);
        problems.add_value("purchase.min_credits", raw.min_credits, what);
    }
    let quote_seconds = problems.within(
        "purchase.quote_seconds",
        raw.quote_seconds,
        (1, QUOTE_SECONDS_MAX),
    );
    let settle_wait_seconds = problems.within(
        "purchase.settle_wait_seconds",
        raw.settle_wait_seconds,
        (0, 60),
    );
    Some(Purchase {
        step: step?,
        min: min?,
        max: max?,
        quote_seconds,
        settle_wait: Duration::from_secs(settle_wait_seconds),
        transfer_policy: transfer_policy(raw, problems)?,
    })
}

fn transfer_policy(raw: &raw::Purchase, problems: &mut Problems) -> Option<TransferPolicy> {
    let plain_transfers = match raw.plain_transfers.as_str() {
        "claim" => Ok(PlainTransfers::Claim),
        "credit" => Ok(PlainTransfers::Credit),
        "suspense" => Ok(PlainTransfers::Suspense),
        _ => Err("is neither \"claim\", \"credit\" nor \"suspense\""),
    };
    let key = "purchase.plain_transfers";
    let plain_transfers = problems.take(key, &raw.plain_transfers, plain_transfers);
    let key = "purchase.min_transfer_credits";
    let min = problems.within(key, raw.min_transfer_credits, (0, PURCHASE_CREDITS_MAX));
    let key = "purchase.omnibus_senders";
    if raw.omnibus_senders.len() > OMNIBUS_SENDERS_MAX {
        problems.add(
            key,
            format_args!("may have {OMNIBUS_SENDERS_MAX} addresses"),
        );
    }
    let senders = raw.omnibus_senders.iter().enumerate();
    let senders = senders.filter_map(|(index, sender)| {
        network::address(&format!("{key}[{index}]"), sender, problems)
    });
    Some(TransferPolicy {
        omnibus_senders: senders.collect(),
        plain_transfers: plain_transfers?,
        min: Credits::from_whole(min)?,
    })
}

fn limits(raw: &raw::Limits, problems: &mut Problems) -> Limits {
    let request_bytes_max = problems.within(
        "limits.request_bytes_max",
        raw.request_bytes_max,
        (KIB, 16 * MIB),
    );
    let response_bytes_max = problems.within(
        "limits.response_bytes_max",
        raw.response_bytes_max,
        (KIB, 16 * MIB),
    );
    let stored_replies_bytes_max = problems.within(
        "limits.stored_replies_bytes_max",
        raw.stored_replies_bytes_max,
        (MIB as u64, 1 << 40),
    );
    let failed_signatures_per_minute = problems.within(
        "limits.failed_signatures_per_minute",
        raw.failed_signatures_per_minute,
        (1, 1_000_000),
    );
    let mut at_once =
        |name: &str, count| problems.within(format_args!("limits.{name}"), count, (1, AT_ONCE_MAX));
    Limits {
        request_bytes_max,
        response_bytes_max,
        stored_replies_bytes_max,
        failed_signatures_per_minute,
        in_flight_max: at_once("in_flight_max", raw.in_flight_max),
        payments_in_flight_max: at_once("payments_in_flight_max", raw.payments_in_flight_max),
        connections_max: at_once("connections_max", raw.connections_max),
        connections_per_peer_max: at_once("connections_per_peer_max", raw.connections_per_peer_max),
    }
}
