//! The configuration as it is written: names of keys, types, defaults. No meaning yet.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

/// Every table of the file.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) server: Server,
    pub(super) database: Database,
    pub(super) keys: Keys,
    pub(super) session: Session,
    pub(super) purchase: Purchase,
    pub(super) limits: Limits,
    pub(super) network: Vec<Network>,
    pub(super) tool: Vec<Tool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Server {
    pub(super) listen: String,
    pub(super) metrics_listen: Option<String>,
    pub(super) public_url: String,
    pub(super) shutdown_seconds: u64,
    pub(super) trusted_proxies: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Database {
    pub(super) url: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Keys {
    pub(super) directory: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Session {
    pub(super) lifetime_seconds: i64,
    pub(super) replay_seconds: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Purchase {
    pub(super) step_credits: i64,
    pub(super) min_credits: i64,
    pub(super) max_credits: i64,
    pub(super) quote_seconds: i64,
    pub(super) settle_wait_seconds: u64,
    pub(super) plain_transfers: String,
    pub(super) min_transfer_credits: i64,
    pub(super) omnibus_senders: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    pub(super) request_bytes_max: usize,
    pub(super) response_bytes_max: usize,
    pub(super) stored_replies_bytes_max: u64,
    pub(super) failed_signatures_per_minute: u32,
    pub(super) in_flight_max: usize,
    pub(super) payments_in_flight_max: usize,
    pub(super) connections_max: usize,
    pub(super) connections_per_peer_max: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Network {
    pub(super) id: String,
    pub(super) rpc_url: OneOrMore,
    #[serde(default = "one_confirmation")]
    pub(super) confirmations: NumberOrName,
    pub(super) pay_to: String,
    #[serde(default = "local")]
    pub(super) facilitator: Facilitators,
    pub(super) relayer_key_file: Option<Files>,
    pub(super) relayer_password_file: Option<Files>,
    pub(super) refund_key_file: Option<PathBuf>,
    pub(super) refund_password_file: Option<PathBuf>,
    #[serde(default = "ten_thousand")]
    pub(super) refund_cap_credits: i64,
    #[serde(default = "fifty")]
    pub(super) relayer_low_settlements: u32,
    #[serde(default = "five_hundred")]
    pub(super) max_fee_gwei: u64,
    #[serde(default)]
    pub(super) erc6492_factories: Vec<String>,
    pub(super) purchase_contract: Option<String>,
    pub(super) watch_from_block: Option<u64>,
    #[serde(default = "sixty_four")]
    pub(super) reorg_blocks_max: u64,
    pub(super) anchor_contract: Option<String>,
    #[serde(default)]
    pub(super) asset: Vec<Asset>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "must be a URL or a list of URLs")]
pub(super) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "must be a file or a list of files")]
pub(super) enum Files {
    One(PathBuf),
    More(Vec<PathBuf>),
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "must be \"local\", the URL of a facilitator, a table of one, or a list of these"
)]
pub(super) enum Facilitators {
    One(Facilitator),
    More(Vec<Facilitator>),
}

/// A table is read key by key later: here, a mistake in one would hide its name.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "must be \"local\", the URL of a facilitator, or a table of one"
)]
pub(super) enum Facilitator {
    Name(String),
    Table(BTreeMap<String, TextOrNumber>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "must be a text or a number")]
pub(super) enum TextOrNumber {
    Number(u64),
    Text(String),
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "must be a number of blocks, \"safe\" or \"finalized\""
)]
pub(super) enum NumberOrName {
    Number(u64),
    Name(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asset {
    pub(super) address: String,
    pub(super) symbol: String,
    pub(super) decimals: u64,
    pub(super) usd_rate: Option<String>,
    #[serde(default = "eip3009")]
    pub(super) transfer_method: String,
    pub(super) eip712_name: Option<String>,
    pub(super) eip712_version: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tool {
    pub(super) slug: String,
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) description: String,
    pub(super) base_url: String,
    #[serde(default)]
    pub(super) allow_private: bool,
    #[serde(default)]
    pub(super) action: Vec<Action>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Action {
    pub(super) slug: String,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default = "post")]
    pub(super) method: String,
    #[serde(default = "root")]
    pub(super) path: String,
    pub(super) price_credits: String,
    #[serde(default = "ten_seconds")]
    pub(super) timeout_ms: u64,
    #[serde(default = "yes")]
    pub(super) x402: bool,
    #[serde(default)]
    pub(super) settle_first: bool,
    #[serde(default)]
    pub(super) parameters: BTreeMap<String, serde_json::Value>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:4020".into(),
            metrics_listen: None,
            public_url: "http://127.0.0.1:4020".into(),
            shutdown_seconds: 30,
            trusted_proxies: Vec::new(),
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: "sqlite://counterfoil.db".into(),
        }
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            directory: "keys".into(),
        }
    }
}

impl Default for Session {
    fn default() -> Self {
        Self {
            lifetime_seconds: 900,
            replay_seconds: 86_400,
        }
    }
}

impl Default for Purchase {
    fn default() -> Self {
        Self {
            step_credits: 100,
            min_credits: 100,
            max_credits: 1_000_000,
            quote_seconds: 300,
            settle_wait_seconds: 4,
            plain_transfers: "claim".into(),
            min_transfer_credits: 1,
            omnibus_senders: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes_max: 1_048_576,
            response_bytes_max: 1_048_576,
            stored_replies_bytes_max: 1_073_741_824,
            failed_signatures_per_minute: 300,
            in_flight_max: 1_024,
            payments_in_flight_max: 256,
            connections_max: 4_096,
            connections_per_peer_max: 1_024,
        }
    }
}

fn one_confirmation() -> NumberOrName {
    NumberOrName::Number(1)
}

fn five_hundred() -> u64 {
    500
}

fn ten_thousand() -> i64 {
    10_000
}

fn sixty_four() -> u64 {
    64
}

fn fifty() -> u32 {
    50
}

fn local() -> Facilitators {
    Facilitators::One(Facilitator::Name("local".into()))
}

fn eip3009() -> String {
    "eip3009".into()
}

fn post() -> String {
    "POST".into()
}

fn root() -> String {
    "/".into()
}

fn ten_seconds() -> u64 {
    10_000
}

fn yes() -> bool {
    true
}
