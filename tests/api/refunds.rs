//! `counterfoil admin refund`: what is unspent of a purchase goes back to its payer, once, whatever
//! crashes in between, and the books have exactly what the chain has.

use std::{sync::Arc, time::Duration};

use alloy::primitives::{Address, B256, U256};
use serde_json::{Value, json};

use crate::support::{
    Books, Call, Chain, Fault, House, Payment, Proxy, Request, Setup, Wallet, books,
    cli::{Ran, ended},
    client::purchase,
    run, until,
};

const SOON: (&str, &str) = ("settle_wait_seconds = 20", "settle_wait_seconds = 1");
const GWEI: u64 = 1_000_000_000;
/// What the float has at first, in base units.
const FLOAT: u64 = 50_000_000;

/// A house that can refund, and its float.
struct Place {
    house: House,
    float: Address,
}

impl Place {
    async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    async fn with(setup: Setup) -> Self {
        let mut house = House::prepare(setup).await;
        let float = house.add_relayer("float.key").await;
        house.chain.mint(float, U256::from(FLOAT)).await;
        let line = "facilitator = \"local\"";
        house.configure(line, &format!("{line}\nrefund_key_file = \"float.key\""));
        house.start().await;
        Self { house, float }
    }

    /// On a node of its own, with little patience.
    async fn own() -> Self {
        let chain = Arc::new(Chain::own().await);
        Self::with(Setup::on(chain).with(SOON.0, SOON.1)).await
    }

    async fn wired() -> (Self, Proxy) {
        let chain = Chain::shared().await;
        let proxy = Proxy::start(&chain).await;
        let setup = Setup::on(chain.clone()).with(SOON.0, SOON.1);
        let setup = setup.with(chain.rpc_url().as_str(), &proxy.url);
        (Self::with(setup).await, proxy)
    }

    /// Buys credits: the purchase's id.
    async fn buy(&self, wallet: &Wallet, credits: u64) -> String {
        let reply = self.house.buy(wallet, credits).await.expect(200);
        reply.json["purchase_id"].as_str().unwrap().to_owned()
    }

    /// A wallet that bought so many credits, and the purchase's id.
    async fn bought(&self, credits: u64) -> (Wallet, String) {
        let wallet = Wallet::random();
        let id = self.buy(&wallet, credits).await;
        (wallet, id)
    }

    /// Spends 5 credits a call.
    async fn spend(&self, wallet: &Wallet, calls: usize) {
        let session = self.house.session(wallet).await;
        for call in 0..calls {
            let call = Call::forecast(wallet, &session, &format!("call-{call}"));
            self.house.call(&call).await.expect(200);
        }
    }

    async fn refund(&self, id: &str) -> Ran {
        self.house
            .run(&self.command(id).each_ref().map(String::as_str))
            .await
    }

    fn command(&self, id: &str) -> [String; 6] {
        let config = self.house.config_path().display().to_string();
        ["admin", "refund", id, "--json", "--config", &config].map(str::to_owned)
    }

    /// Runs the command until the refund has ended.
    async fn paid(&self, id: &str) -> Value {
        for _ in 0..30 {
            let ran = self.refund(id).await.expect(0);
            if ran.json["state"] == "paid" {
                return ran.json;
            }
        }
        panic!("not paid\n{}", self.house.stderr());
    }

    /// The float, for whoever has its key.
    fn float_key(&self) -> Wallet {
        let key = std::fs::read_to_string(self.house.path("float.key")).unwrap();
        Wallet(key.trim().parse().unwrap())
    }

    async fn holds(&self, account: Address) -> U256 {
        self.house.chain.balance_of(account).await.unwrap()
    }

    /// What the float has paid, in base units.
    async fn paid_out(&self) -> U256 {
        U256::from(FLOAT) - self.holds(self.float).await
    }

    /// The books, which have what arrived less what went back, to the unit.
    async fn balanced(&self) -> Books {
        let books = self.house.settled_books().await;
        assert_eq!(books.refunds(), 0, "{books:#?}");
        let kept = self.house.received().await - self.paid_out().await;
        assert_eq!(U256::from(books.cash()), kept);
        books
    }

    /// Waits until the service has signed `count` transactions of the float's.
    async fn signed(&self, count: usize) -> Vec<B256> {
        until("nothing is signed", async || {
            self.sent().await.len() == count
        })
        .await;
        self.sent().await
    }

    async fn sent(&self) -> Vec<B256> {
        let relayed = self.house.relayed().await;
        let sent = relayed.iter().filter(|it| it.relayer == self.float);
        sent.map(|it| it.hash).collect()
    }
}

fn credits(base_units: U256) -> U256 {
    base_units / U256::from(10_000)
}

#[test]
fn an_unspent_purchase_goes_back_whole_and_once() {
    run(async {
        let place = Place::new().await;
        let (wallet, id) = place.bought(300).await;
        let refund = place.refund(&id).await.expect(0).json;
        assert_eq!(
            (&refund["state"], &refund["credits"]),
            (&json!("paid"), &json!(300))
        );
        assert_eq!(
            (&refund["amount"], &refund["symbol"]),
            (&json!("3000000"), &json!("USDC"))
        );
        assert_eq!(refund["payer"], wallet.name());
        assert_eq!(refund["payment"], *id);
        let transaction: B256 = refund["transaction"].as_str().unwrap().parse().unwrap();
        assert_eq!(place.house.chain.succeeded(transaction).await, Some(true));
        assert_eq!(place.holds(wallet.address()).await, U256::from(3_000_000));

        let again = place.refund(&id).await.expect(0).json;
        assert_eq!(again, refund);
        assert_eq!(place.holds(wallet.address()).await, U256::from(3_000_000));
        let books = place.balanced().await;
        assert_eq!((books.units(&wallet), books.cash()), (0, 0));
        // The purchase is what it was.
        let status = place.house.status(&json!(id)).await;
        assert_eq!(status["status"], "credited");
    });
}

#[test]
fn a_refund_needs_no_running_service() {
    run(async {
        let mut place = Place::new().await;
        let (wallet, id) = place.bought(100).await;
        place.house.terminate().await;
        let refund = place.paid(&id).await;
        assert_eq!(place.holds(wallet.address()).await, U256::from(1_000_000));
        place.house.start().await;
        assert_eq!(place.refund(&id).await.expect(0).json, refund);
        assert_eq!(place.balanced().await.cash(), 0);
    });
}

#[test]
fn of_several_purchases_the_oldest_is_spent_first() {
    run(async {
        let place = Place::new().await;
        let (wallet, first) = place.bought(100).await;
        let second = place.buy(&wallet, 200).await;
        let third = place.buy(&wallet, 300).await;
        place.spend(&wallet, 23).await;
        // 115 are spent: all of the first, 15 of the second.
        place.refund(&first).await.failed(1, "NOTHING_LEFT");
        let last = place.refund(&third).await.expect(0).json;
        assert_eq!(last["credits"], 300);
        let middle = place.refund(&second).await.expect(0).json;
        assert_eq!(middle["credits"], 185);
        assert_eq!(
            credits(place.holds(wallet.address()).await),
            U256::from(485)
        );
        let books = place.balanced().await;
        assert_eq!(books.units(&wallet), 0);
        assert_eq!(books.revenue(), 1_150_000);

        // What comes later is apart from what was refunded.
        let fourth = place.buy(&wallet, 100).await;
        place.refund(&first).await.failed(1, "NOTHING_LEFT");
        place.spend(&wallet, 1).await;
        let refund = place.refund(&fourth).await.expect(0).json;
        assert_eq!(refund["credits"], 95);
        place.balanced().await;
    });
}

#[test]
fn what_a_running_call_holds_is_not_refunded() {
    run(async {
        let place = Place::new().await;
        let (wallet, id) = place.bought(100).await;
        let session = place.house.session(&wallet).await;
        let call = Call::of(&wallet, &session, "gated", "trouble", "gate");
        let (sender, request) = (place.house.sender(), Request::signed(&call));
        let calling = tokio::spawn(async move { sender.send(&request).await.unwrap() });
        until("it does not run", async || {
            place.house.books().await.charges("held") == 1
        })
        .await;
        let refund = place.refund(&id).await.expect(0).json;
        assert_eq!(refund["credits"], 97);
        place.house.tools.open_gate();
        calling.await.unwrap().expect(200);
        let books = place.balanced().await;
        assert_eq!((books.units(&wallet), books.revenue()), (0, 30_000));
    });
}

#[test]
fn the_payer_is_paid_and_not_the_wallet() {
    run(async {
        let place = Place::new().await;
        let (payer, friend) = (Wallet::random(), Wallet::random());
        place.house.chain_dollars(&payer, 100).await;
        let payment = place.house.quote(&payer, 100).await;
        let mut body = purchase(&friend, 100);
        body["sponsor_signature"] = payer.sponsor(&friend, 100, payment.nonce()).into();
        let header = payment.header();
        let paid = place.house.pay_header(&body, "payment-signature", &header);
        let id = paid.await.expect(200).json["purchase_id"].clone();
        place.refund(id.as_str().unwrap()).await.expect(0);
        assert_eq!(place.holds(payer.address()).await, U256::from(1_000_000));
        assert_eq!(place.holds(friend.address()).await, U256::ZERO);
        assert_eq!(place.balanced().await.units(&friend), 0);
    });
}

#[test]
fn only_credits_are_refunded() {
    run(async {
        let place = Place::new().await;
        let unknown = format!("pur_{}", "0".repeat(32));
        place.refund(&unknown).await.failed(1, "PURCHASE_NOT_FOUND");
        // A payment for one call that was delivered.
        let wallet = Wallet::random();
        place.house.chain_dollars(&wallet, 5).await;
        let path = "/api/external/tools/weather/actions/forecast/invoke";
        let parameters = json!({ "place": "Bern" });
        let quote = place.house.post(path, &parameters).await.expect(402);
        let payment = Payment::of(&quote, &wallet);
        let request = Request::direct(path, &parameters, &payment);
        place.house.send(&request).await.expect(200);
        let ids = books::payments(&place.house.path("books.db")).await;
        place.refund(&ids[0]).await.failed(1, "NOT_REFUNDABLE");
        assert_eq!(place.paid_out().await, U256::ZERO);
        assert_eq!(place.balanced().await.revenue(), 50_000);
    });
}

#[test]
fn refunds_at_once_are_one_for_each_purchase() {
    run(async {
        let place = Place::new().await;
        let (wallet, first) = place.bought(100).await;
        let second = place.buy(&wallet, 200).await;
        let mut running = Vec::new();
        for id in [&first, &second, &first, &second, &first] {
            let command = place.command(id);
            running.push(place.house.spawn(&command.each_ref().map(String::as_str)));
        }
        for child in running {
            ended(child).await.expect(0);
        }
        let (first, second) = (place.paid(&first).await, place.paid(&second).await);
        assert_ne!(first["transaction"], second["transaction"]);
        assert_eq!(place.sent().await.len(), 2);
        assert_eq!(place.holds(wallet.address()).await, U256::from(3_000_000));
        assert_eq!(place.balanced().await.units(&wallet), 0);
    });
}

#[test]
fn the_cap_bounds_what_leaves_in_a_day() {
    run(async {
        let place = Place::new().await;
        let (_, first) = place.bought(100).await;
        let (wallet, second) = place.bought(200).await;
        let mut house = place.house;
        house.configure("\"float.key\"", "\"float.key\"\nrefund_cap_credits = 250");
        house.restart().await;
        let place = Place { house, ..place };
        place.refund(&first).await.expect(0);
        let refused = place.refund(&second).await.failed(1, "REFUND_CAP_REACHED");
        let detail = refused.json["error"]["detail"].as_str().unwrap();
        assert!(
            detail.contains("200 credits") && detail.contains("100 of the 250"),
            "{detail}"
        );
        assert_eq!(place.balanced().await.units(&wallet), 2_000_000);
        place.spend(&wallet, 10).await;
        place.refund(&second).await.expect(0);
        assert_eq!(
            credits(place.holds(wallet.address()).await),
            U256::from(150)
        );
        place.balanced().await;
    });
}

#[test]
fn without_a_float_refunds_are_refused() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let bought = house.buy(&wallet, 100).await.expect(200);
        let id = bought.json["purchase_id"].as_str().unwrap();
        let config = house.config_path().display().to_string();
        let ran = house
            .run(&["admin", "refund", id, "--json", "--config", &config])
            .await;
        let ran = ran.failed(1, "REFUNDS_OFF");
        let detail = ran.json["error"]["detail"].as_str().unwrap();
        for named in ["eip155:84532", "refund_key_file"] {
            assert!(detail.contains(named), "{detail}");
        }
        assert_eq!(house.books().await.units(&wallet), 1_000_000);
    });
}

#[test]
fn a_float_is_an_account_of_its_own() {
    run(async {
        let house = House::prepare(Setup::default()).await;
        let line = "facilitator = \"local\"";
        house.configure(line, &format!("{line}\nrefund_key_file = \"relayer.key\""));
        let (status, said) = house.refused().await;
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains("refund_key_file holds the key of"), "{said}");

        let float = house.add_relayer("float.key").await;
        house.configure(
            "refund_key_file = \"relayer.key\"",
            "refund_key_file = \"float.key\"",
        );
        house.configure(&format!("{:#x}", house.pay_to), &format!("{float:#x}"));
        let (status, said) = house.refused().await;
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains("is pay_to or a relayer"), "{said}");
    });
}

#[test]
fn what_cannot_be_paid_is_not_taken() {
    run(async {
        let place = Place::own().await;
        let (wallet, id) = place.bought(100).await;
        let before = place.balanced().await;

        place.house.chain.blacklist(wallet.address(), true).await;
        let refused = place.refund(&id).await.failed(1, "REFUND_WOULD_FAIL");
        let detail = refused.json["error"]["detail"].as_str().unwrap();
        assert!(detail.contains("blacklisted"), "{detail}");
        place.house.chain.blacklist(wallet.address(), false).await;

        let set = place
            .house
            .chain
            .rpc("anvil_setBalance", json!([place.float, "0x0"]));
        let () = set.await.unwrap();
        place.refund(&id).await.failed(1, "FLOAT_SHORT");
        place.house.chain.fund_gas(place.float).await.unwrap();

        // Its own tokens are gone.
        let float = place.float_key();
        place
            .house
            .chain
            .move_away(&float, U256::from(FLOAT - 999_999))
            .await;
        let refused = place.refund(&id).await.failed(1, "FLOAT_SHORT");
        let detail = refused.json["error"]["detail"].as_str().unwrap();
        assert!(
            detail.contains("holds 999999") && detail.contains("needs 1000000"),
            "{detail}"
        );
        assert_eq!(place.house.books().await, before);
        assert!(place.sent().await.is_empty());

        place
            .house
            .chain
            .mint(place.float, U256::from(FLOAT - 999_999))
            .await;
        place.refund(&id).await.expect(0);
        assert_eq!(place.balanced().await.units(&wallet), 0);
    });
}

#[test]
fn a_transfer_that_fails_on_the_chain_gives_the_credits_back() {
    run(async {
        let place = Place::own().await;
        let (wallet, id) = place.bought(100).await;
        place.house.chain.set_automine(false).await.unwrap();
        let refund = place.refund(&id).await.expect(0).json;
        assert_eq!(refund["state"], "broadcast");
        // Taken back at once: nobody spends what is on its way.
        let books = place.house.books().await;
        assert_eq!((books.units(&wallet), books.refunds()), (0, 1_000_000));
        place.house.chain.blacklist(wallet.address(), true).await;
        place.house.chain.mine(1).await.unwrap();
        let ours = place.sent().await[0];
        assert_eq!(place.house.chain.succeeded(ours).await, Some(false));
        until("the credits are not back", async || {
            place.house.books().await.units(&wallet) == 1_000_000
        })
        .await;
        place.house.chain.set_automine(true).await.unwrap();
        place.house.chain.mine(1).await.unwrap();
        assert_eq!(place.balanced().await.units(&wallet), 1_000_000);
        place.spend(&wallet, 1).await;

        // A void refund stands in nobody's way.
        place.refund(&id).await.failed(1, "REFUND_WOULD_FAIL");
        place.house.chain.blacklist(wallet.address(), false).await;
        let second = place.paid(&id).await;
        assert_ne!(second["refund"], refund["refund"]);
        assert_eq!(second["credits"], 95);
        assert_eq!(place.balanced().await.units(&wallet), 0);
    });
}

#[test]
fn a_payer_who_empties_its_account_on_the_way_is_paid_all_the_same() {
    run(async {
        let place = Place::own().await;
        let (wallet, id) = place.bought(100).await;
        place.house.chain_dollars(&wallet, 1).await;
        place.house.chain.set_automine(false).await.unwrap();
        place.refund(&id).await.expect(0);
        // Mined before it, and so the transfer has to write where nothing is.
        place
            .house
            .chain
            .move_away(&wallet, U256::from(10_000))
            .await;
        place.house.chain.mine(1).await.unwrap();
        place.paid(&id).await;
        assert_eq!(place.holds(wallet.address()).await, U256::from(1_000_000));
        assert_eq!(place.balanced().await.units(&wallet), 0);
    });
}

#[test]
fn an_account_nonce_that_something_else_took_gives_the_credits_back() {
    run(async {
        let place = Place::own().await;
        let (wallet, id) = place.bought(100).await;
        place.house.chain.set_automine(false).await.unwrap();
        place.refund(&id).await.expect(0);
        let ours = place.sent().await[0];
        // The operator uses the float's key elsewhere, and pays the payer the very amount by hand.
        let dropped = place
            .house
            .chain
            .rpc("anvil_dropTransaction", json!([ours]));
        let _: Option<B256> = dropped.await.unwrap();
        let (from, to) = (place.float_key().address(), wallet.address());
        let by_hand = place.house.chain.transfer(from, to, 1_000_000);
        let by_hand = by_hand.await;
        place.house.chain.mine(1).await.unwrap();
        assert_eq!(place.house.chain.succeeded(by_hand).await, Some(true));
        assert_eq!(place.house.chain.succeeded(ours).await, None);
        until("the credits are not back", async || {
            place.house.books().await.units(&wallet) == 1_000_000
        })
        .await;
        assert_eq!(place.house.books().await.refunds(), 0);
    });
}

/// What fails, and how many of the float's transactions are signed by then.
const FAULTS: [(&str, Fault, usize); 3] = [
    ("eth_getTransactionCount", Fault::Lost, 0),
    ("eth_sendRawTransaction", Fault::Lost, 1),
    ("eth_sendRawTransaction", Fault::Unheard, 1),
];

#[test]
fn a_refund_that_breaks_off_anywhere_is_paid_once() {
    run(async {
        for (method, fault, signed) in FAULTS {
            for killed in [false, true] {
                let (mut place, proxy) = Place::wired().await;
                let (wallet, id) = place.bought(100).await;
                // The service has looked at everything once before it takes the credits.
                proxy.fail("eth_estimateGas", Fault::Slow(Duration::from_millis(300)));
                let before = proxy.count("eth_estimateGas");
                let command = place.command(&id);
                let child = place.house.spawn(&command.each_ref().map(String::as_str));
                until("it is not held", async || {
                    proxy.count("eth_estimateGas") == before + 2
                })
                .await;
                proxy.fail(method, fault);
                assert_eq!(place.house.books().await.refunds(), 1_000_000, "{method}");
                if killed && signed == 0 {
                    place.house.kill_9().await;
                }
                let ran = ended(child).await;
                if fault != Fault::Unheard && !(killed && signed == 0) {
                    let state = if signed == 0 { "held" } else { "broadcast" };
                    assert_eq!(ran.expect(0).json["state"], state, "{method}");
                }
                let sent = place.sent().await;
                assert_eq!(sent.len(), signed, "{method}");
                if killed {
                    if signed > 0 {
                        place.house.kill_9().await;
                    }
                    place.house.start().await;
                    place.refund(&id).await.expect(0);
                }
                proxy.mend();
                let refund = place.paid(&id).await;
                if let [sent] = sent.as_slice() {
                    assert_eq!(refund["transaction"], format!("{sent:#x}"));
                }
                assert_eq!(place.sent().await.len(), 1);
                assert_eq!(place.holds(wallet.address()).await, U256::from(1_000_000));
                assert_eq!(place.balanced().await.units(&wallet), 0);
            }
        }
    });
}

#[test]
fn a_kill_at_any_moment_leaves_one_refund() {
    run(async {
        for after_ms in [1, 15, 30, 45, 60, 90, 140] {
            let (mut place, proxy) = Place::wired().await;
            proxy.fail("*", Fault::Slow(Duration::from_millis(5)));
            let (wallet, id) = place.bought(100).await;
            let command = place.command(&id);
            let child = place.house.spawn(&command.each_ref().map(String::as_str));
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            place.house.kill_9().await;
            drop(ended(child).await);
            // Whether it was held or not, the same command sees it through.
            place.paid(&id).await;
            place.house.start().await;
            place.paid(&id).await;
            assert_eq!(place.holds(wallet.address()).await, U256::from(1_000_000));
            assert_eq!(place.sent().await.len(), 1);
            assert_eq!(place.balanced().await.units(&wallet), 0);
        }
    });
}

#[test]
fn a_refund_that_fees_overtook_is_signed_again_by_the_float() {
    run(async {
        let place = Place::own().await;
        let (wallet, id) = place.bought(100).await;
        place.house.chain.set_automine(false).await.unwrap();
        place.refund(&id).await.expect(0);
        let first = place.signed(1).await;
        place
            .house
            .chain
            .set_next_base_fee(20 * GWEI)
            .await
            .unwrap();
        place.house.chain.mine(1).await.unwrap();
        until("not signed again", async || place.sent().await != first).await;
        assert_eq!(place.house.replaced().await, first);
        place.house.chain.mine(1).await.unwrap();
        let refund = place.paid(&id).await;
        assert_ne!(refund["transaction"], format!("{:#x}", first[0]));
        assert_eq!(place.holds(wallet.address()).await, U256::from(1_000_000));
        place.balanced().await;
    });
}

#[test]
fn a_refund_is_paid_only_at_its_depth_and_sent_again_after_a_reorganization() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let setup = Setup::on(chain)
            .with(SOON.0, SOON.1)
            .with("confirmations = 1", "confirmations = 3");
        let place = Place::with(setup).await;
        let wallet = Wallet::random();
        let reply = place.house.buy(&wallet, 100).await.expect(202);
        let id = reply.json["purchase_id"].clone();
        place.house.chain.mine(2).await.unwrap();
        place.house.becomes(&id, "credited").await;
        let id = id.as_str().unwrap();

        let snapshot = place.house.chain.snapshot().await.unwrap();
        let refund = place.refund(id).await.expect(0).json;
        assert_eq!(refund["state"], "broadcast");
        let sent = place.sent().await;
        assert_eq!(place.house.chain.succeeded(sent[0]).await, Some(true));
        place.house.chain.mine(1).await.unwrap();
        assert_eq!(place.refund(id).await.expect(0).json["state"], "broadcast");
        place.house.chain.revert(snapshot).await.unwrap();
        assert_eq!(place.holds(wallet.address()).await, U256::ZERO);
        until("not paid", async || {
            place.house.chain.mine(1).await.unwrap();
            place.house.books().await.refunds() == 0
        })
        .await;
        assert_eq!(place.sent().await, sent);
        assert_eq!(place.holds(wallet.address()).await, U256::from(1_000_000));
        assert_eq!(place.balanced().await.units(&wallet), 0);
    });
}

#[test]
fn a_float_whose_key_changed_before_it_signed_gives_the_credits_back() {
    run(async {
        let (mut place, proxy) = Place::wired().await;
        let (wallet, id) = place.bought(100).await;
        proxy.fail("eth_estimateGas", Fault::Slow(Duration::from_millis(300)));
        let before = proxy.count("eth_estimateGas");
        let command = place.command(&id);
        let child = place.house.spawn(&command.each_ref().map(String::as_str));
        until("it is not held", async || {
            proxy.count("eth_estimateGas") == before + 2
        })
        .await;
        place.house.kill_9().await;
        drop(ended(child).await);
        assert_eq!(place.house.books().await.refunds(), 1_000_000);
        proxy.mend();
        place.float = place.house.add_relayer("float.key").await;
        place.house.chain.mint(place.float, U256::from(FLOAT)).await;
        place.house.start().await;
        until("the credits are not back", async || {
            place.house.books().await.units(&wallet) == 1_000_000
        })
        .await;
        place.paid(&id).await;
        assert_eq!(place.balanced().await.units(&wallet), 0);
    });
}

#[test]
fn a_paid_refund_that_the_chain_drops_is_sent_again() {
    run(async {
        let place = Place::own().await;
        let (wallet, id) = place.bought(100).await;
        let snapshot = place.house.chain.snapshot().await.unwrap();
        let first = place.paid(&id).await;
        until("not closed", async || place.house.open_relayed().await == 0).await;
        place.house.chain.revert(snapshot).await.unwrap();
        assert_eq!(place.holds(wallet.address()).await, U256::ZERO);
        // Another block takes its place.
        until("not sent again", async || {
            place.house.chain.mine(1).await.unwrap();
            place.holds(wallet.address()).await == U256::from(1_000_000)
        })
        .await;
        let second = place.paid(&id).await;
        assert_eq!(second["refund"], first["refund"]);
        assert_eq!(second["transaction"], first["transaction"]);
        assert_eq!(place.sent().await.len(), 1);
        assert_eq!(place.balanced().await.units(&wallet), 0);
        let log = place.house.stderr();
        assert!(log.contains("dropped a paid refund"), "{log}");
    });
}

#[test]
fn a_refunded_purchase_that_the_chain_drops_is_the_houses_loss_until_it_comes_back() {
    run(async {
        let place = Place::own().await;
        let snapshot = place.house.chain.snapshot().await.unwrap();
        let wallet = Wallet::random();
        // What the payer has left makes the refund cheaper than it will be once that is gone.
        place.house.chain_dollars(&wallet, 100).await;
        let id = place.buy(&wallet, 100).await;
        place.spend(&wallet, 2).await;
        place.paid(&id).await;
        place.house.chain.revert(snapshot).await.unwrap();
        // Both are dropped. The payer has nothing to pay with any more, so the purchase stays away.
        until("not taken back", async || {
            place.house.chain.mine(1).await.unwrap();
            let books = place.house.books().await;
            books.accounts.get("loss") == Some(&-1_000_000)
        })
        .await;
        assert_eq!(place.house.books().await.units(&wallet), 0);

        place.house.chain_dollars(&wallet, 100).await;
        until("it does not come back", async || {
            place.house.chain.mine(1).await.unwrap();
            place.house.received().await == U256::from(1_000_000)
        })
        .await;
        place.paid(&id).await;
        let books = place.balanced().await;
        assert_eq!(books.accounts["loss"], 0, "{books:#?}");
        assert_eq!((books.units(&wallet), books.cash()), (0, 100_000));
    });
}
