//! The service is killed at random moments while others settle, lie and fail, and nothing is lost or
//! gained. The seed is that of `crash.rs`.

use std::collections::BTreeMap;

use rand::{Rng, rngs::StdRng};

use crate::{
    crash::{all_credited, crash, dice, remember, rounds},
    support::{Chain, Does, Facilitator, House, Reply, Request, Says, Setup, Wallet, run},
};

/// Each in a round takes its turn to fail, and to be asked again.
const ROUNDS_SHARE: usize = 3;

fn throw(facilitator: &Facilitator, payer: &Wallet, dice: &mut StdRng) {
    let settles = dice.random_ratio(1, 2);
    let does = if settles { Does::Settle } else { Does::Nothing };
    let says = match dice.random_range(0..6) {
        0 if settles => Says::Success,
        1 => Says::Status(500),
        2 => Says::Silence,
        3 => Says::HalfAnAnswer,
        4 => Says::Redirect,
        _ => Says::Failure,
    };
    facilitator.next(payer, does, says);
}

#[test]
fn purchases_that_others_settle_survive_kills() {
    run(async {
        let mut dice = dice("purchases_that_others_settle_survive_kills");
        let chain = Chain::shared().await;
        let facilitator = Facilitator::start(&chain).await;
        let list = format!(
            "facilitator = [{{ url = {:?}, timeout_ms = 500 }}]\n# no relayer_key_file",
            facilitator.url
        );
        let setup = Setup::on(chain.clone());
        let setup = setup.with("facilitator = \"local\"\nrelayer_key_file", &list);
        let mut house = House::with(setup).await;
        let mut bought = BTreeMap::new();
        for _ in 0..rounds().div_ceil(ROUNDS_SHARE) {
            let mut requests = Vec::new();
            for _ in 0..6 {
                let wallet = Wallet::random();
                house.chain_dollars(&wallet, 400).await;
                for credits in [100, 300] {
                    let payment = house.quote(&wallet, credits).await;
                    requests.push(Request::purchase(&wallet, credits, &payment));
                    throw(&facilitator, &wallet, &mut dice);
                }
                bought.insert(wallet.name(), wallet);
            }
            let mut told: Vec<Option<Reply>> = vec![None; requests.len()];
            for _ in 0..2 {
                let sender = house.sender();
                let sent = requests.clone();
                let sent = tokio::spawn(async move { sender.send_all(&sent).await });
                crash(&mut house, &mut dice, 500).await;
                for (told, now) in told.iter_mut().zip(sent.await.unwrap()) {
                    remember(told, now);
                }
            }
            for (request, told) in requests.iter().zip(&mut told) {
                let reply = house.outcome(request).await.expect(200);
                assert_eq!(reply.json["status"], "credited");
                remember(told, Some(reply));
            }
            all_credited(&house, &bought).await;
        }
        let asked = facilitator.requests().len();
        println!("{:?}, {asked} requests", house.books().await.payments);
    });
}
