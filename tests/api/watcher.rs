//! The watcher: every transfer to a present or former `pay_to` is noticed, once, whatever happens to
//! nodes, blocks and the service meanwhile.

use std::sync::Arc;

use alloy::primitives::U256;

use crate::support::{
    Chain, Fault, House, Proxy, Setup, Wallet,
    onchain::{pull_step, settle_step},
    run, until,
};

const CREDIT: (&str, &str) = ("[purchase]", "[purchase]\nplain_transfers = \"credit\"");

fn crediting(setup: Setup) -> Setup {
    setup.with(CREDIT.0, CREDIT.1)
}

/// A house whose node is its own, and which credits plain transfers.
async fn own_house(edits: &[(&str, &str)]) -> House {
    let mut setup = crediting(Setup::on(Arc::new(Chain::own().await)));
    for (from, to) in edits {
        setup = setup.with(from, to);
    }
    House::with(setup).await
}

/// The same on the shared node, which it sees over a line that can fail.
async fn wired_house() -> (House, Proxy) {
    let (chain, proxy, setup) = wired().await;
    (
        House::with(setup.with(chain.rpc_url().as_str(), &proxy.url)).await,
        proxy,
    )
}

async fn wired() -> (Arc<Chain>, Proxy, Setup) {
    let chain = Chain::shared().await;
    let proxy = Proxy::start(&chain).await;
    (chain.clone(), proxy, crediting(Setup::on(chain)))
}

/// A wallet that paid so many credits to the house's `pay_to`, without a word to the service.
async fn paid(house: &House, credits: u64) -> Wallet {
    let paid = house.chain.paid_plainly(house.pay_to, credits * 10_000);
    paid.await.0
}

async fn has(house: &House, wallet: &Wallet, credits: i64) {
    until("it is not credited", async || {
        house.books().await.units(wallet) == credits * 10_000
    })
    .await;
}

async fn all_is_booked(house: &House) {
    let books = house.books().await;
    assert_eq!(U256::from(books.cash()), house.received().await);
}

#[test]
fn a_plain_transfer_waits_for_its_claim_by_default() {
    run(async {
        let house = House::new().await;
        let before = house.books().await;
        let wallet = paid(&house, 100).await;
        house.caught_up().await;
        assert_eq!(house.books().await, before);
        assert_eq!(before.units(&wallet), 0);
    });
}

#[test]
fn a_plain_transfer_is_credited_to_its_sender_if_the_operator_says_so() {
    run(async {
        let house = House::with(crediting(Setup::default())).await;
        let (one, other) = (paid(&house, 100).await, paid(&house, 7).await);
        has(&house, &one, 100).await;
        has(&house, &other, 7).await;
        house.chain.mint(one.address(), U256::from(50_000)).await;
        house
            .chain
            .transfer(one.address(), house.pay_to, 50_000)
            .await;
        has(&house, &one, 105).await;
        let books = house.books().await;
        assert_eq!(books.payments("transfer credited"), 3);
        all_is_booked(&house).await;
        let balance = house.balance(&one).await;
        assert_eq!(balance["grants"][0]["source"], "on_chain");
    });
}

#[test]
fn what_nobody_can_be_told_to_have_sent_is_put_to_suspense() {
    run(async {
        let exchange = Wallet::random();
        let senders = format!(
            "{}\nomnibus_senders = [\"{}\"]\nmin_transfer_credits = 5",
            CREDIT.1,
            exchange.name()
        );
        let house = House::with(Setup::default().with(CREDIT.0, &senders)).await;
        house
            .chain
            .mint(exchange.address(), U256::from(70_000))
            .await;
        house
            .chain
            .transfer(exchange.address(), house.pay_to, 70_000)
            .await;
        let small = house.chain.paid_plainly(house.pay_to, 49_999).await.0;
        let enough = paid(&house, 5).await;
        has(&house, &enough, 5).await;
        house.caught_up().await;
        let books = house.books().await;
        assert_eq!(books.suspense(), 70_000 + 49_999);
        assert_eq!((books.units(&exchange), books.units(&small)), (0, 0));
        all_is_booked(&house).await;

        let mode = CREDIT.1.replace("credit", "suspense");
        let house = House::with(Setup::default().with(CREDIT.0, &mode)).await;
        let wallet = paid(&house, 100).await;
        house.caught_up().await;
        let books = house.books().await;
        assert_eq!((books.suspense(), books.units(&wallet)), (1_000_000, 0));
        all_is_booked(&house).await;
    });
}

#[test]
fn less_than_a_unit_leaves_nothing_behind() {
    run(async {
        let lines = format!("{}\nmin_transfer_credits = 0", CREDIT.1);
        let setup = Setup::default().with(CREDIT.0, &lines);
        let house = House::with(setup.with("decimals = 6", "decimals = 18")).await;
        let unit = 1_000_000_000_000;
        let dust = house.chain.paid_plainly(house.pay_to, unit - 1).await.0;
        let more = house.chain.paid_plainly(house.pay_to, 2 * unit - 1).await.0;
        until("it is not credited", async || {
            house.books().await.units(&more) == 1
        })
        .await;
        house.caught_up().await;
        let books = house.books().await;
        assert_eq!(books.payments("transfer credited"), 1);
        assert_eq!((books.units(&dust), books.suspense()), (0, 0));
        assert_eq!((books.cash(), books.postings), (1, 1));
    });
}

#[test]
fn what_is_no_payment_is_ignored() {
    run(async {
        let house = House::with(crediting(Setup::default())).await;
        let (chain, wallet) = (&house.chain, Wallet::random());
        let before = house.books().await;
        // Nothing, out of nothing, of no configured token.
        chain.transfer(wallet.address(), house.pay_to, 0).await;
        chain.mint(house.pay_to, U256::from(10_000)).await;
        let said = chain.false_transfer(wallet.address(), house.pay_to, 1_000_000);
        assert_eq!(chain.succeeded(said.await).await, Some(true));
        house.caught_up().await;
        assert_eq!(house.books().await, before);
    });
}

#[test]
fn a_former_pay_to_stays_watched_and_passes_nothing_on_twice() {
    run(async {
        let mut house = House::with(crediting(Setup::default())).await;
        let former = house.pay_to;
        assert!(house.terminate().await.success());
        house.pay_to = Wallet::random().address();
        house.configure(&format!("{former:#x}"), &format!("{:#x}", house.pay_to));
        house.start().await;
        let (late, _) = house.chain.paid_plainly(former, 1_000_000).await;
        let other = paid(&house, 50).await;
        has(&house, &late, 100).await;
        has(&house, &other, 50).await;
        // The operator moves its own money.
        house.chain.transfer(former, house.pay_to, 1_000_000).await;
        house.caught_up().await;
        let books = house.books().await;
        assert_eq!(books.cash(), 1_500_000);
        all_is_booked(&house).await;
    });
}

#[test]
fn it_goes_on_where_it_stopped() {
    run(async {
        let mut house = House::with(crediting(Setup::default())).await;
        let mut wallets = vec![paid(&house, 1).await];
        for round in 0..4 {
            // Some are noticed before the kill, some after, and some while it is away.
            wallets.push(paid(&house, 1).await);
            if round % 2 == 0 {
                house.caught_up().await;
            }
            house.kill_9().await;
            wallets.push(paid(&house, 1).await);
            house.start().await;
        }
        for wallet in &wallets {
            has(&house, wallet, 1).await;
        }
        house.caught_up().await;
        let books = house.books().await;
        let count = i64::try_from(wallets.len()).unwrap();
        assert_eq!(books.payments("transfer credited"), count);
        all_is_booked(&house).await;
    });
}

#[test]
fn what_came_before_the_first_start_is_left_alone_unless_it_is_asked_for() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let house = House::prepare(crediting(Setup::on(chain.clone()))).await;
        let wallet = paid(&house, 100).await;
        let mut house = house;
        house.start().await;
        let later = paid(&house, 3).await;
        has(&house, &later, 3).await;
        assert_eq!(house.books().await.units(&wallet), 0);

        let from = (
            "confirmations = 1",
            "confirmations = 1\nwatch_from_block = 0",
        );
        let setup = crediting(Setup::on(chain)).with(from.0, from.1);
        let mut house = House::prepare(setup).await;
        let wallet = paid(&house, 100).await;
        house.start().await;
        has(&house, &wallet, 100).await;
        all_is_booked(&house).await;
    });
}

#[test]
fn a_node_that_gives_few_blocks_at_once_is_asked_for_few() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let proxy = Proxy::start(&chain).await;
        let setup = crediting(Setup::on(chain.clone()));
        let mut house = House::with(setup.with(chain.rpc_url().as_str(), &proxy.url)).await;
        proxy.fail("eth_getLogs", Fault::Narrow(7));
        house.kill_9().await;
        let mut wallets = Vec::new();
        for blocks in [0, 6, 7, 8, 120] {
            chain.mine(blocks).await.unwrap();
            wallets.push(paid(&house, 2).await);
        }
        house.start().await;
        for wallet in &wallets {
            has(&house, wallet, 2).await;
        }
        house.caught_up().await;
        all_is_booked(&house).await;
    });
}

#[test]
fn while_its_node_is_down_nothing_is_lost() {
    run(async {
        let (house, proxy) = wired_house().await;
        let before = paid(&house, 1).await;
        proxy.cut();
        let during = paid(&house, 2).await;
        until("no word of it", async || {
            house.stderr().contains("the network cannot be watched")
        })
        .await;
        proxy.mend();
        let after = paid(&house, 3).await;
        for (wallet, credits) in [(&before, 1), (&during, 2), (&after, 3)] {
            has(&house, wallet, credits).await;
        }
        until("no word of its return", async || {
            house.stderr().contains("is watched again")
        })
        .await;
        all_is_booked(&house).await;
    });
}

#[test]
fn nothing_is_lost_though_the_node_was_down_at_the_first_start() {
    run(async {
        let (chain, proxy, setup) = wired().await;
        proxy.cut();
        let house = House::with(setup.with(chain.rpc_url().as_str(), &proxy.url)).await;
        let wallet = paid(&house, 2).await;
        proxy.mend();
        has(&house, &wallet, 2).await;
        all_is_booked(&house).await;
    });
}

#[test]
fn answers_that_fail_half_way_lose_nothing() {
    run(async {
        let (house, proxy) = wired_house().await;
        for method in [
            "eth_getTransactionReceipt",
            "eth_getLogs",
            "eth_getBlockByNumber",
        ] {
            proxy.fail(method, Fault::Lost);
            let wallet = paid(&house, 1).await;
            let asked = proxy.count(method);
            until("not asked", async || proxy.count(method) > asked).await;
            assert_eq!(house.books().await.units(&wallet), 0);
            proxy.mend();
            has(&house, &wallet, 1).await;
        }
        all_is_booked(&house).await;
    });
}

#[test]
fn the_next_node_takes_over() {
    run(async {
        let (chain, proxy, setup) = wired().await;
        let urls = format!("[\"{}\", \"{}\"]", proxy.url, chain.rpc_url());
        let one = format!("\"{}\"", chain.rpc_url());
        let house = House::with(setup.with(&one, &urls)).await;
        let wallet = paid(&house, 1).await;
        has(&house, &wallet, 1).await;
        proxy.cut();
        let wallet = paid(&house, 1).await;
        has(&house, &wallet, 1).await;
        all_is_booked(&house).await;
    });
}

#[test]
fn only_confirmed_transfers_are_credited() {
    run(async {
        let house = own_house(&[("confirmations = 1", "confirmations = 3")]).await;
        let wallet = paid(&house, 100).await;
        let block = house.chain.head().await;
        house.chain.mine(1).await.unwrap();
        until("not watched", async || house.next_watched().await == block).await;
        assert_eq!(house.books().await.units(&wallet), 0);
        house.chain.mine(1).await.unwrap();
        has(&house, &wallet, 100).await;
        all_is_booked(&house).await;
    });
}

#[test]
fn a_transfer_that_is_undone_before_it_is_confirmed_was_never_there() {
    run(async {
        let house = own_house(&[("confirmations = 1", "confirmations = 3")]).await;
        let snapshot = house.chain.snapshot().await.unwrap();
        let undone = paid(&house, 100).await;
        house.chain.mine(1).await.unwrap();
        house.chain.revert(snapshot).await.unwrap();
        let stays = paid(&house, 30).await;
        house.chain.mine(4).await.unwrap();
        has(&house, &stays, 30).await;
        house.chain.mine(4).await.unwrap();
        assert_eq!(house.books().await.units(&undone), 0);
        all_is_booked(&house).await;
    });
}

#[test]
fn blocks_that_take_the_place_of_others_are_read_too() {
    run(async {
        for depth in [1, 5, 40] {
            let house = own_house(&[]).await;
            house.caught_up().await;
            let snapshot = house.chain.snapshot().await.unwrap();
            for _ in 0..depth {
                house.chain.mine(1).await.unwrap();
                if depth < 10 {
                    house.caught_up().await;
                }
            }
            house.caught_up().await;
            house.chain.revert(snapshot).await.unwrap();
            // Lower than what was read already.
            let wallet = paid(&house, 9).await;
            house.chain.mine(depth + 2).await.unwrap();
            has(&house, &wallet, 9).await;
            assert!(house.stderr().contains("are undone"), "{}", house.stderr());
            all_is_booked(&house).await;
        }
    });
}

#[test]
fn a_transfer_that_moves_to_another_block_is_credited_once() {
    run(async {
        let house = own_house(&[]).await;
        let wallet = Wallet::random();
        house.chain.mint(wallet.address(), U256::from(90_000)).await;
        let snapshot = house.chain.snapshot().await.unwrap();
        let first = house
            .chain
            .transfer(wallet.address(), house.pay_to, 90_000)
            .await;
        has(&house, &wallet, 9).await;
        house.chain.revert(snapshot).await.unwrap();
        house.chain.mine(3).await.unwrap();
        let again = house
            .chain
            .transfer(wallet.address(), house.pay_to, 90_000)
            .await;
        // The same transaction: one transfer, in another block.
        assert_eq!(first, again);
        house.chain.mine(3).await.unwrap();
        house.caught_up().await;
        assert_eq!(house.books().await.units(&wallet), 90_000);
        all_is_booked(&house).await;
    });
}

#[test]
fn a_reorganization_that_is_too_deep_is_an_alarm_and_read_from_the_bound() {
    run(async {
        let bound = (
            "confirmations = 1",
            "confirmations = 1\nreorg_blocks_max = 3",
        );
        let house = own_house(&[bound]).await;
        house.caught_up().await;
        let snapshot = house.chain.snapshot().await.unwrap();
        for _ in 0..12 {
            house.chain.mine(1).await.unwrap();
            house.caught_up().await;
        }
        house.chain.revert(snapshot).await.unwrap();
        house.chain.mine(10).await.unwrap();
        let wallet = paid(&house, 9).await;
        house.chain.mine(3).await.unwrap();
        has(&house, &wallet, 9).await;
        let log = house.stderr();
        assert!(log.contains("deeper than reorg_blocks_max"), "{log}");
        all_is_booked(&house).await;
    });
}

#[test]
fn every_transfer_of_a_transaction_counts_by_its_own_place() {
    run(async {
        let house = House::with(crediting(Setup::default())).await;
        let (one, other) = (Wallet::random(), Wallet::random());
        for wallet in [&one, &other] {
            house
                .chain
                .mint(wallet.address(), U256::from(1_000_000))
                .await;
        }
        let signed = house.quote(&one, 100).await;
        let pay_to = house.pay_to;
        house
            .chain
            .batch(async |caller| {
                house.chain.approve(other.address(), caller, 90_000).await;
                vec![
                    pull_step(other.address(), pay_to, 20_000),
                    settle_step(&signed),
                    pull_step(other.address(), pay_to, 20_000),
                    pull_step(other.address(), pay_to, 50_000),
                ]
            })
            .await;
        has(&house, &one, 100).await;
        has(&house, &other, 9).await;
        assert_eq!(house.books().await.payments("transfer credited"), 4);
        all_is_booked(&house).await;

        // Its authorization is counted with it.
        let again = house.pay(&one, 100, &signed).await.expect(200);
        assert_eq!(again.json["credits_purchased"], 100);
        assert_eq!(again.json.get("balance_credits"), None);
        assert_eq!(house.books().await.units(&one), 1_000_000);
    });
}

#[test]
fn a_transfer_under_an_intents_nonce_with_other_terms_is_a_payment_of_its_own() {
    run(async {
        let house = own_house(&[]).await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 200).await;
        let payment = house.quote(&wallet, 100).await;
        house.chain.set_automine(false).await.unwrap();
        let slow = house.sender();
        let request = crate::support::Request::purchase(&wallet, 100, &payment);
        let paying = tokio::spawn(async move { slow.send(&request).await });
        until("nothing is sent", async || {
            !house.relayed().await.is_empty()
        })
        .await;
        let mut twin = payment.clone();
        twin.authorization.value = U256::from(70_000);
        twin.sign(&wallet);
        house.chain.front_run(&twin).await;
        house.chain.mine(1).await.unwrap();
        has(&house, &wallet, 7).await;
        house.chain.set_automine(true).await.unwrap();
        let reply = paying.await.unwrap().unwrap();
        assert_eq!(reply.status, 402, "{}", reply.text());
        all_is_booked(&house).await;
    });
}

#[test]
fn purchases_and_the_watcher_at_once_count_each_payment_once() {
    run(async {
        let house = Arc::new(House::with(crediting(Setup::default())).await);
        let mut payers = Vec::new();
        for _ in 0..12 {
            let wallet = Wallet::random();
            house.chain_dollars(&wallet, 100).await;
            payers.push((house.quote(&wallet, 100).await, wallet));
        }
        let requests: Vec<_> = payers
            .iter()
            .map(|(payment, wallet)| crate::support::Request::purchase(wallet, 100, payment))
            .collect();
        let sender = house.sender();
        let paying = tokio::spawn(async move { sender.send_all(&requests).await });
        for (payment, _) in payers.iter().step_by(2) {
            house.chain.front_run(payment).await;
        }
        for reply in paying.await.unwrap() {
            reply.unwrap().expect(200);
        }
        for (_, wallet) in &payers {
            has(&house, wallet, 100).await;
        }
        house.caught_up().await;
        all_is_booked(&house).await;
    });
}

#[test]
fn its_progress_is_measured() {
    run(async {
        let mut house = House::prepare(crediting(Setup::default())).await;
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let listen = format!("listen = \"127.0.0.1:0\"\nmetrics_listen = \"{address}\"");
        house.configure("listen = \"127.0.0.1:0\"", &listen);
        house.start().await;
        house.caught_up().await;
        let url = format!("http://{address}/metrics");
        until("no figures", async || {
            let text = house.http.get(&url).send().await.unwrap();
            let text = text.text().await.unwrap();
            text.contains("watcher_blocks_behind{network=\"eip155:84532\"} 0")
                && text.contains("watcher_block{network=\"eip155:84532\"}")
                && text.contains("watcher_confirmed_age_seconds")
        })
        .await;
    });
}
