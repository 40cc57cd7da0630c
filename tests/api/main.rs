//! The real binary over HTTP, on a real node with the real USDC contract, from the outside.
//!
//! Each test has a service, a tool server, books and wallets of its own, so all of them run at
//! once; the node is shared, except by tests that stop it or its clock.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what broke by failing"
)]

mod support;

mod admin;
mod bad_input;
mod chain;
mod claims;
mod claims_bounded;
mod config;
mod contract_buys;
mod contract_wallets;
mod counterfactual;
mod crash;
mod deploy;
mod direct;
mod facilitator;
mod facilitator_crash;
mod failures;
mod gas_sponsoring;
mod http;
mod limits;
mod misreports;
mod payer_gas;
mod payments;
mod permit2;
mod permit2_reorganized;
mod permit2_watched;
mod prices;
mod purchase;
mod rates;
mod refunds;
mod relayers;
mod reorganizations;
mod reorganized_calls;
mod reorganized_transfers;
mod replay;
mod signatures;
mod spend;
mod tokens;
mod version_one;
mod watcher;
mod watcher_hostile;
