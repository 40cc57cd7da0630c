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
    world::World,
};

const NAP: &str = "/api/external/tools/weather/actions/nap/invoke";
const FIRST: &str = "/api/external/tools/weather/actions/first/invoke";
const COPIES_MAX: usize = 5;
const PATIENCE: Duration = Duration::from_mins(5);
/// How often somebody asks whose payment may come to nothing.
const ASKS_MAX: u32 = 12;
const CREDIT_UNITS: u64 = 10_000;

/// A payer with one payment to make.
pub(crate) struct Buyer {
    pub(crate) kind: Kind,
    pub(crate) payer: Payer,
    pub(crate) told: Told,
    /// In base units, which are units of credits.
    pub(crate) price: u64,
    dice: StdRng,
    paid: Option<(Payment, Request)>,
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
            told: Told::default(),
            price,
            dice,
            paid: None,
        }
    }

    pub(crate) fn nonce(&self) -> B256 {
        self.payment().nonce()
    }

    fn payment(&self) -> &Payment {
        &self.paid.as_ref().expect("nothing was signed").0
    }

    /// Gets a quote, signs it, and asks until there is an end or this kind of buyer gives up.
    pub(crate) async fn buy(&mut self, world: &World) {
        let (payment, request) = self.sign(world).await;
        self.paid = Some((payment.clone(), request.clone()));
        let start = Instant::now();
        // Before the first request, while it is under way, or after its answer.
        let meddles_at = self.dice.random_range(0..3);
        if meddles_at == 0 {
            self.meddle(world, &payment).await;
        }
        for asked in 0.. {
            let copies = match self.kind {
                Kind::AtOnce => self.dice.random_range(2..=COPIES_MAX),
                _ => 1,
            };
            let requests = vec![request.clone(); copies];
            let service = world.service();
            let sent = tokio::spawn(async move { service.send_all(&requests).await });
            if asked == 0 && meddles_at == 1 {
                self.meddle(world, &payment).await;
            }
            let replies = sent.await.unwrap();
            // Copies sent at once are answered in any order; each agrees with what was told before.
            let (done, others): (Vec<_>, Vec<_>) = replies
                .iter()
                .flatten()
                .partition(|reply| reply.status == 200);
            for reply in others.into_iter().chain(done) {
                self.told.note(reply);
            }
            if asked == 0 && meddles_at == 2 {
                self.meddle(world, &payment).await;
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
            // Its authorization may be on its way: it is not to be asked for again.
            assert_eq!(self.told.refused, None, "{:?}", self.kind);
            return false;
        }
        match self.kind {
            Kind::Poor => self.told.refused.is_some(),
            _ if self.kind.is_direct() => self.told.conflict || asked >= ASKS_MAX,
            _ => asked >= ASKS_MAX,
        }
    }

    async fn sign(&mut self, world: &World) -> (Payment, Request) {
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
        (payment, request)
    }

    /// What others do with the payment, or the payer behind the service's back.
    async fn meddle(&self, world: &World, payment: &Payment) {
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
            | Kind::DirectFirst => {}
        }
    }

    /// The answer when all is over, which agrees with those before.
    pub(crate) async fn last_word(&self, house: &House) -> Reply {
        let (_, request) = self.paid.as_ref().expect("nothing was signed");
        let reply = house.outcome(request).await;
        let mut told = self.told.clone();
        // A direct call without an identifier has its output once.
        let once = self.kind.is_direct() && told.done.is_some() && reply.status == 409;
        if !once {
            told.note(&reply);
        }
        reply
    }
}
