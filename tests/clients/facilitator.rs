//! The x402 foundation's facilitator, unmodified, settles what its clients pay.

use std::process::Stdio;

use alloy::signers::local::PrivateKeySigner;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::{
    client::Client,
    money::{fund, paid},
    permit2,
    script::{TIME_MAX, inherited, installed, root, secret_key},
    support::{Chain, House, Request, Setup, Wallet, run},
};

/// The facilitator as a process of its own, which ends with this one.
struct Foundation {
    url: String,
    account: Wallet,
    lines: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Foundation {
    async fn start(chain: &Chain) -> Self {
        installed("tests/clients/typescript/node_modules/.package-lock.json");
        let account = Wallet(PrivateKeySigner::random());
        chain.fund_gas(account.address()).await.unwrap();
        let mut process = Command::new("node")
            .arg(root().join("tests/clients/typescript/facilitator.mjs"))
            .env_clear()
            .env("PATH", inherited("PATH"))
            .env("RPC_URL", chain.rpc_url().as_str())
            .env("PRIVATE_KEY", secret_key(&account))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut foundation = Self {
            url: String::new(),
            account,
            lines: BufReader::new(process.stdout.take().unwrap()).lines(),
            _process: process,
        };
        foundation.url = foundation.line().await;
        foundation
    }

    async fn line(&mut self) -> String {
        let line = timeout(TIME_MAX, self.lines.next_line()).await;
        let line = line.expect("the facilitator says nothing").unwrap();
        line.expect("the facilitator has ended")
    }

    /// What it answered to the next request for a settlement.
    async fn answered(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }

    /// A house in which it settles, and no relayer.
    async fn house(&self) -> House {
        House::with(self.setup()).await
    }

    fn setup(&self) -> Setup {
        let line = format!("facilitator = {:?}\n# no relayer_key_file", self.url);
        Setup::default().with("facilitator = \"local\"\nrelayer_key_file", &line)
    }

    async fn transactions(&self, chain: &Chain) -> u64 {
        let address = self.account.address();
        let count: alloy::primitives::U64 = chain
            .rpc(
                "eth_getTransactionCount",
                serde_json::json!([address, "latest"]),
            )
            .await
            .unwrap();
        count.to()
    }
}

#[test]
fn it_settles_a_purchase_of_its_client() {
    run(async {
        let chain = Chain::shared().await;
        let mut foundation = Foundation::start(&chain).await;
        let house = foundation.house().await;
        let wallet = fund(&house, 150).await;
        let script = Client::TypeScript.script("buy", &house, &wallet).await;
        let result = script.run().await.result();

        let transaction = paid(&house, &wallet, &[100], 50).await;
        assert_eq!(result["payment_response"]["transaction"], transaction);
        let answer = foundation.answered().await;
        assert_eq!(answer["success"], true, "{answer}");
        assert_eq!(answer["transaction"], transaction, "{answer}");
        assert_eq!(foundation.transactions(&chain).await, 1);
        assert_eq!(house.relayed().await, []);
        assert_eq!(house.balance(&wallet).await["available_credits"], 100);
        assert_eq!(house.books().await.payments("purchase credited"), 1);
    });
}

#[test]
fn it_settles_by_permit2() {
    run(async {
        let chain = Chain::shared().await;
        let mut foundation = Foundation::start(&chain).await;
        let house = permit2::house(foundation.setup()).await;
        let wallet = permit2::payer(&house, 150).await;
        let script = Client::TypeScript.script("buy", &house, &wallet).await;
        let result = script.run().await.result();

        let transaction = paid(&house, &wallet, &[100], 50).await;
        assert_eq!(result["payment_response"]["transaction"], transaction);
        let answer = foundation.answered().await;
        assert_eq!(answer["transaction"], transaction, "{answer}");
        assert_eq!(house.relayed().await, []);
        assert_eq!(house.books().await.payments("purchase credited"), 1);
    });
}

#[test]
fn it_settles_a_direct_call() {
    run(async {
        let chain = Chain::shared().await;
        let mut foundation = Foundation::start(&chain).await;
        let house = foundation.house().await;
        let wallet = fund(&house, 8).await;
        let script = Client::TypeScript
            .script("pay_per_call", &house, &wallet)
            .await;
        let result = script.run().await.result();

        let transaction = paid(&house, &wallet, &[5], 3).await;
        assert_eq!(result["payment_response"]["transaction"], transaction);
        assert_eq!(foundation.answered().await["transaction"], transaction);
        assert_eq!(house.books().await.payments("direct credited"), 1);
    });
}

/// Somebody else was faster. The facilitator says that it failed, and nothing is paid twice.
#[test]
fn its_failure_is_not_taken_for_the_payments() {
    run(async {
        let chain = Chain::shared().await;
        let mut foundation = Foundation::start(&chain).await;
        let house = foundation.house().await;
        let wallet = fund(&house, 100).await;
        let payment = house.quote(&wallet, 100).await;
        let body = serde_json::json!({
            "x402Version": 2,
            "paymentPayload": payment.document(),
            "paymentRequirements": payment.accepted,
        });
        let settle = format!("{}/settle", foundation.url);
        let mut successes = 0;
        for _ in 0..2 {
            let sent = house.http.post(&settle).body(body.to_string()).send().await;
            assert_eq!(sent.unwrap().status(), 200);
            successes += i32::from(foundation.answered().await["success"] == true);
        }
        assert_eq!(successes, 1);
        let request = Request::purchase(&wallet, 100, &payment);
        let reply = house.send(&request).await.expect(200);
        let transaction = paid(&house, &wallet, &[100], 0).await;
        assert_eq!(reply.json["transaction"], transaction);
        assert_eq!(house.books().await.units(&wallet), 1_000_000);
    });
}
