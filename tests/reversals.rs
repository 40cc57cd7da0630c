//! Payments that the chain drops and brings back, in any order and beside calls: the books follow the
//! chain, and agree with a naive model to the unit.
//!
//! Prints its seed; `COUNTERFOIL_SEED=n cargo test --test reversals` runs it again.

use std::path::{Path, PathBuf};

use alloy::primitives::{Address, B256, U256};
use counterfoil::{
    base::{AgentAddress, AssetId, ChargeId, Credits, NetworkId, PurchaseId, Timestamp},
    payment::{
        Authorization, Inclusion, PaymentState, PaymentWay, SignedAuthorization, TransferMethod,
    },
    store::{
        CallReply, CreditPayment, FinishCall, GiveUp, NewHold, NewPayment, ReplyKind,
        ReversePayment, Store, StoreLimits,
    },
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

const STEPS: usize = 1_500;
const WALLETS: usize = 3;
const NOW: Timestamp = Timestamp::from_millis(1_000);

/// A payment, as the chain and the model have it.
struct Paid {
    wallet: usize,
    amount: i64,
    /// The block that holds it.
    block: Option<B256>,
    given_up: bool,
    lost: i64,
}

#[derive(Default)]
struct Purse {
    free: i64,
    held: i64,
}

struct Held {
    wallet: usize,
    price: i64,
}

struct Run {
    store: Store,
    path: PathBuf,
    dice: StdRng,
    paid: Vec<Paid>,
    purses: Vec<Purse>,
    holds: Vec<(usize, Held)>,
    revenue: i64,
    ids: usize,
}

fn address(wallet: usize) -> AgentAddress {
    AgentAddress::new(Address::repeat_byte(u8::try_from(wallet + 1).unwrap()))
}

fn id(number: usize) -> PurchaseId {
    PurchaseId::from_random((number as u128).to_be_bytes())
}

impl Run {
    async fn step(&mut self) {
        match self.dice.random_range(0..100) {
            0..15 => self.pay().await,
            15..40 => self.include().await,
            40..58 => self.drop_one().await,
            58..80 => self.hold().await,
            80..97 => self.finish().await,
            _ => self.give_up().await,
        }
        self.agrees().await;
    }

    async fn pay(&mut self) {
        let (number, wallet) = (self.paid.len(), self.dice.random_range(0..WALLETS));
        let amount = self.dice.random_range(1..200);
        let authorization = SignedAuthorization {
            terms: Authorization {
                method: TransferMethod::Eip3009,
                // A payer each, since one may have only so many open at once.
                from: Address::left_padding_from(&number.to_be_bytes()),
                to: Address::repeat_byte(9),
                value: U256::from(amount),
                valid_after: 0,
                valid_before: 2_000,
                nonce: B256::left_padding_from(&number.to_be_bytes()),
            },
            signature: vec![0; 65],
            permit: None,
        };
        let payment = NewPayment {
            id: id(number),
            way: PaymentWay::Purchase,
            asset: AssetId {
                network: NetworkId::from_chain_id(1),
                token: Address::repeat_byte(7),
            },
            authorization,
            credits: Credits::from_units(amount),
            wallet: address(wallet),
            label: None,
            since_block: 0,
            risk: None,
            now: NOW,
        };
        let stored = self.store.insert_payment(payment, None).await.unwrap();
        assert!(stored.is_ok());
        self.paid.push(Paid {
            wallet,
            amount,
            block: None,
            given_up: false,
            lost: 0,
        });
    }

    fn any(&mut self, which: impl Fn(&Paid) -> bool) -> Option<usize> {
        let found = self.paid.iter().enumerate();
        let found: Vec<usize> = found.filter(|it| which(it.1)).map(|it| it.0).collect();
        let at = self.dice.random_range(0..found.len().max(1));
        found.get(at).copied()
    }

    /// A block holds a payment: also one that was given up.
    async fn include(&mut self) {
        let Some(number) = self.any(|paid| paid.block.is_none()) else {
            return;
        };
        let block_hash = B256::from(self.dice.random::<[u8; 32]>());
        let at = Inclusion {
            transaction: B256::repeat_byte(1),
            block: 5,
            block_hash,
            confirmed: true,
        };
        let credit = CreditPayment {
            payment: id(number),
            at,
            transfers: Vec::new(),
            now: NOW,
        };
        assert!(self.store.credit_payment(credit.clone()).await.unwrap());
        assert!(!self.store.credit_payment(credit).await.unwrap(), "once");
        let paid = &mut self.paid[number];
        paid.block = Some(block_hash);
        self.purses[paid.wallet].free += paid.amount - paid.lost;
        paid.lost = 0;
    }

    /// The chain drops a payment.
    async fn drop_one(&mut self) {
        let Some(number) = self.any(|paid| paid.block.is_some()) else {
            return;
        };
        let from = self.paid[number].block.unwrap();
        let reverse = |from| ReversePayment {
            payment: id(number),
            from,
            now: NOW,
        };
        let stranger = self.store.reverse_payment(reverse(B256::ZERO)).await;
        assert_eq!(stranger.unwrap(), None, "another block's");
        let reversed = self.store.reverse_payment(reverse(from)).await.unwrap();
        let reversed = reversed.expect("it was credited");
        let again = self.store.reverse_payment(reverse(from)).await.unwrap();
        assert_eq!(again, None, "once");

        let paid = &mut self.paid[number];
        let purse = &mut self.purses[paid.wallet];
        // The wallet had the whole of it, whatever it spent and however often it came.
        let taken = paid.amount.min(purse.free);
        purse.free -= taken;
        paid.lost = paid.amount - taken;
        paid.block = None;
        paid.given_up = false;
        assert_eq!(reversed.was, PaymentState::Credited);
        let found = (reversed.taken.units(), reversed.lost.units());
        assert_eq!(found, (taken, paid.lost));
    }

    /// The chain says that a payment will not come.
    async fn give_up(&mut self) {
        let Some(number) = self.any(|paid| paid.block.is_none() && !paid.given_up) else {
            return;
        };
        let give_up = GiveUp {
            payment: id(number),
            state: PaymentState::Failed,
            reason: "authorization_cancelled",
            now: NOW,
        };
        self.store.give_up(give_up).await.unwrap();
        self.paid[number].given_up = true;
    }

    async fn hold(&mut self) {
        let (wallet, number) = (self.dice.random_range(0..WALLETS), self.ids);
        self.ids += 1;
        let price = self.dice.random_range(1..120);
        let hold = NewHold {
            charge: ChargeId::from_random((number as u128).to_be_bytes()),
            wallet: address(wallet),
            session: "s-1".to_owned(),
            request_id: format!("r-{number}").parse().unwrap(),
            tool: "weather".parse().unwrap(),
            action: "forecast".parse().unwrap(),
            price: Credits::from_units(price),
            price_list: [0; 32],
            message: "message".to_owned(),
            signature: [0; 65],
            payload_hash: [0; 32],
            deadline: Timestamp::from_millis(1_000_000),
            replay_until: Timestamp::from_millis(1_000_000),
            now: NOW,
        };
        let answer = self.store.hold(hold).await.unwrap();
        let purse = &mut self.purses[wallet];
        assert_eq!(answer.is_ok(), purse.free >= price);
        if answer.is_ok() {
            purse.free -= price;
            purse.held += price;
            self.holds.push((number, Held { wallet, price }));
        }
    }

    async fn finish(&mut self) {
        if self.holds.is_empty() {
            return;
        }
        let at = self.dice.random_range(0..self.holds.len());
        let (number, Held { wallet, price }) = self.holds.swap_remove(at);
        let captured = self.dice.random_bool(0.7);
        let kind = if captured {
            ReplyKind::Captured
        } else {
            ReplyKind::Failed
        };
        let finish = FinishCall {
            charge: ChargeId::from_random((number as u128).to_be_bytes()),
            reply: CallReply {
                kind,
                status: Some(200),
                body: b"null".to_vec(),
            },
            now: NOW,
        };
        self.store.finish(finish).await.unwrap();
        let purse = &mut self.purses[wallet];
        purse.held -= price;
        if captured {
            self.revenue += price;
        } else {
            purse.free += price;
        }
    }

    async fn agrees(&self) {
        let accounts = accounts(&self.path).await;
        let balance = |name: &str| {
            let found = accounts.iter().find(|(it, _)| it == name);
            found.map_or(0, |(_, units)| *units)
        };
        let all: i64 = accounts.iter().map(|(_, units)| units).sum();
        assert_eq!(all, 0, "all accounts together");
        let on_chain = self.paid.iter().filter(|paid| paid.block.is_some());
        let on_chain: i64 = on_chain.map(|paid| paid.amount).sum();
        let cash = format!("cash:eip155:1:{:#x}", Address::repeat_byte(7));
        assert_eq!(balance(&cash), -on_chain, "cash is what the chain has");
        let lost: i64 = self.paid.iter().map(|paid| paid.lost).sum();
        assert_eq!(balance("loss"), -lost);
        assert_eq!(balance("revenue"), self.revenue);
        for (wallet, purse) in self.purses.iter().enumerate() {
            let units = balance(&format!("wallet:{}", address(wallet)));
            assert_eq!(units, purse.free + purse.held, "wallet {wallet}");
            assert!(units >= purse.held);
        }
    }
}

async fn accounts(path: &Path) -> Vec<(String, i64)> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::query_as("SELECT name, balance_units FROM accounts")
        .fetch_all(&mut connection)
        .await
        .unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test may be told its seed")]
fn seed() -> u64 {
    std::env::var("COUNTERFOIL_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap())
}

#[tokio::test]
async fn whatever_is_dropped_and_comes_back_the_books_follow_the_chain() {
    let seed = seed();
    println!("COUNTERFOIL_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("books.db");
    let limits = StoreLimits {
        stored_replies_bytes_max: 1_000_000,
    };
    let (store, _writer) = Store::open(&path, limits).await.unwrap();
    let mut run = Run {
        store,
        path,
        dice: StdRng::seed_from_u64(seed),
        paid: Vec::new(),
        purses: (0..WALLETS).map(|_| Purse::default()).collect(),
        holds: Vec::new(),
        revenue: 0,
        ids: 0,
    };
    for _ in 0..STEPS {
        run.step().await;
    }
}
