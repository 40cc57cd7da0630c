//! Prepaid credits for autonomous agents: bought over x402, spent one wallet signature a call.

pub mod app;
pub mod auth;
pub mod base;
pub mod client;
pub mod ledger;
pub mod payment;
pub mod store;
pub mod upstream;
pub mod x402;
