//! The long run: purchases by the thousand while the service is killed, its node lies, strangers
//! interfere and payers change their minds. At the end every base unit on the chain is in the books
//! and none besides, for each payer and for all.
//!
//! `make faults` runs it. `COUNTERFOIL_FAULTS_PURCHASES` says how many (60 in `make test`),
//! `COUNTERFOIL_FAULTS_SEED` repeats the dice of an earlier run as far as threads allow, and
//! `COUNTERFOIL_FAULTS_AT_ONCE` how many are under way at a time.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests say what broke by failing, and a seed is worth nothing untold"
)]

#[expect(
    dead_code,
    unused_imports,
    reason = "the harness of tests/api, of which this needs a part"
)]
#[path = "../api/support/mod.rs"]
mod support;

mod buyer;
mod chaos;
mod kind;
mod sent;
mod told;
mod totals;
mod transfers;
mod world;

use std::{sync::Arc, time::Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    sync::Semaphore,
    task::{JoinSet, LocalSet},
    time::{Duration, interval},
};

use buyer::Buyer;
use kind::Kind;
use support::run;
use totals::Totals;
use world::World;

const NAME: &str = "purchases_under_faults";
const PURCHASES: usize = 60;
/// Fewer in a short run, so that it meets as many faults.
const AT_ONCE: (usize, usize) = (8, 64);
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

fn main() {
    if is_asked_for() {
        // Buyers stay on one thread; the service and the node have processes of their own.
        run(LocalSet::new().run_until(purchases_under_faults()));
    }
}

/// Whether the command line of `cargo test` means this test: there is but one, and no harness.
fn is_asked_for() -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|it| it == "--list") {
        println!("{NAME}: test");
        return false;
    }
    let mut filters = arguments
        .iter()
        .filter(|it| !it.starts_with('-'))
        .peekable();
    filters.peek().is_none() || filters.any(|filter| NAME.contains(filter.as_str()))
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(format!("COUNTERFOIL_FAULTS_{name}")).ok()?;
    Some(text.parse().expect("a number"))
}

fn count(name: &str, usual: usize) -> usize {
    variable(name).map_or(usual, |count| usize::try_from(count).unwrap())
}

async fn purchases_under_faults() {
    let seed = variable("SEED").unwrap_or_else(|| rand::rng().random_range(0..1 << 32));
    let purchases = count("PURCHASES", PURCHASES);
    println!("{NAME}: {purchases} purchases, COUNTERFOIL_FAULTS_SEED={seed}");
    let start = Instant::now();
    let mut dice = StdRng::seed_from_u64(seed);
    let (world, house) = World::start().await;
    let mut buyers = Vec::with_capacity(purchases);
    for _ in 0..purchases {
        let kind = Kind::random(&mut dice);
        buyers.push(Buyer::new(&world, kind, dice.random()).await);
    }
    println!("{:4} s: all have their dollars", start.elapsed().as_secs());

    let chaos = chaos::begin(&world, house, &mut dice).await;
    let buyers = rush(&world, buyers, start).await;
    let mut house = chaos.end().await;
    world.run_out().await;
    let mut totals = Totals::new(seed, &world);
    for buyer in &buyers {
        totals.count(buyer, &buyer.last_word(&house).await);
    }
    totals.balance(&house, &buyers).await;
    println!("{totals}");
    println!("{:4} s: done", start.elapsed().as_secs());
    house.terminate().await;
}

/// Lets all of them buy, many at a time, and tells how far they are.
async fn rush(world: &Arc<World>, buyers: Vec<Buyer>, start: Instant) -> Vec<Buyer> {
    let all = buyers.len();
    let at_once = (all / 4).clamp(AT_ONCE.0, AT_ONCE.1);
    let places = Arc::new(Semaphore::new(count("AT_ONCE", at_once)));
    let mut buying = JoinSet::new();
    for mut buyer in buyers {
        let (world, places) = (world.clone(), places.clone());
        buying.spawn_local(async move {
            let _place = places.acquire_owned().await.unwrap();
            buyer.buy(&world).await;
            buyer
        });
    }
    let mut ticks = interval(PROGRESS_EVERY);
    let mut done = Vec::with_capacity(all);
    while done.len() < all {
        tokio::select! {
            buyer = buying.join_next() => done.push(buyer.unwrap().unwrap()),
            _ = ticks.tick() => {
                let (seconds, kills) = (start.elapsed().as_secs(), world.kills());
                println!("{seconds:4} s: {} of {all} are through, {kills} kills", done.len());
            }
        }
    }
    done
}
