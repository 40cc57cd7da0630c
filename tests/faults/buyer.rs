//! One payment, from its quote to its end.

use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, U256};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    kind::Kind,
    support::{ContractWallet, House, Payment, Reply, Request, Temper, Wallet, client::PURCHASE},
    told::Told,
    transfers::Mark,
    world::World,
};

const NAP: &str = "/api/external/tools/weather/actions/nap/invoke";
const FIRST: &str = "/api/external/tools/weather/actions/first/invoke";
const COPIES_MAX: usize = 5;
const PATIENCE: Duration = Duration::from_mins(5);
/// How often somebody asks whose payment may come to nothing.
const ASKS_MAX: u32 = 12;
const CREDIT_UNITS: u64 = 10_000;
/// The reason while the node has no such transaction, as far as it says.
const UNSEEN: &str = "transaction_not_found";

/// A payer with one payment to make.
pub(crate) struct Buyer {
    pub(crate) kind: Kind,
    pub(crate) payer: Payer,
    /// For whom it buys, if not for itself.
    agent: Option<Wallet>,
    pub(crate) told: Told,
    /// In base units, which are units of credits.
    pub(crate) price: u64,
    dice: StdRng,
    paid: Option<Paid>,
}

/// What was done to pay.
struct Paid {
    means: Means,
    request: Request,
    /// The same told otherwise.
    aside: Option<Request>,
}

enum Means {
    Signed(Box<Payment>),
    Sent(B256),
}

/// Whose money it is.
pub(crate) enum Payer {
    Key(Wallet),
    Contract(ContractWallet),
}

impl Payer {
    async fn of(kind: Kind, world: &World) -> Self {
        match kind {
            Kind::Contract | Kind::Fickle => {
                Self::Contract(ContractWallet::deployed(&world.chain).await)
            }
            _ => Self::Key(Wallet::random()),
        }
    }

    pub(crate) fn address(&self) -> Address {
        match self {
            Self::Key(wallet) => wallet.address(),
            Self::Contract(wallet) => wallet.address,
        }
    }

    /// As the service writes it.
    pub(crate) fn name(&self) -> String {
        format!("{:#x}", self.address())
    }

    /// The key that signs for it.
    fn key(&self) -> &Wallet {
        match self {
            Self::Key(wallet) => wallet,
            Self::Contract(wallet) => &wallet.owner,
        }
    }
}

impl Buyer {
    /// With the dollars that the payment needs, or less.
    pub(crate) async fn new(world: &World, kind: Kind, seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let payer = Payer::of(kind, world).await;
        let credits = match kind {
            Kind::Direct => 3,
            Kind::DirectFirst => 4,
            _ => 100 * dice.random_range(1..=9),
        };
        let price = credits * CREDIT_UNITS;
        let dollars = if kind == Kind::Poor { price / 2 } else { price };
        world.chain.mint(payer.address(), U256::from(dollars)).await;
        Self {
            kind,
            payer,
            agent: (kind == Kind::Shop).then(Wallet::random),
            told: Told::default(),
            price,
            dice,
            paid: None,
        }
    }

    /// How its transfer is known on the chain.
    pub(crate) fn mark(&self) -> Mark {
        match &self.paid().means {
            Means::Signed(payment) => Mark::Authorization(payment.nonce()),
            Means::Sent(transaction) => Mark::Transaction(*transaction),
        }
    }

    /// Whose credits it buys, as the service writes it.
    pub(crate) fn wallet(&self) -> String {
        match &self.agent {
            Some(agent) => agent.name(),
            None => self.payer.name(),
        }
    }

    fn paid(&self) -> &Paid {
        self.paid.as_ref().expect("nothing was paid")
    }

    /// Pays, and asks until there is an end or this kind of buyer gives up.
    pub(crate) async fn buy(&mut self, world: &World) {
        let paid = if self.kind.is_sent() {
            self.send(world).await
        } else {
            self.sign(world).await
        };
        self.paid = Some(paid);
        let start = Instant::now();
        // Before the first request, while it is under way, or after its answer.
        let meddles_at = self.dice.random_range(0..3);
        if meddles_at == 0 {
            self.meddle(world).await;
        }
        for asked in 0.. {
            if self.kind == Kind::Late {
                return;
            }
            let copies = match self.kind {
                Kind::AtOnce => self.dice.random_range(2..=COPIES_MAX),
                Kind::Claimed => self.dice.random_range(1..=COPIES_MAX),
                _ => 1,
            };
            let requests = vec![self.paid().request.clone(); copies];
            let service = world.service();
            let sent = tokio::spawn(async move { service.send_all(&requests).await });
            if asked == 0 && meddles_at == 1 {
                self.meddle(world).await;
            }
            let aside = self.tell_aside(world).await;
            let mut replies = sent.await.unwrap();
            replies.push(aside);
            // Copies sent at once are answered in any order; each agrees with what was told before.
            let (done, others): (Vec<_>, Vec<_>) = replies
                .iter()
                .flatten()
                .partition(|reply| reply.status == 200);
            for reply in others.into_iter().chain(done) {
                self.told.note(reply);
            }
            if asked == 0 && meddles_at == 2 {
                self.meddle(world).await;
            }
            if self.is_through(asked) {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{:?} {}: {replies:?}",
                self.kind,
                self.payer.name()
            );
            let pause = Duration::from_millis(self.dice.random_range(50..1_500));
            sleep(pause).await;
        }
    }

    fn is_through(&self, asked: u32) -> bool {
        if self.told.done.is_some() {
            return true;
        }
        if self.kind.is_honest() {
            // Its payment may be on its way: it is not to be asked for again.
            let refused = self.told.refused.as_deref();
            let unseen = self.kind.is_sent() && refused == Some(UNSEEN);
            assert!(unseen || refused.is_none(), "{:?}: {refused:?}", self.kind);
            return false;
        }
        match self.kind {
            Kind::Poor => self.told.refused.is_some(),
            _ if self.kind.is_direct() => self.told.conflict || asked >= ASKS_MAX,
            _ => asked >= ASKS_MAX,
        }
    }

    /// Pays on the chain itself, and claims.
    async fn send(&mut self, world: &World) -> Paid {
        let payer = self.payer.address();
        let hash = match &self.agent {
            Some(agent) => world.buy_at_shop(payer, agent.address(), self.price).await,
            None => world.transfer(payer, self.price).await,
        };
        Paid {
            means: Means::Sent(hash),
            request: claim(&self.wallet(), hash),
            aside: None,
        }
    }

    async fn sign(&mut self, world: &World) -> Paid {
        let credits = self.price / CREDIT_UNITS;
        let (path, body) = match self.kind {
            Kind::Direct => (NAP, json!({ "place": "Bern" })),
            Kind::DirectFirst => (FIRST, json!({ "place": "Bern" })),
            _ => {
                let wallet = self.payer.name();
                let body = json!({ "wallet_address": wallet, "credits": credits });
                (PURCHASE, body)
            }
        };
        let mut request = Request {
            path: path.to_owned(),
            body: body.to_string(),
            payment: None,
        };
        let start = Instant::now();
        let quote = loop {
            match world.service().send(&request).await {
                Some(reply) if reply.status == 402 => break reply,
                Some(reply) => assert_eq!(reply.status, 503, "{}", reply.text()),
                None => {}
            }
            assert!(start.elapsed() < PATIENCE, "no quote");
            sleep(Duration::from_millis(100)).await;
        };
        let mut payment = Payment::of(&quote, self.payer.key());
        if let Payer::Contract(wallet) = &self.payer {
            let fickle = self.kind == Kind::Fickle;
            let temper = if fickle {
                Temper::Fickle
            } else {
                Temper::Honest
            };
            wallet.adopt(&mut payment, temper);
        }
        if self.kind.is_direct() && self.dice.random() {
            payment.identify(&format!("payment-of-{}", self.payer.name()));
        }
        request.payment = Some(payment.header());
        let mut aside = None;
        if self.kind == Kind::Both {
            let settled = world.chain.front_run(&payment).await;
            aside = Some(claim(&self.wallet(), settled));
        }
        Paid {
            means: Means::Signed(Box::new(payment)),
            request,
            aside,
        }
    }

    /// Tells of the payment in its other way. That may come to nothing: the transaction that it names
    /// may be lost, and another settle the payment.
    async fn tell_aside(&self, world: &World) -> Option<Reply> {
        let request = self.paid().aside.as_ref()?;
        let reply = world.service().send(request).await?;
        (reply.status != 402).then_some(reply)
    }

    /// What others do with the payment, or the payer behind the service's back.
    async fn meddle(&self, world: &World) {
        let payment = match &self.paid().means {
            Means::Signed(payment) => payment,
            Means::Sent(hash) => return self.covet(world, *hash).await,
        };
        let chain = &world.chain;
        let payer = self.payer.key();
        match self.kind {
            Kind::FrontRun => drop(chain.front_run(payment).await),
            Kind::Cancelled => drop(chain.cancel(payment, payer).await),
            Kind::Elsewhere => {
                let mut twin = payment.clone();
                twin.authorization.to = Wallet::random().address();
                twin.sign(payer);
                chain.front_run(&twin).await;
            }
            Kind::Withdrawn => drop(chain.move_away(payer, payment.amount()).await),
            Kind::Plain
            | Kind::AtOnce
            | Kind::Poor
            | Kind::Contract
            | Kind::Fickle
            | Kind::Direct
            | Kind::DirectFirst
            | Kind::Both
            | Kind::Claimed
            | Kind::Coveted
            | Kind::Late
            | Kind::Shop => {}
        }
    }

    /// A stranger claims what the payer sent.
    async fn covet(&self, world: &World, transaction: B256) {
        if self.kind != Kind::Coveted {
            return;
        }
        let stranger = claim(&Wallet::random().name(), transaction);
        if let Some(reply) = world.service().send(&stranger).await {
            assert!(matches!(reply.status, 202 | 402 | 503), "{}", reply.text());
            assert!(reply.json.get("purchase_id").is_none(), "{}", reply.text());
        }
    }

    /// The answer when all is over, which agrees with those before.
    pub(crate) async fn last_word(&self, house: &House) -> Reply {
        let reply = house.outcome(&self.paid().request).await;
        let mut told = self.told.clone();
        // A direct call without an identifier has its output once.
        let once = self.kind.is_direct() && told.done.is_some() && reply.status == 409;
        if !once {
            told.note(&reply);
        }
        reply
    }
}

/// Credits for a transfer, by its transaction.
fn claim(wallet: &str, transaction: B256) -> Request {
    let body = json!({
        "wallet_address": wallet,
        "transaction_hash": format!("{transaction:#x}"),
    });
    Request {
        path: PURCHASE.to_owned(),
        body: body.to_string(),
        payment: None,
    }
}
