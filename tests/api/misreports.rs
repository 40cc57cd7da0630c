//! Nodes that say of a broadcast what is not so, and nodes that lag: none of it loses a payment or
//! pays for one twice.

use alloy::primitives::U256;

use crate::support::{Chain, Fault, House, Proxy, Setup, Wallet, run};

async fn wired_house() -> (House, Proxy) {
    let chain = Chain::shared().await;
    let proxy = Proxy::start(&chain).await;
    let setup =
        Setup::on(chain.clone()).with("settle_wait_seconds = 20", "settle_wait_seconds = 1");
    let setup = setup.with(chain.rpc_url().as_str(), &proxy.url);
    (House::with(setup).await, proxy)
}

/// Buys while one method fails so, and mends the line after the first answer. What was told, and
/// whether the calls were struck at all.
async fn buy_under(house: &House, proxy: &Proxy, method: &str, fault: Fault) -> u16 {
    let wallet = Wallet::random();
    house.chain_dollars(&wallet, 100).await;
    let payment = house.quote(&wallet, 100).await;
    proxy.fail(method, fault);
    let reply = house.pay(&wallet, 100, &payment).await;
    let struck = proxy.struck();
    assert!(struck.keys().any(|it| it.starts_with(method)), "{struck:?}");
    proxy.mend();
    let (status, id) = (reply.status, &reply.json["purchase_id"]);
    assert!(matches!(status, 200 | 202), "{fault:?}: {}", reply.text());
    house.becomes(id, "credited").await;
    status
}

/// That so many payments of 100 credits arrived, and each in one transaction.
async fn bought(house: &House, payments: u64) {
    let books = house.settled_books().await;
    assert_eq!(U256::from(books.cash()), house.received().await);
    assert_eq!(books.cash(), i64::try_from(payments * 1_000_000).unwrap());
    let relayed = u64::try_from(house.relayed().await.len()).unwrap();
    assert_eq!(relayed, payments);
}

#[test]
fn what_was_sent_and_denied_is_found_on_the_chain() {
    run(async {
        let (house, proxy) = wired_house().await;
        let words = [
            "nonce too low",
            "already known",
            "insufficient funds for gas * price + value",
            "replacement transaction underpriced",
            "intrinsic gas too low",
            "internal error",
        ];
        for message in words {
            let method = "eth_sendRawTransaction";
            let told = buy_under(&house, &proxy, method, Fault::Denied(message)).await;
            assert_eq!(told, 200, "{message}");
        }
        bought(&house, 6).await;
    });
}

#[test]
fn what_was_not_sent_is_sent_whatever_the_node_said() {
    run(async {
        let (house, proxy) = wired_house().await;
        let words = [
            "nonce too low",
            "already known",
            "insufficient funds for gas * price + value",
            "replacement transaction underpriced",
            "intrinsic gas too low",
        ];
        for message in words {
            let method = "eth_sendRawTransaction";
            let told = buy_under(&house, &proxy, method, Fault::Refused(message)).await;
            assert_eq!(told, 202, "{message}");
        }
        bought(&house, 5).await;
    });
}

#[test]
fn a_node_that_lags_delays_only() {
    run(async {
        let (house, proxy) = wired_house().await;
        for (method, fault) in [
            ("eth_getTransactionReceipt", Fault::Nothing),
            (
                "eth_getTransactionReceipt",
                Fault::Refused("header not found"),
            ),
            ("eth_getLogs", Fault::Refused("rate limit exceeded")),
            ("eth_getTransactionCount", Fault::Says("0x0")),
        ] {
            // Only what is not found at once is searched for.
            if method == "eth_getLogs" {
                proxy.fail("eth_getTransactionReceipt", Fault::Nothing);
            }
            buy_under(&house, &proxy, method, fault).await;
        }
        bought(&house, 4).await;
    });
}

#[test]
fn a_node_without_the_logs_of_a_block_proves_nothing() {
    run(async {
        let (house, proxy) = wired_house().await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let payment = house.quote(&wallet, 100).await;
        // A stranger settled it, in a transaction that nobody here knows.
        house.chain.front_run(&payment).await;
        proxy.fail("eth_getLogs", Fault::Empty);
        let reply = house.pay(&wallet, 100, &payment).await;
        reply.problem(503, "UNAVAILABLE");
        proxy.mend();
        house.pay(&wallet, 100, &payment).await.expect(200);
        let books = house.settled_books().await;
        assert_eq!(books.units(&wallet), 1_000_000);
        assert_eq!(U256::from(books.cash()), house.received().await);
    });
}
