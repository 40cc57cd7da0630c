//! What every test stands on. In reading order: [`chain`] the node, [`tools`] the tool server,
//! [`house`] the service with its configuration, [`wallet`] who signs, [`payment`] what is signed
//! over x402, [`contract_wallet`] who signs with code, [`onchain`] what payers and [`token`] what
//! others do on the chain and [`permit2`] through another contract, [`scene`] what is undone there,
//! [`facilitator`] who may settle in the service's place and [`proxy`] a bad line to the node,
//! [`client`] the requests and [`sender`] those that are sent again, [`books`] the database behind
//! them, [`suspense`] what is entered there, [`cli`] the command line beside it.

pub(crate) mod books;
pub(crate) mod chain;
pub(crate) mod cli;
pub(crate) mod client;
pub(crate) mod contract_wallet;
pub(crate) mod facilitator;
pub(crate) mod house;
pub(crate) mod misbehaving;
pub(crate) mod onchain;
pub(crate) mod payment;
pub(crate) mod permit2;
pub(crate) mod proxy;
pub(crate) mod scene;
pub(crate) mod sender;
pub(crate) mod suspense;
pub(crate) mod token;
pub(crate) mod tools;
pub(crate) mod wallet;

use std::{
    future::Future,
    sync::LazyLock,
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;

pub(crate) use books::Books;
pub(crate) use chain::Chain;
pub(crate) use client::{Call, Reply};
pub(crate) use contract_wallet::{ContractWallet, Temper};
pub(crate) use facilitator::{Does, Facilitator, Says};
pub(crate) use house::{House, Setup};
pub(crate) use payment::Payment;
pub(crate) use proxy::{Fault, Proxy};
pub(crate) use scene::{Paid, Scene};
pub(crate) use sender::{Request, Sender};
pub(crate) use suspense::Suspended;
pub(crate) use tools::Tools;
pub(crate) use wallet::Wallet;

/// One for all tests: the shared node's connections live as long as it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// Runs a test.
pub(crate) fn run(test: impl Future<Output = ()>) {
    RUNTIME.block_on(test);
}

/// Unix seconds.
#[expect(clippy::disallowed_methods, reason = "a client has a clock of its own")]
pub(crate) fn now() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.unwrap().as_secs()
}

/// 32 random bytes.
pub(crate) fn random() -> [u8; 32] {
    rand::random()
}

/// Looks again and again until it is so.
pub(crate) async fn until(not_so: &str, so: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !so().await {
        assert!(start.elapsed() < Duration::from_secs(20), "{not_so}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
