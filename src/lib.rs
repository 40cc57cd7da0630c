//! Prepaid credits for autonomous agents: bought over x402, spent one wallet signature a call.
//!
//! The crate is a house of floors, and arrows point down only: a module uses floors below its own,
//! and modules on one floor do not see each other (`tests/architecture.rs` keeps it so). Read from
//! the ground up to learn the rules, or from the top down to follow a request.
//!
//! | floor | modules | |
//! |---|---|---|
//! | 5 | [`app`] | configuration, wiring, commands; the only reader of the environment |
//! | 4 | [`http`], [`worker`], [`client`] | the ways in: requests, bounded loops, the SDK for agents |
//! | 3 | [`service`] | one file for each verb: the order of its checks and the moment of its commits |
//! | 2 | [`store`], [`chain`], [`upstream`], [`x402`] | the outside world: books on disk, EVM nodes, tools, the wire of x402 |
//! | 1 | [`ledger`], [`auth`], [`payment`] | decisions as values: no I/O, no clock, no randomness |
//! | 0 | [`base`] | values that cannot be wrong: credits, addresses, identifiers, time |
//!
//! `docs/ARCHITECTURE.md` walks one charge and one purchase through them.

// Here and not in Cargo.toml, since integration tests say what broke by failing.
#![warn(clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

pub mod app;
pub mod auth;
pub mod base;
pub mod chain;
pub mod client;
pub mod http;
pub mod ledger;
pub mod payment;
pub mod service;
pub mod store;
pub mod upstream;
pub mod worker;
pub mod x402;
