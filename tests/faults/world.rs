//! What all buyers share: the chain, the bad line to it, and the service wherever it runs now.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use alloy::primitives::Address;
use tokio::sync::watch;

use crate::{
    sent::Outbox,
    support::{Chain, House, Proxy, Sender, Setup, onchain::OnChainShop},
};

/// Time on the chain runs faster than outside while blocks are made by hand.
const QUOTE_SECONDS: u64 = 3_000;

/// Actions that take their time, so that a kill finds them running. The payment of one settles
/// before it runs.
const NAPS: (&str, &str) = (
    "[[tool]]\nslug = \"echo\"",
    r#"[[tool.action]]
slug = "nap"
path = "/nap"
price_credits = "3"

[[tool.action]]
slug = "first"
path = "/nap"
price_credits = "4"
settle_first = true

[[tool]]
slug = "echo""#,
);

pub(crate) struct World {
    pub(crate) chain: Arc<Chain>,
    pub(crate) proxy: Proxy,
    pub(crate) pay_to: Address,
    pub(crate) shop: OnChainShop,
    pub(crate) outbox: Outbox,
    service: watch::Sender<Sender>,
    kills: AtomicUsize,
    forgotten: AtomicUsize,
    dear: AtomicUsize,
    calm: AtomicBool,
}

impl World {
    pub(crate) async fn start() -> (Arc<Self>, House) {
        let chain = Arc::new(Chain::own().await);
        let proxy = Proxy::start(&chain).await;
        let patience = format!("settle_wait_seconds = 1\nquote_seconds = {QUOTE_SECONDS}");
        let setup = Setup::on(chain.clone())
            .with("settle_wait_seconds = 20", &patience)
            // All payers come from one address, and many are refused at the end.
            .with(
                "failed_signatures_per_minute = 300",
                "failed_signatures_per_minute = 100_000",
            )
            .with(NAPS.0, NAPS.1)
            .with(chain.rpc_url().as_str(), &proxy.url);
        let mut house = House::prepare(setup).await;
        add_relayer(&house).await;
        let shop = chain.open_shop(house.pay_to).await;
        let sells = format!(
            "confirmations = 1\npurchase_contract = \"{:#x}\"",
            shop.address
        );
        house.configure("confirmations = 1", &sells);
        house.start().await;
        let log = house.path("stderr.log");
        println!("the service's log: {}", log.display());
        let world = Self {
            chain,
            proxy,
            pay_to: house.pay_to,
            shop,
            outbox: Outbox::default(),
            service: watch::Sender::new(house.sender()),
            kills: AtomicUsize::new(0),
            forgotten: AtomicUsize::new(0),
            dear: AtomicUsize::new(0),
            calm: AtomicBool::new(false),
        };
        (Arc::new(world), house)
    }

    /// The way to the service as it ran last.
    pub(crate) fn service(&self) -> Sender {
        self.service.borrow().clone()
    }

    /// The service runs elsewhere now.
    pub(crate) fn moved(&self, house: &House) {
        self.service.send_replace(house.sender());
    }

    pub(crate) fn killed(&self) {
        self.kills.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn kills(&self) -> usize {
        self.kills.load(Ordering::Relaxed)
    }

    /// The node lost its pool.
    pub(crate) fn forgot(&self) {
        self.forgotten.fetch_add(1, Ordering::Relaxed);
    }

    /// Gas costs many times more than before.
    pub(crate) fn became_dear(&self) {
        self.dear.fetch_add(1, Ordering::Relaxed);
    }

    /// How often everything else went wrong than single calls of the node.
    pub(crate) fn mishaps(&self) -> [(usize, &'static str); 4] {
        let count = |it: &AtomicUsize| it.load(Ordering::Relaxed);
        [
            (count(&self.kills), "kills"),
            (count(&self.forgotten), "times the node forgot its pool"),
            (count(&self.dear), "times gas became dear"),
            (
                self.outbox.sent_again(),
                "transactions that payers sent again",
            ),
        ]
    }

    /// Whether nobody does harm any more.
    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    pub(crate) fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// Lets every authorization run out that was not used.
    pub(crate) async fn run_out(&self) {
        self.chain.increase_time(2 * QUOTE_SECONDS).await.unwrap();
    }
}

/// So that two share the load.
async fn add_relayer(house: &House) {
    house.add_relayer("second.key").await;
    let first = house.path("relayer.key").display().to_string();
    let one = format!("relayer_key_file = \"{first}\"");
    let two = format!("relayer_key_file = [\"{first}\", \"second.key\"]");
    house.configure(&one, &two);
}
