//! The verbs of the service, one file each: each owns the order of its checks and the moment of
//! its commits.
//!
//! In reading order: [`open_session`](Service::open_session), `call` (spend credits), `balance`,
//! `quote` (what a payment must be), `payment_check` (is this one it?), `buy`, `claim`, `direct_call`
//! (pay call by call), `settle` (drive a payment to its end), `facilitate` (by whom), `relay` (the
//! relayers' transactions), `relayers` (who signs them), `watch` (what arrives unasked) and `arrivals`
//! (whose it is), `recheck` (what reorganizations undo), `recover` (what a start and the workers do).
//! Speaks no HTTP and no SQL: it asks the floor below, decides with the pure floors, and answers in
//! values that `http` phrases.

mod arrivals;
mod balance;
mod buy;
mod call;
mod claim;
mod clock;
mod consent;
mod contract_payer;
mod direct_call;
mod facilitate;
mod payer_risk;
mod payment_check;
mod quote;
mod recheck;
mod recover;
mod refund;
mod relay;
mod relayers;
mod run;
mod session;
mod settle;
mod suspense;
mod unavailable;
mod watch;

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicUsize},
    time::Duration,
};

use alloy::primitives::{Address, B256};
use lru::LruCache;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

pub use buy::{BuyAnswer, BuyError, BuyRequest, Purchase};
pub use call::{Binding, CallAnswer, CallError, SignatureProblem, SignedCall};
pub use claim::{ClaimAnswer, ClaimRequest};
pub use clock::Clock;
pub use direct_call::{DirectAnswer, DirectError, DirectRequest, PaidCall};
pub use payment_check::{PaymentProblem, Reason};
pub use quote::QuoteError;
pub use recover::StartError;
pub use refund::RefundError;
pub use session::{OpenSession, SessionProblem};
pub use unavailable::Unavailable;
pub use watch::{WatchRound, WatchSettings};

use crate::{
    auth::{Form, SessionKey},
    base::{Credits, NetworkId, PurchaseId, RefundId, Timestamp},
    chain::{Network, Recipients},
    payment::TransferPolicy,
    store::Store,
    upstream::{Catalogue, Upstream},
};

/// Sessions whose form of canonical JSON is remembered.
const FORMS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("is not zero");

/// Transactions that are remembered as booked.
const HANDLED_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("is not zero");

/// What the operator decided, as far as the verbs need it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Without a slash at the end.
    pub public_url: String,
    pub session_lifetime_seconds: i64,
    pub replay_seconds: i64,
    pub step: Credits,
    pub min: Credits,
    pub max: Credits,
    pub quote_seconds: u64,
    pub settle_wait: Duration,
    /// What may be refunded on a network in 24 hours; none where refunds are off.
    pub refund_caps: HashMap<NetworkId, Credits>,
    pub transfer_policy: TransferPolicy,
    pub watch: HashMap<NetworkId, WatchSettings>,
}

/// What the verbs work with.
pub struct Parts {
    pub settings: Settings,
    pub store: Store,
    pub networks: Vec<Network>,
    pub catalogue: Catalogue,
    pub upstream: Upstream,
    pub session_key: SessionKey,
    pub clock: Clock,
}

/// The service. Clones share everything.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    parts: Parts,
    /// Addresses that are or were a payTo or a purchase contract; filled when the service starts.
    recipients: Mutex<HashMap<NetworkId, Arc<Recipients>>>,
    /// The form in which a session signed last.
    forms: Mutex<LruCache<String, Form>>,
    /// Payments that a task of this process drives at the moment.
    driven: Mutex<HashSet<PurchaseId>>,
    /// Payments that a facilitator is asked to settle at the moment.
    asking: Mutex<HashSet<PurchaseId>>,
    /// Places for contract wallets that are asked for their signatures.
    wallet_checks: Semaphore,
    /// Places for transactions that are looked at because of a claim: a receipt may be large.
    receipts: Semaphore,
    /// How far the last round of the reconciler came.
    reconciled: Mutex<Option<PurchaseId>>,
    refunds_reconciled: Mutex<Option<RefundId>>,
    /// Which blocks stood when they were looked at last.
    rechecked: Mutex<HashMap<NetworkId, recheck::Rechecked>>,
    /// How many blocks each network's node gives at once, as far as is known.
    spans: Mutex<HashMap<NetworkId, u64>>,
    /// Transactions whose arrivals are booked, by their block.
    handled: Mutex<LruCache<(NetworkId, B256, B256), ()>>,
    /// What the relayers held when it was last asked for.
    gas: Mutex<HashMap<(NetworkId, Address), relayers::Gas>>,
    /// Counts settlements, so that relayers take turns.
    turn: AtomicUsize,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Service {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            parts,
            recipients: Mutex::default(),
            forms: Mutex::new(LruCache::new(FORMS_MAX)),
            driven: Mutex::default(),
            asking: Mutex::default(),
            wallet_checks: Semaphore::new(contract_payer::AT_ONCE),
            receipts: Semaphore::new(claim::RECEIPTS_AT_ONCE),
            reconciled: Mutex::default(),
            refunds_reconciled: Mutex::default(),
            rechecked: Mutex::default(),
            spans: Mutex::default(),
            handled: Mutex::new(LruCache::new(HANDLED_MAX)),
            gas: Mutex::default(),
            turn: AtomicUsize::new(0),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }))
    }

    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.parts.settings
    }

    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.0.parts.catalogue
    }

    /// Where work goes that must outlive the connection that asked for it.
    #[must_use]
    pub fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// Runs `work` where a client that hangs up cannot stop it.
    ///
    /// # Errors
    /// When the work panicked.
    pub async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, tokio::task::JoinError> {
        self.0.tasks.spawn(work.in_current_span()).await
    }

    /// Tells the tasks that drive payments to stop after their present step. What they leave open
    /// is durable and goes on at the next start.
    pub fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
    }

    /// Whether the service was told to stop.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.0.stop.is_cancelled()
    }

    /// Whether the store and every network can be used.
    ///
    /// # Errors
    /// Names what cannot be used.
    pub async fn check_ready(&self) -> Result<(), Unavailable> {
        self.store().check().await?;
        for network in self.networks() {
            network.check_live().await?;
        }
        Ok(())
    }

    fn store(&self) -> &Store {
        &self.0.parts.store
    }

    fn networks(&self) -> &[Network] {
        &self.0.parts.networks
    }

    fn network(&self, id: NetworkId) -> Option<&Network> {
        self.networks().iter().find(|network| network.id() == id)
    }

    /// The wall clock, as `app` reads it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.parts.clock.now()
    }
}

/// 128 fresh random bits.
fn random_id() -> Result<[u8; 16], Unavailable> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|_| Unavailable::Randomness)?;
    Ok(bits)
}

/// What a mutex guards. A panic elsewhere cannot leave these maps half-changed, so a poisoned lock
/// is as good as any.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
