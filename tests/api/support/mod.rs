//! What every test stands on. In reading order: [`chain`] the node, [`tools`] the tool server,
//! [`house`] the service with its configuration, [`wallet`] who signs, [`payment`] what is signed
//! over x402, [`client`] the requests, [`books`] the database behind them.

pub mod books;
pub mod chain;
pub mod client;
pub mod house;
pub mod payment;
pub mod tools;
pub mod wallet;

use std::{future::Future, sync::LazyLock};

use tokio::runtime::Runtime;

pub use books::Books;
pub use chain::Chain;
pub use client::{Call, Reply};
pub use house::{House, Setup};
pub use payment::Payment;
pub use tools::Tools;
pub use wallet::Wallet;

/// One for all tests: the shared node's connections live as long as it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// Runs a test.
pub fn run(test: impl Future<Output = ()>) {
    RUNTIME.block_on(test);
}

/// Unix seconds.
#[expect(clippy::disallowed_methods, reason = "a client has a clock of its own")]
pub fn now() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.unwrap().as_secs()
}

/// 32 random bytes.
pub fn random() -> [u8; 32] {
    rand::random()
}
