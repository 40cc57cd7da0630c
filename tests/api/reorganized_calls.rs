//! Calls that were paid one by one, and whose payments the chain drops.

use alloy::primitives::U256;
use serde_json::{Value, json};

use crate::support::{Paid, Payment, Request, Scene, Wallet, run, until};

/// An action whose payment settles before it runs.
const FIRST: (&str, &str) = (
    "[[tool]]\nslug = \"echo\"",
    r#"[[tool]]
slug = "first"
base_url = "TOOLS"

[[tool.action]]
slug = "gate"
path = "/gate"
price_credits = "4"
settle_first = true

[[tool]]
slug = "echo""#,
);

fn path(product: &str, action: &str) -> String {
    format!("/api/external/tools/{product}/actions/{action}/invoke")
}

fn bern() -> Value {
    json!({ "place": "Bern" })
}

fn request(product: &str, action: &str, payment: &Payment) -> Request {
    Request::direct(&path(product, action), &bern(), payment)
}

/// A payment for one call, with the USDC for it.
async fn payment(scene: &Scene, wallet: &Wallet, product: &str, action: &str) -> Payment {
    let quote = scene.house.post(&path(product, action), &bern()).await;
    let mut payment = Payment::of(&quote.expect(402), wallet);
    payment.identify("the-payers-own-name-for-it");
    let house = &scene.house;
    house.chain.mint(wallet.address(), payment.amount()).await;
    payment
}

/// A call that was paid and answered.
async fn forecast(scene: &Scene) -> Paid {
    let wallet = Wallet::random();
    let payment = payment(scene, &wallet, "weather", "forecast").await;
    paid(scene, wallet, payment).await
}

async fn paid(scene: &Scene, wallet: Wallet, payment: Payment) -> Paid {
    let before = scene.house.chain.snapshot().await.unwrap();
    let call = request("weather", "forecast", &payment);
    scene.house.send(&call).await.expect(200);
    scene.closed().await;
    Paid {
        wallet,
        payment,
        id: Value::Null,
        before,
    }
}

async fn until_payments(scene: &Scene, way_and_state: &str) {
    until(way_and_state, async || {
        scene.house.books().await.payments(way_and_state) == 1
    })
    .await;
}

#[test]
fn a_dropped_payment_for_a_call_that_was_answered_is_the_houses_loss_until_it_comes_again() {
    run(async {
        let scene = Scene::new(1).await;
        let paid = forecast(&scene).await;
        assert_eq!(scene.books().await.revenue(), 50_000);
        scene.undo(&paid).await;
        scene.show().await;
        until_payments(&scene, "direct broadcast").await;
        let books = scene.house.books().await;
        assert_eq!((books.cash(), books.lost()), (0, 50_000));
        assert_eq!(books.revenue(), 50_000);
        // The payer comes back for the output, and may not call before the first call is settled.
        let call = request("weather", "forecast", &paid.payment);
        scene.house.send(&call).await.expect(202);

        scene.house.chain.set_automine(true).await.unwrap();
        let books = scene.books().await;
        assert_eq!((books.cash(), books.lost()), (50_000, 0));
        assert_eq!((books.revenue(), books.units(&paid.wallet)), (50_000, 0));
        scene.house.send(&call).await.expect(200);
        assert_eq!(scene.house.tools.count(), 1);
    });
}

#[test]
fn a_payer_who_cancels_the_dropped_payment_of_an_answered_call_is_barred() {
    run(async {
        let scene = Scene::new(1).await;
        let paid = forecast(&scene).await;
        scene.undo(&paid).await;
        scene.house.chain.cancel(&paid.payment, &paid.wallet).await;
        scene.show().await;
        until_payments(&scene, "direct failed").await;
        let books = scene.books().await;
        assert_eq!((books.cash(), books.lost()), (0, 50_000));
        assert_eq!(books.barred, 1);
    });
}

#[test]
fn a_payment_that_is_dropped_while_its_tool_runs_is_waited_for() {
    run(async {
        let scene = Scene::with(1, &[FIRST]).await;
        let wallet = Wallet::random();
        let payment = payment(&scene, &wallet, "first", "gate").await;
        let before = scene.house.chain.snapshot().await.unwrap();
        let call = request("first", "gate", &payment);
        let (sender, sent) = (scene.house.sender(), call.clone());
        let running = tokio::spawn(async move { sender.send(&sent).await.unwrap() });
        scene.house.tools.asked(1).await;
        assert_eq!(scene.house.books().await.payments("direct confirmed"), 1);
        let paid = Paid {
            wallet,
            payment,
            id: Value::Null,
            before,
        };
        scene.undo(&paid).await;
        scene.show().await;
        until_payments(&scene, "direct broadcast").await;
        scene.house.tools.open_gate();
        // Its output is for those who paid.
        running.await.unwrap().expect(202);
        let books = scene.house.books().await;
        assert_eq!((books.cash(), books.revenue(), books.lost()), (0, 0, 0));

        scene.house.chain.set_automine(true).await.unwrap();
        let books = scene.books().await;
        assert_eq!((books.revenue(), books.lost()), (40_000, 0));
        let reply = scene.house.send(&call).await.expect(200);
        assert!(reply.text().contains("open"));
        assert_eq!(scene.house.tools.count(), 1);
    });
}

#[test]
fn a_payment_is_taken_back_though_its_payer_has_another_call_running() {
    run(async {
        let scene = Scene::new(1).await;
        let wallet = Wallet::random();
        let second = payment(&scene, &wallet, "trouble", "gate").await;
        let first = payment(&scene, &wallet, "weather", "forecast").await;
        let paid = paid(&scene, wallet, first).await;
        let call = request("trouble", "gate", &second);
        let sender = scene.house.sender();
        let running = tokio::spawn(async move { sender.send(&call).await.unwrap() });
        scene.house.tools.asked(2).await;
        scene.undo(&paid).await;
        scene.show().await;
        until_payments(&scene, "direct broadcast").await;
        assert_eq!(scene.house.books().await.payments("direct authorized"), 1);
        scene.house.chain.set_automine(true).await.unwrap();
        scene.house.tools.open_gate();
        running.await.unwrap();
        let books = scene.books().await;
        assert_eq!((books.revenue(), books.lost()), (80_000, 0));
        assert_eq!(scene.house.received().await, U256::from(80_000));
    });
}
