//! Clients nobody here wrote, and the examples, as processes of their own against the real binary
//! on a real node with the real USDC contract. `README.md` tells what each script does.
//!
//! `make setup` installs what they are made of.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say what broke by failing"
)]

#[expect(
    dead_code,
    unused_imports,
    reason = "the harness of tests/api, of which this needs a part"
)]
#[path = "../api/support/mod.rs"]
mod support;

mod agentpmt;
mod client;
mod examples;
mod facilitator;
mod foundation;
mod money;
mod permit2;
mod script;
