//! A chain that is undone after the service believed it.

use std::sync::Arc;

use alloy::primitives::U256;
use serde_json::Value;

use super::{Books, Call, Chain, House, Payment, Proxy, Setup, Wallet, until};

const SOON: (&str, &str) = ("settle_wait_seconds = 20", "settle_wait_seconds = 1");

/// A service, and the line over which it sees a node of its own.
pub(crate) struct Scene {
    pub(crate) house: House,
    pub(crate) line: Proxy,
    pub(crate) confirmations: u64,
}

/// A payment that is credited, and how the chain was before.
pub(crate) struct Paid {
    pub(crate) wallet: Wallet,
    pub(crate) payment: Payment,
    pub(crate) id: Value,
    pub(crate) before: U256,
}

impl Scene {
    pub(crate) async fn new(confirmations: u64) -> Self {
        Self::with(confirmations, &[]).await
    }

    pub(crate) async fn with(confirmations: u64, edits: &[(&str, &str)]) -> Self {
        let mut scene = Self::prepare(confirmations, edits).await;
        scene.house.start().await;
        scene
    }

    /// The service does not run yet.
    pub(crate) async fn prepare(confirmations: u64, edits: &[(&str, &str)]) -> Self {
        let chain = Arc::new(Chain::own().await);
        let line = Proxy::start(&chain).await;
        let depth = format!("confirmations = {confirmations}");
        let setup = Setup::on(chain.clone())
            .with(SOON.0, SOON.1)
            .with("confirmations = 1", &depth)
            .with(chain.rpc_url().as_str(), &line.url);
        let house = House::prepare(setup).await;
        for (from, to) in edits {
            house.configure(from, &to.replace("TOOLS", &house.tools.url));
        }
        Self {
            house,
            line,
            confirmations,
        }
    }

    pub(crate) async fn mine(&self, blocks: u64) {
        self.house.chain.mine(blocks).await.unwrap();
    }

    /// A payer of 100 credits, with the payment.
    pub(crate) async fn payer(&self) -> (Wallet, Payment) {
        let wallet = Wallet::random();
        self.house.chain_dollars(&wallet, 100).await;
        let payment = self.house.quote(&wallet, 100).await;
        (wallet, payment)
    }

    /// Buys 100 credits. Nobody looks after the transaction any more.
    pub(crate) async fn buy(&self) -> Paid {
        let (wallet, payment) = self.payer().await;
        let paid = self.pay(wallet, payment).await;
        self.closed().await;
        paid
    }

    pub(crate) async fn closed(&self) {
        let closed = async || self.house.open_relayed().await == 0;
        until("it is not closed", closed).await;
    }

    pub(crate) async fn pay(&self, wallet: Wallet, payment: Payment) -> Paid {
        let house = &self.house;
        let before = house.chain.snapshot().await.unwrap();
        let reply = house.pay(&wallet, 100, &payment).await;
        let id = reply.json["purchase_id"].clone();
        until("it is not credited", async || {
            if self.confirmations > 1 {
                self.mine(1).await;
            }
            house.status(&id).await["status"] == "credited"
        })
        .await;
        Paid {
            wallet,
            payment,
            id,
            before,
        }
    }

    /// Makes the chain what it was, out of the service's sight. Nothing is mined by itself from now on.
    pub(crate) async fn undo(&self, paid: &Paid) {
        self.line.cut();
        self.house.chain.revert(paid.before).await.unwrap();
        self.house.chain.set_automine(false).await.unwrap();
    }

    /// Mines more than was undone, and shows it to the service.
    pub(crate) async fn show(&self) {
        self.mine(30).await;
        self.line.mend();
    }

    /// Waits until the payment is taken back.
    pub(crate) async fn taken_back(&self, paid: &Paid) -> Books {
        self.house.becomes(&paid.id, "broadcast").await;
        self.house.books().await
    }

    /// Mines until the payment is credited again.
    pub(crate) async fn comes_again(&self, paid: &Paid) -> Books {
        until("not credited again", async || {
            self.mine(1).await;
            self.house.status(&paid.id).await["status"] == "credited"
        })
        .await;
        self.books().await
    }

    /// The books, which have what arrived.
    pub(crate) async fn books(&self) -> Books {
        let books = self.house.settled_books().await;
        assert_eq!(U256::from(books.cash()), self.house.received().await);
        books
    }

    /// Spends so many times 5 credits.
    pub(crate) async fn spend(&self, wallet: &Wallet, times: usize) {
        let session = self.house.session(wallet).await;
        for number in 0..times {
            let call = Call::forecast(wallet, &session, &format!("call-{number}"));
            self.house.call(&call).await.expect(200);
        }
    }

    /// Waits until the service has looked at the chain a few times more.
    pub(crate) async fn looks(&self) {
        let seen = self.line.count("eth_getBlockByNumber");
        let looked = async || self.line.count("eth_getBlockByNumber") >= seen + 6;
        until("it does not look", looked).await;
    }
}
