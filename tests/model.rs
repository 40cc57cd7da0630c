//! The books against a naive model: random operations, the same answers and the same balances.
//!
//! Prints its seed; `COUNTERFOIL_SEED=n cargo test --test model` runs it again.

use std::collections::BTreeMap;

use counterfoil::{
    base::{AgentAddress, ChargeId, Credits, Timestamp},
    ledger::ChargeStatus,
    store::{
        CallReply, FinishCall, HoldRefusal, NewHold, Promotion, ReplyKind, Store, StoreLimits,
    },
};
use rand::{Rng, SeedableRng, rngs::StdRng};

const STEPS: usize = 1_500;
const WALLETS: u8 = 3;

#[derive(Clone, Debug)]
struct ModelGrant {
    order: usize,
    priority: i64,
    expires_at: Option<i64>,
    free: i64,
}

#[derive(Clone, Debug)]
struct ModelHold {
    wallet: u8,
    price: i64,
    deadline: i64,
    /// Grant and amount.
    parts: Vec<(usize, i64)>,
}

/// What the books should say, kept the slow and obvious way.
#[derive(Default)]
struct Model {
    now: i64,
    grants: BTreeMap<u8, Vec<ModelGrant>>,
    holds: BTreeMap<usize, ModelHold>,
    granted: usize,
}

impl Model {
    fn promote(&mut self, wallet: u8, amount: i64, priority: i64, expires_at: Option<i64>) {
        let grants = self.grants.entry(wallet).or_default();
        let same =
            |grant: &&mut ModelGrant| grant.priority == priority && grant.expires_at.is_none();
        let merged = grants.iter_mut().find(same);
        if let Some(grant) = merged.filter(|_| expires_at.is_none()) {
            grant.free += amount;
            return;
        }
        let order = self.granted;
        self.granted += 1;
        grants.push(ModelGrant {
            order,
            priority,
            expires_at,
            free: amount,
        });
    }

    fn available(&self, wallet: u8) -> i64 {
        let now = self.now;
        let live = |grant: &&ModelGrant| grant.expires_at.is_none_or(|at| at > now);
        self.grants
            .get(&wallet)
            .into_iter()
            .flatten()
            .filter(live)
            .map(|grant| grant.free)
            .sum()
    }

    fn hold(&mut self, id: usize, wallet: u8, price: i64, deadline: i64) -> Result<(), i64> {
        let available = self.available(wallet);
        if available < price {
            return Err(available);
        }
        let now = self.now;
        let grants = self.grants.get_mut(&wallet).unwrap();
        grants.sort_by_key(|grant| {
            (
                grant.priority,
                grant.expires_at.unwrap_or(i64::MAX),
                grant.order,
            )
        });
        let mut missing = price;
        let mut parts = Vec::new();
        for grant in grants
            .iter_mut()
            .filter(|grant| grant.expires_at.is_none_or(|at| at > now))
        {
            let part = grant.free.min(missing);
            if part > 0 {
                grant.free -= part;
                missing -= part;
                parts.push((grant.order, part));
            }
        }
        self.holds.insert(
            id,
            ModelHold {
                wallet,
                price,
                deadline,
                parts,
            },
        );
        Ok(())
    }

    fn finish(&mut self, id: usize, captured: bool) {
        let hold = self.holds.remove(&id).unwrap();
        if captured {
            return;
        }
        let grants = self.grants.get_mut(&hold.wallet).unwrap();
        for (order, part) in hold.parts {
            grants
                .iter_mut()
                .find(|grant| grant.order == order)
                .unwrap()
                .free += part;
        }
        // A void expires at once whatever of the wallet is due.
        self.expire(hold.wallet);
    }

    fn expire(&mut self, wallet: u8) {
        let now = self.now;
        for grant in self.grants.get_mut(&wallet).into_iter().flatten() {
            if grant.expires_at.is_some_and(|at| at <= now) {
                grant.free = 0;
            }
        }
    }

    fn held(&self, wallet: u8) -> i64 {
        self.holds
            .values()
            .filter(|hold| hold.wallet == wallet)
            .map(|hold| hold.price)
            .sum()
    }

    fn total(&self, wallet: u8) -> i64 {
        let free: i64 = self
            .grants
            .get(&wallet)
            .into_iter()
            .flatten()
            .map(|grant| grant.free)
            .sum();
        free + self.held(wallet)
    }
}

fn address(wallet: u8) -> AgentAddress {
    AgentAddress::new([wallet + 1; 20].into())
}

fn charge(id: usize) -> ChargeId {
    ChargeId::from_random((id as u128).to_be_bytes())
}

fn new_hold(model: &Model, id: usize, wallet: u8, price: i64, deadline: i64) -> NewHold {
    NewHold {
        charge: charge(id),
        wallet: address(wallet),
        session: "s-1".to_owned(),
        request_id: format!("r-{id}").parse().unwrap(),
        tool: "weather".parse().unwrap(),
        action: "forecast".parse().unwrap(),
        price: Credits::from_units(price),
        price_list: [0; 32],
        message: "message".to_owned(),
        signature: [0; 65],
        payload_hash: [0; 32],
        deadline: Timestamp::from_millis(deadline),
        replay_until: Timestamp::from_millis(deadline + 1_000_000),
        now: Timestamp::from_millis(model.now),
    }
}

fn finish(model: &Model, id: usize, captured: bool) -> FinishCall {
    let kind = if captured {
        ReplyKind::Captured
    } else {
        ReplyKind::Failed
    };
    let reply = CallReply {
        kind,
        status: Some(200),
        body: b"null".to_vec(),
    };
    FinishCall {
        charge: charge(id),
        reply,
        now: Timestamp::from_millis(model.now),
    }
}

struct Run {
    store: Store,
    model: Model,
    random: StdRng,
    next: usize,
}

impl Run {
    async fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..20 => self.promote().await,
            20..60 => self.hold().await,
            60..90 => self.finish().await,
            90..94 => self.model.now += self.random.random_range(0..200),
            94..97 => self.sweep().await,
            _ => self.void_overdue().await,
        }
        for wallet in 0..WALLETS {
            let balance = self.store.balance(address(wallet)).await.unwrap();
            let model = (self.model.total(wallet), self.model.held(wallet));
            assert_eq!(
                (balance.total.units(), balance.held.units()),
                model,
                "wallet {wallet}"
            );
        }
    }

    async fn promote(&mut self) {
        let wallet = self.random.random_range(0..WALLETS);
        let amount = self.random.random_range(1..200);
        let priority = self.random.random_range(0..3);
        let expires = self.random.random_bool(0.5);
        let expires_at = expires.then(|| self.model.now + self.random.random_range(1..300));
        let promotion = Promotion {
            wallet: address(wallet),
            amount: Credits::from_units(amount),
            priority,
            expires_at: expires_at.map(Timestamp::from_millis),
            now: Timestamp::from_millis(self.model.now),
        };
        self.store.promote(promotion).await.unwrap();
        self.model.promote(wallet, amount, priority, expires_at);
    }

    async fn hold(&mut self) {
        let (id, wallet) = (self.next, self.random.random_range(0..WALLETS));
        self.next += 1;
        let price = self.random.random_range(1..150);
        let deadline = self.model.now + self.random.random_range(1..400);
        let hold = new_hold(&self.model, id, wallet, price, deadline);
        let answer = self.store.hold(hold.clone()).await.unwrap();
        match (answer, self.model.hold(id, wallet, price, deadline)) {
            (Ok(()), Ok(())) => {
                let again = self.store.hold(hold).await.unwrap();
                assert!(
                    matches!(again, Err(HoldRefusal::Taken(_))),
                    "a request id is taken once"
                );
            }
            (Err(HoldRefusal::Insufficient { available }), Err(expected)) => {
                assert_eq!(available.units(), expected, "what is available");
            }
            (answer, expected) => panic!("hold {id}: {answer:?}, the model says {expected:?}"),
        }
    }

    async fn finish(&mut self) {
        let open: Vec<usize> = self.model.holds.keys().copied().collect();
        let Some(&id) = open.get(self.random.random_range(0..open.len().max(1))) else {
            return;
        };
        let captured = self.random.random_bool(0.6);
        let stored = self
            .store
            .finish(finish(&self.model, id, captured))
            .await
            .unwrap();
        self.model.finish(id, captured);
        let status = if captured {
            ChargeStatus::Captured
        } else {
            ChargeStatus::Voided
        };
        assert_eq!(stored.status, status);
        let late = self
            .store
            .finish(finish(&self.model, id, !captured))
            .await
            .unwrap();
        assert_eq!(
            late.status, status,
            "the loser of a race is told the winner's outcome"
        );
    }

    async fn sweep(&mut self) {
        self.store
            .sweep(Timestamp::from_millis(self.model.now))
            .await
            .unwrap();
        (0..WALLETS).for_each(|wallet| self.model.expire(wallet));
    }

    async fn void_overdue(&mut self) {
        let now = Timestamp::from_millis(self.model.now);
        let voided = self.store.void_orphans(Some(now), now).await.unwrap();
        let overdue = |hold: &ModelHold| hold.deadline < self.model.now;
        let expected: Vec<usize> = self
            .model
            .holds
            .iter()
            .filter(|(_, hold)| overdue(hold))
            .map(|(id, _)| *id)
            .collect();
        assert_eq!(voided.len(), expected.len(), "holds past their deadline");
        for id in expected {
            self.model.finish(id, false);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test may be told its seed")]
fn seed() -> u64 {
    std::env::var("COUNTERFOIL_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap())
}

#[tokio::test]
async fn the_books_agree_with_a_naive_model() {
    let seed = seed();
    println!("COUNTERFOIL_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let limits = StoreLimits {
        stored_replies_bytes_max: 1_000_000,
    };
    let (store, _writer) = Store::open(&folder.path().join("books.db"), limits)
        .await
        .unwrap();
    let random = StdRng::seed_from_u64(seed);
    let mut run = Run {
        store,
        model: Model {
            now: 1_000,
            ..Model::default()
        },
        random,
        next: 0,
    };
    for _ in 0..STEPS {
        run.step().await;
    }
}

#[tokio::test]
async fn a_second_process_is_kept_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("books.db");
    let limits = StoreLimits {
        stored_replies_bytes_max: 1_000_000,
    };
    let (_store, _writer) = Store::open(&path, limits).await.unwrap();
    let second = Store::open(&path, limits).await.map(|_| ());
    assert!(second.is_err_and(|error| error.to_string().contains("another process")));
}

#[tokio::test]
async fn a_full_store_of_replies_refuses_holds_until_replies_are_over() {
    let folder = tempfile::tempdir().unwrap();
    let limits = StoreLimits {
        stored_replies_bytes_max: 4,
    };
    let (store, _writer) = Store::open(&folder.path().join("books.db"), limits)
        .await
        .unwrap();
    let mut model = Model {
        now: 1_000,
        ..Model::default()
    };
    let promotion = Promotion {
        wallet: address(0),
        amount: Credits::from_units(100),
        priority: 0,
        expires_at: None,
        now: Timestamp::from_millis(model.now),
    };
    store.promote(promotion).await.unwrap();
    store
        .hold(new_hold(&model, 1, 0, 10, 2_000))
        .await
        .unwrap()
        .unwrap();
    store.finish(finish(&model, 1, true)).await.unwrap();
    let refused = store.hold(new_hold(&model, 2, 0, 10, 2_000)).await.unwrap();
    assert!(
        matches!(refused, Err(HoldRefusal::RepliesFull)),
        "{refused:?}"
    );

    model.now = 2_000_000;
    store
        .sweep(Timestamp::from_millis(model.now))
        .await
        .unwrap();
    store
        .hold(new_hold(&model, 2, 0, 10, 3_000_000))
        .await
        .unwrap()
        .unwrap();
}
