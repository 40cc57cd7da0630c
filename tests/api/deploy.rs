//! `counterfoil admin deploy`: the contracts at one address on every chain, deployed once however
//! often it is asked for and whatever breaks under way.

use std::sync::Arc;

use alloy::{
    primitives::{Address, Bytes},
    signers::local::PrivateKeySigner,
};
use counterfoil::chain::{Contract, DEPLOYMENT_PROXY};
use serde_json::{Value, json};

use crate::support::{
    Chain, Fault, House, Proxy, Setup,
    cli::{Ran, ended},
    random, run, until,
};

const OTHER_CHAIN: u64 = 8453;

/// A configured network and an account with gas; the service does not run.
struct Place {
    house: House,
    deployer: Address,
}

impl Place {
    async fn on(chain: Arc<Chain>) -> Self {
        Self::with(Setup::on(chain)).await
    }

    async fn own() -> Self {
        Self::on(Arc::new(Chain::own().await)).await
    }

    async fn with(setup: Setup) -> Self {
        let house = House::prepare(setup).await;
        let deployer = new_key(&house, "deployer.key");
        house.chain.fund_gas(deployer).await.unwrap();
        Self { house, deployer }
    }

    fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = vec!["admin", "deploy", "--json", "--config", "counterfoil.toml"];
        if !more.contains(&"--network") {
            arguments.extend(["--network", "eip155:84532"]);
        }
        if !more.contains(&"--dry-run") && !more.contains(&"--key-file") {
            arguments.extend(["--key-file", "deployer.key"]);
        }
        arguments.extend(more);
        arguments
    }

    async fn deploy(&self, more: &[&str]) -> Ran {
        self.house.run(&Self::arguments(more)).await
    }

    /// The runtime code at an address.
    async fn code(&self, address: Address) -> Bytes {
        let code = self
            .house
            .chain
            .rpc("eth_getCode", json!([address, "latest"]));
        code.await.unwrap()
    }

    async fn set_code(&self, address: Address, code: &str) {
        let set = self
            .house
            .chain
            .rpc("anvil_setCode", json!([address, code]));
        let () = set.await.unwrap();
    }

    /// How many transactions of the deployer's are in blocks.
    async fn sent(&self) -> Value {
        let count = json!([self.deployer, "latest"]);
        let count = self.house.chain.rpc("eth_getTransactionCount", count);
        count.await.unwrap()
    }
}

fn new_key(house: &House, file: &str) -> Address {
    let key = random();
    std::fs::write(house.path(file), hex::encode(key)).unwrap();
    PrivateKeySigner::from_slice(&key).unwrap().address()
}

fn text(address: Address) -> String {
    format!("{address:#x}")
}

fn statuses(ran: &Ran) -> Vec<&str> {
    let contracts = ran.json["contracts"].as_array().unwrap();
    contracts
        .iter()
        .map(|contract| contract["status"].as_str().unwrap())
        .collect()
}

#[test]
fn deploys_once_and_finds_it_ever_after() {
    run(async {
        let place = Place::own().await;
        let ran = place.deploy(&[]).await.expect(0);
        assert_eq!(statuses(&ran), ["deployed", "deployed"]);
        let [purchase, anchor] = Contract::ALL.map(|it| it.address(place.deployer));
        let json = &ran.json;
        assert_eq!(json["owner"], text(place.deployer));
        assert_eq!(json["deployer"], text(place.deployer));
        let settings =
            json!({ "purchase_contract": text(purchase), "anchor_contract": text(anchor) });
        assert_eq!(json["configuration"], settings);
        for (index, address) in [purchase, anchor].into_iter().enumerate() {
            let contract = &json["contracts"][index];
            assert_eq!(contract["address"], text(address));
            let transaction = contract["transaction"].as_str().unwrap().parse().unwrap();
            assert_eq!(place.house.chain.succeeded(transaction).await, Some(true));
            assert!(!place.code(address).await.is_empty());
        }
        // Told before anything was sent.
        let told = ran.stderr;
        assert!(
            told.starts_with(&format!("credits-purchase {purchase:#x}\n")),
            "{told}"
        );

        let again = place.deploy(&[]).await.expect(0);
        assert_eq!(statuses(&again), ["already_there", "already_there"]);
        assert_eq!(again.json["configuration"], settings);
        assert_eq!(place.sent().await, "0x2");
    });
}

#[test]
fn the_owner_decides_the_address_on_every_chain() {
    run(async {
        let here = Place::own().await;
        let there = Place::on(Arc::new(Chain::own_on(OTHER_CHAIN).await)).await;
        there.house.configure("eip155:84532", "eip155:8453");
        let owner = text(Address::repeat_byte(0x77));
        let here = here.deploy(&["--owner", &owner]).await.expect(0);
        let arguments = ["--owner", &owner, "--network", "eip155:8453"];
        let there = there.deploy(&arguments).await.expect(0);
        for ran in [&here, &there] {
            assert_eq!(statuses(ran), ["deployed", "deployed"]);
        }
        assert_ne!(here.json["deployer"], there.json["deployer"]);
        assert_eq!(here.json["configuration"], there.json["configuration"]);
    });
}

#[test]
fn the_owners_key_brings_what_the_configuration_says_to_the_contract() {
    run(async {
        let place = Place::own().await;
        let calls = |ran: &Ran| ran.json["owner_calls"].as_array().unwrap().clone();
        let one = ["--contract", "credits-purchase"];
        let ran = place.deploy(&one).await.expect(0);
        assert_eq!(statuses(&ran), ["deployed"]);
        let pay_to = text(place.house.pay_to);
        let usdc = "0x036cbd53842c5426634e7929541ec2318f3dcf7e";
        let wanted = [
            format!("setTreasury({pay_to})"),
            format!("setToken({usdc}, true)"),
        ];
        for (call, wanted) in calls(&ran).iter().zip(&wanted) {
            assert_eq!(call["call"], *wanted);
            assert_eq!(call["status"], "missing");
        }
        // Somebody else's key sets nothing.
        let stranger = new_key(&place.house, "stranger.key");
        place.house.chain.fund_gas(stranger).await.unwrap();
        let owner = text(place.deployer);
        let strangers = [
            "--key-file",
            "stranger.key",
            "--owner",
            &owner,
            "--configure",
        ];
        let ran = place.deploy(&strangers).await.expect(0);
        assert_eq!(statuses(&ran), ["already_there", "deployed"]);
        assert!(calls(&ran).iter().all(|call| call["status"] == "missing"));

        let ran = place.deploy(&["--configure"]).await.expect(0);
        assert_eq!(calls(&ran).len(), 2);
        assert!(calls(&ran).iter().all(|call| call["status"] == "made"));
        let ran = place.deploy(&["--configure"]).await.expect(0);
        assert_eq!(calls(&ran), [] as [Value; 0]);
        assert_eq!(place.sent().await, "0x3");
    });
}

#[test]
fn a_look_sends_nothing_and_needs_no_key() {
    run(async {
        let place = Place::own().await;
        let owner = text(place.deployer);
        let ran = place
            .deploy(&["--dry-run", "--owner", &owner])
            .await
            .expect(0);
        assert_eq!(statuses(&ran), ["not_there", "not_there"]);
        let gas = ran.json["contracts"][0]["gas_limit"].as_u64().unwrap();
        assert!((1_000_000..4_000_000).contains(&gas), "{gas}");
        assert_eq!(ran.json["owner_calls"].as_array().unwrap().len(), 2);
        assert!(
            place
                .code(Contract::CreditsPurchase.address(place.deployer))
                .await
                .is_empty()
        );
        place.deploy(&["--dry-run"]).await.failed(2, "NO_OWNER");
    });
}

#[test]
fn other_code_at_the_address_is_refused() {
    run(async {
        let place = Place::own().await;
        let address = Contract::CheckpointAnchor.address(place.deployer);
        place.set_code(address, "0x00").await;
        let ran = place.deploy(&[]).await.failed(1, "OTHER_CODE");
        assert_eq!(ran.json["error"]["address"], text(address));
        // The other one was not in the way.
        let ran = place.deploy(&["--contract", "credits-purchase"]).await;
        assert_eq!(statuses(&ran.expect(0)), ["already_there"]);
        assert_eq!(place.sent().await, "0x1");
    });
}

#[test]
fn a_chain_without_the_deployment_proxy_says_how_to_get_it() {
    run(async {
        let place = Place::own().await;
        for code in ["0x", "0x00"] {
            place.set_code(DEPLOYMENT_PROXY, code).await;
            let ran = place.deploy(&[]).await.failed(1, "NO_DEPLOYMENT_PROXY");
            let next = ran.json["error"]["next"].as_str().unwrap();
            assert!(next.contains("deterministic-deployment-proxy"), "{next}");
        }
        assert_eq!(place.sent().await, "0x0");
    });
}

#[test]
fn an_account_without_gas_is_told_how_much_it_needs() {
    run(async {
        let place = Place::own().await;
        let poor = new_key(&place.house, "deployer.key");
        let ran = place.deploy(&[]).await.failed(1, "NO_GAS");
        let next = ran.json["error"]["next"].as_str().unwrap();
        assert!(next.contains(&text(poor)) && next.contains("wei"), "{next}");
    });
}

#[test]
fn a_kill_before_the_receipt_deploys_once() {
    run(async {
        let place = Place::own().await;
        let chain = &place.house.chain;
        chain.set_automine(false).await.unwrap();
        let mut first = place.house.spawn(&Place::arguments(&[]));
        until("nothing is sent", async || pending(chain).await == 1).await;
        first.kill().await.unwrap();

        let second = place.house.spawn(&Place::arguments(&[]));
        // Whatever the second one sends has the account nonce of the first.
        until("not looked yet", async || {
            chain.mine(1).await.unwrap();
            place.sent().await == "0x2"
        })
        .await;
        let ran = ended(second).await.expect(0);
        assert_eq!(statuses(&ran)[1], "deployed");
        chain.set_automine(true).await.unwrap();
        let ran = place.deploy(&[]).await.expect(0);
        assert_eq!(statuses(&ran), ["already_there", "already_there"]);
        assert_eq!(place.sent().await, "0x2");
    });
}

#[test]
fn an_outcome_that_is_unknown_is_found_by_the_next_run() {
    run(async {
        let place = Place::own().await;
        let chain = &place.house.chain;
        chain.set_automine(false).await.unwrap();
        let anchor = ["--contract", "checkpoint-anchor", "--wait-seconds", "1"];
        for _ in 0..2 {
            let ran = place.deploy(&anchor).await.failed(3, "OUTCOME_UNKNOWN");
            assert!(ran.json["error"]["transaction"].is_string());
            assert_eq!(pending(chain).await, 1);
        }
        chain.mine(1).await.unwrap();
        let ran = place.deploy(&anchor).await.expect(0);
        assert_eq!(statuses(&ran), ["already_there"]);
        assert_eq!(place.sent().await, "0x1");
    });
}

#[test]
fn fees_that_rise_under_way_are_met() {
    run(async {
        let place = Place::own().await;
        let chain = &place.house.chain;
        chain.set_automine(false).await.unwrap();
        let anchor = ["--contract", "checkpoint-anchor"];
        let mut first = place.house.spawn(&Place::arguments(&anchor));
        until("nothing is sent", async || pending(chain).await == 1).await;
        first.kill().await.unwrap();
        chain.set_next_base_fee(20_000_000_000).await.unwrap();
        chain.mine(1).await.unwrap();
        assert_eq!(place.sent().await, "0x0");

        let second = place.house.spawn(&Place::arguments(&anchor));
        until("not mined", async || {
            chain.mine(1).await.unwrap();
            place.sent().await == "0x1"
        })
        .await;
        let ran = ended(second).await.expect(0);
        assert_eq!(statuses(&ran), ["deployed"]);
    });
}

#[test]
fn what_a_node_answers_to_a_broadcast_decides_nothing() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let proxy = Proxy::start(&chain).await;
        let setup = Setup::on(chain.clone()).with(chain.rpc_url().as_str(), &proxy.url);
        let place = Place::with(setup).await;
        let anchor = ["--contract", "checkpoint-anchor", "--wait-seconds", "3"];
        proxy.fail("eth_sendRawTransaction", Fault::Lost);
        place.deploy(&anchor).await.failed(3, "OUTCOME_UNKNOWN");
        proxy.fail("eth_sendRawTransaction", Fault::Unheard);
        let ran = place.deploy(&anchor).await.expect(0);
        assert_eq!(statuses(&ran), ["deployed"]);
        assert_eq!(place.sent().await, "0x1");
        proxy.cut();
        place.deploy(&anchor).await.failed(3, "NODE_UNREACHABLE");
        proxy.mend();
        proxy.fail("eth_chainId", Fault::Says("0x1"));
        place.deploy(&anchor).await.failed(1, "WRONG_CHAIN");
    });
}

#[test]
fn bad_usage_says_what_to_give() {
    run(async {
        let place = Place::on(Chain::shared().await).await;
        let other = ["--network", "eip155:1"];
        let ran = place
            .deploy(&other)
            .await
            .failed(2, "NETWORK_NOT_CONFIGURED");
        let next = ran.json["error"]["next"].as_str().unwrap();
        assert!(next.contains("eip155:84532"), "{next}");
        let missing = ["--key-file", "nowhere.key"];
        place.deploy(&missing).await.failed(2, "BAD_KEY_FILE");
        let relayers = ["--key-file", "./relayer.key"];
        place.deploy(&relayers).await.failed(2, "RELAYER_KEY");
        let copied = place.house.path("copy.key");
        std::fs::copy(place.house.path("relayer.key"), &copied).unwrap();
        let copy = ["--key-file", copied.to_str().unwrap()];
        place.deploy(&copy).await.failed(2, "RELAYER_KEY");
        let zero = text(Address::ZERO);
        place
            .deploy(&["--owner", &zero])
            .await
            .failed(2, "NO_OWNER");
        place
            .house
            .configure("confirmations = 1", "confirmation = 1");
        place.deploy(&[]).await.failed(2, "BAD_CONFIGURATION");
    });
}

/// Transactions that wait for a block.
async fn pending(chain: &Chain) -> u64 {
    let status: Value = chain.rpc("txpool_status", json!([])).await.unwrap();
    let pending = status["pending"].as_str().unwrap();
    u64::from_str_radix(pending.trim_start_matches("0x"), 16).unwrap()
}
