//! Where the time of a spend goes: `cargo bench --bench spend`.
//!
//! Every figure is a median over rounds, and is told in units of R as well: one signature recovery
//! with libsecp256k1, measured in the same run. Ratios carry over to other machines, times do not.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use counterfoil::{
    auth::{Caller, PathBoundCall, SessionKey, Signature, address_of, eip191_digest, json},
    base::{AgentAddress, ChargeId, Credits, RequestId, Timestamp},
    store::{CallReply, NewHold, Promotion, ReplyKind, Store, StoreLimits},
};
use k256::ecdsa::SigningKey;

const ROUNDS: usize = 9;
const BODY: &str = r#"{"parameters":{"place":"Lisbon","days":3,"units":"metric"}}"#;
const AT_ONCE: usize = 256;

fn main() {
    let signer = Signer::new();
    let recovery = median(|| per_call(2_000, || signer.signature.recover(signer.digest)));
    println!(
        "R = {:.1} us: one recovery with libsecp256k1\n",
        micros(recovery)
    );
    println!("{:<52} {:>10} {:>8}", "", "us", "R");
    let tell = |what: &str, time: Duration| {
        let ratio = time.as_secs_f64() / recovery.as_secs_f64();
        println!("{what:<52} {:>10.1} {ratio:>8.2}", micros(time));
    };
    tell(
        "recovery with k256 (portable)",
        median(|| per_call(500, || signer.signature.recover_portable(signer.digest))),
    );
    tell(
        "parse a body, find the message that was signed",
        median(|| signer.checks()),
    );
    tell(
        "session nonce checked",
        median(|| per_call(5_000, || signer.session())),
    );

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let books = runtime.block_on(Books::open());
    let alone = runtime.block_on(async { books.one_by_one(200).await });
    tell("durable debit, one at a time", alone);
    let together = runtime.block_on(async { books.at_once(8).await });
    tell("durable debit, 256 at a time (each)", together);
}

struct Signer {
    key: SessionKey,
    wallet: AgentAddress,
    nonce: String,
    request_id: RequestId,
    digest: [u8; 32],
    signature: Signature,
}

impl Signer {
    fn new() -> Self {
        let key = SessionKey::new([7; 32]);
        let signing = SigningKey::from_slice(&[9; 32]).expect("a key");
        let wallet = address_of(signing.verifying_key());
        let nonce = key.issue(
            wallet,
            Timestamp::from_seconds(9_999_999_999),
            [1; 32],
            [2; 8],
        );
        let request_id: RequestId = "bench-1".parse().expect("a request id");
        let node = json::parse(BODY.as_bytes()).expect("JSON");
        let call = PathBoundCall {
            caller: Caller {
                wallet,
                session_nonce: &nonce,
                request_id: &request_id,
            },
            product: "weather",
            action: "forecast",
            parameters: node.get("parameters"),
        };
        let digest = eip191_digest(call.candidates(None).expected_message());
        let signature = Signature::sign(&signing, digest);
        Self {
            key,
            wallet,
            nonce,
            request_id,
            digest,
            signature,
        }
    }

    /// Everything that a signature costs but its recovery.
    fn checks(&self) -> Duration {
        per_call(2_000, || {
            let node = json::parse(BODY.as_bytes()).expect("JSON");
            let caller = Caller {
                wallet: self.wallet,
                session_nonce: &self.nonce,
                request_id: &self.request_id,
            };
            let (product, action) = ("weather", "forecast");
            let parameters = node.get("parameters");
            let call = PathBoundCall {
                caller,
                product,
                action,
                parameters,
            };
            eip191_digest(call.candidates(None).expected_message())
        })
    }

    fn session(&self) -> bool {
        self.key.verify(&self.nonce, self.wallet).is_ok()
    }
}

struct Books {
    store: Store,
    _folder: tempfile::TempDir,
}

impl Books {
    async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let limits = StoreLimits {
            stored_replies_bytes_max: u64::MAX >> 1,
        };
        let path = folder.path().join("books.db");
        let (store, _writer) = Store::open(&path, limits).await.expect("a store");
        let promotion = Promotion {
            wallet: wallet(),
            amount: Credits::from_whole(1_000_000).expect("fits"),
            priority: 0,
            expires_at: None,
            now: Timestamp::from_seconds(1),
        };
        store.promote(promotion).await.expect("a grant");
        Self {
            store,
            _folder: folder,
        }
    }

    async fn one_by_one(&self, count: u32) -> Duration {
        let began = Instant::now();
        for _ in 0..count {
            debit(&self.store).await;
        }
        began.elapsed() / count
    }

    async fn at_once(&self, rounds: u32) -> Duration {
        let began = Instant::now();
        for _ in 0..rounds {
            let mut debits = tokio::task::JoinSet::new();
            for _ in 0..AT_ONCE {
                let store = self.store.clone();
                debits.spawn(async move { debit(&store).await });
            }
            debits.join_all().await;
        }
        let debits = u32::try_from(AT_ONCE).expect("fits") * rounds;
        began.elapsed() / debits
    }
}

async fn debit(store: &Store) {
    let reply = CallReply {
        kind: ReplyKind::Captured,
        status: Some(200),
        body: b"{}".to_vec(),
    };
    let debit = store.debit(hold(), reply).await.expect("an answer");
    debit.expect("a debit");
}

fn wallet() -> AgentAddress {
    AgentAddress::new([1; 20].into())
}

fn hold() -> NewHold {
    let id: [u8; 16] = rand::random();
    NewHold {
        charge: ChargeId::from_random(id),
        wallet: wallet(),
        session: "s-bench".to_owned(),
        request_id: hex::encode(id).parse().expect("a request id"),
        tool: "weather".parse().expect("a slug"),
        action: "forecast".parse().expect("a slug"),
        price: Credits::from_units(1),
        price_list: [0; 32],
        message: "x".repeat(300),
        signature: [0; 65],
        payload_hash: [0; 32],
        deadline: Timestamp::from_seconds(100),
        replay_until: Timestamp::from_seconds(100),
        now: Timestamp::from_seconds(1),
    }
}

fn per_call<T>(count: u32, mut work: impl FnMut() -> T) -> Duration {
    let began = Instant::now();
    for _ in 0..count {
        black_box(work());
    }
    began.elapsed() / count
}

fn median(mut round: impl FnMut() -> Duration) -> Duration {
    let mut rounds: Vec<Duration> = (0..ROUNDS).map(|_| round()).collect();
    rounds.sort_unstable();
    rounds[ROUNDS / 2]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
