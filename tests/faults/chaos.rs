//! Everything that goes wrong: kills, a node that is slow, deaf, forgetful or wrong about what it
//! did, and blocks at odd times.

use std::{sync::Arc, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::{
    task::{JoinHandle, spawn_local},
    time::sleep,
};

use crate::{
    support::{Fault, House},
    world::World,
};
use serde_json::{Value, json};

/// What a line or a node does to one method's calls for a while. A node may leave out and lag, and
/// say anything of a broadcast; it does not invent facts, since nobody could judge without one that
/// is right.
const FAULTS: [(&str, Fault); 27] = [
    ("*", Fault::Lost),
    ("*", Fault::Slow(Duration::from_millis(40))),
    ("*", Fault::Refused("rate limit exceeded")),
    ("eth_sendRawTransaction", Fault::Lost),
    ("eth_sendRawTransaction", Fault::Unheard),
    ("eth_sendRawTransaction", Fault::Unheard),
    (
        "eth_sendRawTransaction",
        Fault::Slow(Duration::from_millis(900)),
    ),
    ("eth_sendRawTransaction", Fault::Refused("already known")),
    ("eth_sendRawTransaction", Fault::Refused("nonce too low")),
    ("eth_sendRawTransaction", Fault::Refused("internal error")),
    ("eth_sendRawTransaction", Fault::Denied("nonce too low")),
    (
        "eth_sendRawTransaction",
        Fault::Denied("insufficient funds"),
    ),
    (
        "eth_sendRawTransaction",
        Fault::Denied("transaction underpriced"),
    ),
    ("eth_sendRawTransaction", Fault::Denied("internal error")),
    ("eth_getTransactionReceipt", Fault::Lost),
    ("eth_getTransactionReceipt", Fault::Nothing),
    (
        "eth_getTransactionReceipt",
        Fault::Refused("header not found"),
    ),
    ("eth_getLogs", Fault::Lost),
    ("eth_getLogs", Fault::Empty),
    (
        "eth_getLogs",
        Fault::Refused("query returned more than 10000 results"),
    ),
    ("eth_getTransactionCount", Fault::Lost),
    ("eth_getTransactionCount", Fault::Says("0x0")),
    ("eth_call", Fault::Lost),
    ("eth_call", Fault::Refused("header not found")),
    ("eth_estimateGas", Fault::Refused("rate limit exceeded")),
    ("eth_getBlockByNumber", Fault::Lost),
    ("eth_feeHistory", Fault::Slow(Duration::from_secs(1))),
];

const SEND_AGAIN_EVERY: Duration = Duration::from_secs(1);

const GWEI: u64 = 1_000_000_000;

/// What is wrong with the world, until it is ended.
pub(crate) struct Chaos {
    world: Arc<World>,
    killer: JoinHandle<House>,
    line: JoinHandle<()>,
    miner: JoinHandle<()>,
    payers: JoinHandle<()>,
}

pub(crate) async fn begin(world: &Arc<World>, house: House, dice: &mut StdRng) -> Chaos {
    world.chain.set_automine(false).await.unwrap();
    let mut fork = || StdRng::seed_from_u64(dice.random());
    Chaos {
        world: world.clone(),
        killer: spawn_local(kill(world.clone(), house, fork())),
        line: spawn_local(garble(world.clone(), fork())),
        miner: spawn_local(mine(world.clone(), fork())),
        payers: spawn_local(send_again(world.clone())),
    }
}

impl Chaos {
    /// All is well again, and a block comes with every transaction.
    pub(crate) async fn end(self) -> House {
        self.world.calm_down();
        self.line.await.unwrap();
        self.world.proxy.mend();
        let house = self.killer.await.unwrap();
        self.miner.await.unwrap();
        self.payers.await.unwrap();
        self.world.chain.set_next_base_fee(GWEI).await.unwrap();
        self.world.chain.mine(1).await.unwrap();
        self.world.chain.set_automine(true).await.unwrap();
        self.world.all_is_mined().await;
        house
    }
}

/// Ends the service as a power cut would, again and again, sometimes while it starts; now and then as
/// an operator would.
async fn kill(world: Arc<World>, mut house: House, mut dice: StdRng) -> House {
    while !world.is_calm() {
        sleep(Duration::from_millis(dice.random_range(300..4_000))).await;
        if dice.random_ratio(1, 6) {
            let status = house.terminate().await;
            assert!(status.success(), "{status}");
        } else {
            house.kill_9().await;
            world.killed();
        }
        if dice.random_ratio(1, 4) {
            let after = Duration::from_millis(dice.random_range(0..150));
            house.start_and_kill(after).await;
            world.killed();
        }
        house.start().await;
        world.moved(&house);
    }
    house
}

/// One fault or two at a time, and a moment without.
async fn garble(world: Arc<World>, mut dice: StdRng) {
    let proxy = &world.proxy;
    while !world.is_calm() {
        proxy.mend();
        let pause = dice.random_range(100..1_000);
        sleep(Duration::from_millis(pause)).await;
        for _ in 0..dice.random_range(1..=2) {
            let (method, fault) = *FAULTS.choose(&mut dice).unwrap();
            proxy.fail(method, fault);
        }
        let pause = dice.random_range(100..1_500);
        sleep(Duration::from_millis(pause)).await;
    }
}

/// A block now and then, and sometimes none for long. The node forgets what it has not mined, and
/// gas becomes dear at once and cheap by and by.
async fn mine(world: Arc<World>, mut dice: StdRng) {
    let chain = &world.chain;
    while !world.is_calm() {
        let pause = if dice.random_ratio(1, 20) {
            dice.random_range(2_000..4_000)
        } else {
            dice.random_range(200..1_000)
        };
        sleep(Duration::from_millis(pause)).await;
        if dice.random_ratio(1, 10) {
            let forgotten = chain.rpc("anvil_dropAllTransactions", json!([]));
            let _: Value = forgotten.await.unwrap();
            world.forgot();
        }
        if dice.random_ratio(1, 25) {
            let wei = dice.random_range(5..40) * GWEI;
            chain.set_next_base_fee(wei).await.unwrap();
            world.became_dear();
        }
        chain.mine(1).await.unwrap();
    }
}

/// What the node loses comes again.
async fn send_again(world: Arc<World>) {
    while !world.is_calm() {
        sleep(SEND_AGAIN_EVERY).await;
        world.send_again().await;
    }
}
