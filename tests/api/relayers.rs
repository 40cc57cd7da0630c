//! Several accounts pay the gas: they share the load, and one without gas stops nobody. Their keys may
//! be encrypted.

use std::{collections::BTreeSet, fs, net::TcpListener, sync::Arc, time::Duration};

use alloy::{
    consensus::{SignableTransaction, TxEnvelope},
    eips::eip2718::Decodable2718,
    primitives::{Address, U256},
};
use serde_json::json;

use crate::support::{
    Chain, House, Payment, Request, Setup, Wallet, house::write_secret, run, until,
};

const GWEI: u64 = 1_000_000_000;
const SOON: (&str, &str) = ("settle_wait_seconds = 20", "settle_wait_seconds = 1");

/// A house with two relayers, in the order of the configuration.
async fn two(setup: Setup) -> (House, [Address; 2]) {
    let mut house = House::prepare(setup).await;
    let second = house.add_relayer("second.key").await;
    let key_file = format!(
        "relayer_key_file = \"{}\"",
        house.path("relayer.key").display()
    );
    let key_files = format!(
        "relayer_key_file = [\"{}\", \"second.key\"]",
        house.path("relayer.key").display()
    );
    house.configure(&key_file, &key_files);
    house.start().await;
    let relayers = [house.relayer(), second];
    (house, relayers)
}

async fn payers(house: &House, count: usize) -> Vec<(Wallet, Payment)> {
    let mut payers = Vec::with_capacity(count);
    for _ in 0..count {
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let payment = house.quote(&wallet, 100).await;
        payers.push((wallet, payment));
    }
    payers
}

fn requests(payers: &[(Wallet, Payment)]) -> Vec<Request> {
    let requests = payers.iter();
    let requests = requests.map(|(wallet, payment)| Request::purchase(wallet, 100, payment));
    requests.collect()
}

/// Whose transactions there are.
async fn signers(house: &House) -> BTreeSet<Address> {
    let relayed = house.relayed().await;
    relayed.iter().map(|relayed| relayed.relayer).collect()
}

async fn credited_once(house: &House, payers: &[(Wallet, Payment)]) {
    let books = house.settled_books().await;
    for (wallet, _) in payers {
        assert_eq!(books.units(wallet), 1_000_000);
    }
    assert_eq!(U256::from(books.cash()), house.received().await);
}

async fn drain(house: &House, relayer: Address, left: U256) {
    let set = house.chain.rpc("anvil_setBalance", json!([relayer, left]));
    let () = set.await.unwrap();
}

#[test]
fn two_relayers_share_twenty_purchases_at_once() {
    run(async {
        let (house, relayers) = two(Setup::default()).await;
        let payers = payers(&house, 20).await;
        let requests = requests(&payers);
        for reply in house.sender().send_all(&requests).await {
            let reply = reply.unwrap();
            assert!(matches!(reply.status, 200 | 202), "{}", reply.text());
        }
        for request in &requests {
            house.outcome(request).await.expect(200);
        }
        assert_eq!(signers(&house).await, BTreeSet::from(relayers));
        let relayed = house.relayed().await;
        assert_eq!(relayed.len(), 20, "one transaction each");
        credited_once(&house, &payers).await;
    });
}

#[test]
fn relayers_that_are_killed_in_the_middle_credit_every_purchase_once() {
    run(async {
        for pause_ms in [20, 60, 150] {
            let (mut house, relayers) = two(Setup::default()).await;
            let payers = payers(&house, 20).await;
            let requests = requests(&payers);
            let sender = house.sender();
            let sent = requests.clone();
            let storm = tokio::spawn(async move { sender.send_all(&sent).await });
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            house.kill_9().await;
            storm.await.unwrap();
            house.start().await;
            house.sender().send_all(&requests).await;
            for request in &requests {
                house.outcome(request).await.expect(200);
            }
            assert_eq!(signers(&house).await, BTreeSet::from(relayers));
            credited_once(&house, &payers).await;
        }
    });
}

#[test]
fn a_relayer_without_gas_is_passed_over_and_told_of() {
    run(async {
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let metrics = port.local_addr().unwrap();
        drop(port);
        let setup = Setup::default().with(
            "listen = \"127.0.0.1:0\"",
            &format!("listen = \"127.0.0.1:0\"\nmetrics_listen = \"{metrics}\""),
        );
        let (mut house, [first, second]) = two(setup).await;
        let ready = house.get("/readyz").await.expect(200).json;
        assert_eq!(ready, json!({ "status": "ready" }));

        drain(&house, first, U256::ZERO).await;
        let payers = payers(&house, 4).await;
        for request in requests(&payers) {
            house.outcome(&request).await.expect(200);
        }
        assert_eq!(signers(&house).await, BTreeSet::from([second]));
        credited_once(&house, &payers).await;

        house.restart().await;
        let warned = async || {
            let ready = house.get("/readyz").await.expect(200).json;
            assert_eq!(ready["status"], "ready");
            ready["warnings"].clone()
        };
        until("no warning", async || warned().await.is_array()).await;
        let warnings = warned().await;
        let [warning] = warnings.as_array().unwrap().as_slice() else {
            panic!("{warnings}");
        };
        let warning = warning.as_str().unwrap();
        let relayer = format!("{first:#x}");
        for named in [
            &*relayer,
            "eip155:84532",
            "less than 50 settlements",
            "send it gas",
        ] {
            assert!(warning.contains(named), "{named}: {warning}");
        }
        let metrics = house.http.get(format!("http://{metrics}/metrics"));
        let metrics = metrics.send().await.unwrap().text().await.unwrap();
        let value = |name: &str, relayer: Address| {
            let series = format!("{name}{{network=\"eip155:84532\",relayer=\"{relayer:#x}\"}} ");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
            line.unwrap_or_else(|| panic!("{series}\n{metrics}"))
                .parse::<f64>()
                .unwrap()
        };
        assert!(value("relayer_balance_wei", first) < 1.0);
        assert!(value("relayer_balance_wei", second) > 1e18);
        assert!(value("relayer_low_gas", first) > 0.5 && value("relayer_low_gas", second) < 0.5);
        assert!(value("relayer_open_transactions", first) < 0.5);

        house.chain.fund_gas(first).await.unwrap();
        until("still warned", async || warned().await.is_null()).await;
    });
}

#[test]
fn without_gas_anywhere_payments_wait_for_some() {
    run(async {
        let (house, relayers) = two(Setup::default().with(SOON.0, SOON.1)).await;
        for relayer in relayers {
            drain(&house, relayer, U256::ZERO).await;
        }
        let payers = payers(&house, 1).await;
        let request = &requests(&payers)[0];
        house.send(request).await.expect(202);
        assert_eq!(house.relayed().await, []);
        let log = house.stderr();
        for relayer in relayers {
            assert!(
                log.contains(&relayer.to_string()),
                "{relayer} is not in {log}"
            );
        }
        house.chain.fund_gas(relayers[1]).await.unwrap();
        house.outcome(request).await.expect(200);
        assert_eq!(signers(&house).await, BTreeSet::from([relayers[1]]));
        credited_once(&house, &payers).await;
    });
}

#[test]
fn what_a_relayer_signs_never_costs_more_together_than_it_holds() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let house = House::with(Setup::on(chain).with(SOON.0, SOON.1)).await;
        let payers = payers(&house, 2).await;
        house.rich(100).await;
        let cost = envelope(&house.relayed().await[0].raw);
        let cost = cost.max_fee_per_gas * u128::from(cost.gas_limit);
        house.chain.set_automine(false).await.unwrap();
        until("not closed", async || house.open_relayed().await == 0).await;
        // Enough for one of two.
        drain(&house, house.relayer(), U256::from(cost * 3 / 2)).await;
        let mut ids = Vec::new();
        for reply in house.sender().send_all(&requests(&payers)).await {
            ids.push(reply.unwrap().expect(202).json["purchase_id"].clone());
        }
        assert_eq!(
            house.relayed().await.len(),
            2,
            "one before, and one of the two"
        );
        house.chain.set_automine(true).await.unwrap();
        house.chain.mine(1).await.unwrap();
        house.chain.fund_gas(house.relayer()).await.unwrap();
        for id in &ids {
            house.becomes(id, "credited").await;
        }
        credited_once(&house, &payers).await;
    });
}

#[test]
fn a_stuck_transaction_is_replaced_by_the_key_that_signed_it() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let (house, relayers) = two(Setup::on(chain).with(SOON.0, SOON.1)).await;
        let payers = payers(&house, 2).await;
        house.chain.set_automine(false).await.unwrap();
        let mut ids = Vec::new();
        for reply in house.sender().send_all(&requests(&payers)).await {
            ids.push(reply.unwrap().expect(202).json["purchase_id"].clone());
        }
        let first = house.relayed().await;
        assert_eq!(signers(&house).await, BTreeSet::from(relayers));
        assert_eq!(first.len(), 2);
        house.chain.set_next_base_fee(20 * GWEI).await.unwrap();
        house.chain.mine(1).await.unwrap();
        until("not both signed again", async || {
            house.replaced().await.len() == 2
        })
        .await;
        let second = house.relayed().await;
        assert_eq!(second.len(), 2);
        for (before, now) in first.iter().zip(&second) {
            assert_eq!(before.relayer, now.relayer);
            assert_ne!(before.hash, now.hash);
            assert_eq!(signer(&now.raw), now.relayer);
            assert_eq!(envelope(&before.raw).nonce, envelope(&now.raw).nonce);
        }
        house.chain.mine(1).await.unwrap();
        for id in &ids {
            house.becomes(id, "credited").await;
        }
        credited_once(&house, &payers).await;
    });
}

fn envelope(raw: &[u8]) -> alloy::consensus::TxEip1559 {
    let envelope = TxEnvelope::decode_2718(&mut &raw[..]).unwrap();
    envelope.as_eip1559().unwrap().tx().clone()
}

fn signer(raw: &[u8]) -> Address {
    let digest = envelope(raw).signature_hash();
    let signed = TxEnvelope::decode_2718(&mut &raw[..]).unwrap();
    let signature = signed.signature();
    signature.recover_address_from_prehash(&digest).unwrap()
}

/// The key 0x22…22 under the password "correct horse", by Python's eth-account.
const KEYSTORE: &str = r#"{"address": "1563915e194D8CfBA1943570603F7606A3115508",
"crypto": {"cipher": "aes-128-ctr", "cipherparams": {"iv": "b5ea66bde770a16c4c4e92eb6aad7566"},
"ciphertext": "4061992781ffda2e7501026590f12271ba346208736365901c61b70a7aa5e3c9", "kdf": "scrypt",
"kdfparams": {"dklen": 32, "n": 8192, "r": 8, "p": 1, "salt": "e37e694c2c4416fddc075d3c17f65c5d"},
"mac": "45e0bea551690385c1713e3b458b66940dbbe25d21d3e011ad6a43d0860ba3e0"},
"id": "b92029c6-c8f7-4738-9158-208fd946c49c", "version": 3}"#;

#[test]
fn a_relayers_key_may_be_a_keystore() {
    run(async {
        // Its account is in no other house on this node.
        let mut house = House::prepare(Setup::on(Arc::new(Chain::own().await))).await;
        write_secret(&house.path("relayer.key"), KEYSTORE);
        let relayer: Address = "0x1563915e194D8CfBA1943570603F7606A3115508"
            .parse()
            .unwrap();
        house.chain.fund_gas(relayer).await.unwrap();
        let refused = async |house: &House, named: &[&str]| {
            let (status, said) = house.refused().await;
            assert_eq!(status.code(), Some(1), "{said}");
            for named in named {
                assert!(said.contains(named), "{named} is not in {said}");
            }
            assert!(!said.contains("horse") && !said.contains("hush"), "{said}");
            assert!(!house.path("books.db").exists());
        };
        let both = ["relayer_password_file", "COUNTERFOIL_RELAYER_PASSWORD"];
        refused(&house, &["relayer.key", both[0], both[1]]).await;
        house.environment("COUNTERFOIL_RELAYER_PASSWORD", "hush");
        let wrong = "the password is wrong";
        refused(&house, &["relayer.key", wrong, both[1]]).await;
        house.environment("COUNTERFOIL_RELAYER_PASSWORD", "correct horse");
        house.start().await;
        house.rich(100).await;
        assert_eq!(signers(&house).await, BTreeSet::from([relayer]));
        house.terminate().await;

        // A file goes before the environment.
        let line = "facilitator = \"local\"";
        house.configure(
            line,
            &format!("{line}\nrelayer_password_file = \"password\""),
        );
        fs::remove_file(house.path("books.db")).unwrap();
        refused(&house, &["cannot read the password file password"]).await;
        write_secret(&house.path("password"), "hush\n");
        refused(&house, &["relayer.key", wrong, "the file password"]).await;
        write_secret(&house.path("password"), "correct horse\n");
        house.start().await;
        assert!(!house.stderr().contains("horse"));
        house.terminate().await;

        write_secret(&house.path("relayer.key"), &KEYSTORE[..200]);
        fs::remove_file(house.path("books.db")).unwrap();
        refused(&house, &["relayer.key", "it is not a keystore"]).await;
    });
}

#[test]
fn one_key_in_two_files_is_refused() {
    run(async {
        let house = House::prepare(Setup::default()).await;
        fs::copy(house.path("relayer.key"), house.path("second.key")).unwrap();
        let key_file = format!("\"{}\"", house.path("relayer.key").display());
        house.configure(&key_file, &format!("[{key_file}, \"second.key\"]"));
        let (status, said) = house.refused().await;
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(
            said.contains(&format!("{} twice", house.relayer())),
            "{said}"
        );
    });
}
