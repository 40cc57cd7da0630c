//! Calls paid one by one over x402.

use alloy::primitives::U256;
use serde_json::{Value, json};

use crate::support::{Call, House, Payment, Reply, Setup, Wallet, client::keys, run};

const FORECAST: &str = "/api/external/tools/weather/actions/forecast/invoke";
const FAIL: &str = "/api/external/tools/trouble/actions/fail/invoke";

fn bern() -> Value {
    json!({ "place": "Bern" })
}

impl House {
    /// A payment for one call, and the USDC for it.
    async fn direct_quote(&self, path: &str, body: &Value, wallet: &Wallet) -> Payment {
        let required = self.post(path, body).await.expect(402);
        let payment = Payment::of(&required, wallet);
        self.chain.mint(wallet.address(), payment.amount()).await;
        payment
    }

    async fn pay_direct(&self, path: &str, body: &Value, payment: &Payment) -> Reply {
        let header = payment.header();
        let headers = [("payment-signature", header.as_str())];
        self.post_with(path, body.to_string(), &headers).await
    }
}

#[test]
fn a_call_is_paid_by_itself() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let required = house.post(FORECAST, &bern()).await.expect(402);
        assert_eq!(required.header("content-type"), Some("application/json"));
        assert_eq!(required.json, required.payment_required());
        let url = format!("http://counterfoil.test{FORECAST}");
        assert_eq!(required.json["resource"]["url"], url);
        assert_eq!(required.json["accepts"][0]["amount"], "50000");

        let payment = house.direct_quote(FORECAST, &bern(), &wallet).await;
        let reply = house
            .pay_direct(FORECAST, &bern(), &payment)
            .await
            .expect(200);
        let answer = &reply.json;
        assert_eq!(keys(answer), ["success", "response", "x402"]);
        assert_eq!(answer["response"]["data"]["forecast"], "sunny");
        let transaction = &answer["x402"]["transaction"];
        assert_eq!(
            answer["x402"],
            json!({
                "transaction": transaction,
                "network": "eip155:84532",
                "resource_url": url,
                "payment": {
                    "token": "USDC",
                    "asset": "0x036cbd53842c5426634e7929541ec2318f3dcf7e",
                    "amount_base_units": "50000",
                    "amount_usd": 0.05,
                    "payer_wallet_address": wallet.name(),
                    "pay_to": format!("{:#x}", house.pay_to),
                },
            })
        );
        let response = reply.payment_response().unwrap();
        assert_eq!(response["success"], true);
        assert_eq!(response["transaction"], *transaction);
        let books = house.books().await;
        assert_eq!(books.payments("direct credited"), 1);
        assert_eq!(
            (books.units(&wallet), books.accounts["revenue"]),
            (0, 50_000)
        );
        assert_eq!(house.received().await, U256::from(50_000));

        // The authorization is public now: it pays for nothing more, and tells nothing.
        let replay = "EXTERNAL_SIGNATURE_REQUEST_REPLAY";
        house
            .pay_direct(FORECAST, &bern(), &payment)
            .await
            .problem(409, replay);
        let purchase = crate::support::client::purchase(&wallet, 100);
        house
            .pay_for(&purchase, &payment)
            .await
            .problem(409, replay);
        assert_eq!(house.books().await, books);
        assert_eq!(house.tools.count(), 1);
    });
}

#[test]
fn a_payer_that_names_its_payment_gets_the_stored_result() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let mut payment = house.direct_quote(FORECAST, &bern(), &wallet).await;
        payment.extensions = Some(json!({
            "payment-identifier": { "info": { "required": false, "id": "order-0123456789" } },
        }));
        let first = house
            .pay_direct(FORECAST, &bern(), &payment)
            .await
            .expect(200);
        let again = house
            .pay_direct(FORECAST, &bern(), &payment)
            .await
            .expect(200);
        assert_eq!(again.body, first.body);
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.payment_response(), first.payment_response());

        let replay = "EXTERNAL_SIGNATURE_REQUEST_REPLAY";
        let basel = json!({ "place": "Basel" });
        house
            .pay_direct(FORECAST, &basel, &payment)
            .await
            .problem(409, replay);
        payment.extensions = None;
        house
            .pay_direct(FORECAST, &bern(), &payment)
            .await
            .problem(409, replay);
        assert_eq!(house.tools.count(), 1);
    });
}

#[test]
fn a_failed_tool_is_not_settled() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let payment = house.direct_quote(FAIL, &json!({}), &wallet).await;
        let reply = house.pay_direct(FAIL, &json!({}), &payment).await;
        let reply = reply.problem(502, "TOOL_FAILED");
        assert_eq!(reply.json["charged_credits"], 0);
        assert_eq!(reply.payment_response(), None);
        assert_eq!(house.received().await, U256::ZERO);
        let balance = house.chain.balance_of(wallet.address()).await.unwrap();
        assert_eq!(balance, payment.amount());
        let books = house.books().await;
        assert_eq!(books.postings, 0);
        // The payer may pay for another call at once.
        let payment = house.direct_quote(FORECAST, &bern(), &wallet).await;
        house
            .pay_direct(FORECAST, &bern(), &payment)
            .await
            .expect(200);
    });
}

#[test]
fn a_payment_first_becomes_credits_when_the_tool_fails() {
    run(async {
        let setup = Setup::default().with(
            "path = \"/fail\"\n",
            "path = \"/fail\"\nsettle_first = true\n",
        );
        let house = House::with(setup).await;
        let wallet = Wallet::random();
        let payment = house.direct_quote(FAIL, &json!({}), &wallet).await;
        let reply = house.pay_direct(FAIL, &json!({}), &payment).await;
        let reply = reply.problem(502, "TOOL_FAILED");
        assert!(
            reply
                .payment_response()
                .is_some_and(|paid| paid["success"] == true)
        );
        assert_eq!(house.received().await, U256::from(30_000));
        assert_eq!(house.books().await.units(&wallet), 30_000);
        assert_eq!(house.balance(&wallet).await["balance_credits"], 3);
    });
}

#[test]
fn a_signed_body_with_a_payment_is_paid_by_the_payment() {
    run(async {
        let house = House::new().await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        let call = Call::forecast(&wallet, &session, "both");
        let payment = house.direct_quote(FORECAST, &bern(), &wallet).await;
        let reply = house.pay_direct(FORECAST, &call.body(), &payment).await;
        assert_eq!(
            keys(&reply.expect(200).json),
            ["success", "response", "x402"]
        );
        let books = house.books().await;
        assert_eq!(books.units(&wallet), 1_000_000);
        assert_eq!((books.requests, books.charges("captured")), (0, 0));
    });
}

#[test]
fn a_call_is_not_paid_with_less_or_by_another() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let good = house.direct_quote(FORECAST, &bern(), &wallet).await;
        let before = house.books().await;
        let mut less = good.clone();
        less.authorization.value -= U256::ONE;
        less.sign(&wallet);
        let mut stolen = good.clone();
        stolen.sign(&Wallet::random());
        let mut brief = good.clone();
        brief.authorization.valid_before = crate::support::now() + 35;
        brief.sign(&wallet);
        for (payment, reason) in [
            (less, "invalid_exact_evm_payload_authorization_value"),
            (stolen, "invalid_exact_evm_payload_signature"),
            (
                brief,
                "invalid_exact_evm_payload_authorization_valid_before",
            ),
        ] {
            let reply = house
                .pay_direct(FORECAST, &bern(), &payment)
                .await
                .expect(402);
            assert_eq!(reply.payment_response().unwrap()["errorReason"], reason);
            assert_eq!(reply.payment_required()["accepts"][0], good.accepted);
        }
        // Parameters are checked before anything is taken.
        let reply = house
            .pay_direct(FORECAST, &json!({ "place": 1 }), &good)
            .await;
        let reply = reply.problem(400, "INVALID_REQUEST");
        assert_eq!(reply.pointers(), ["/place"]);
        assert_eq!(house.books().await, before);
        assert_eq!(house.tools.count(), 0);

        // An action that takes credits only has no offer, and says where to buy them.
        let shout = "/api/external/tools/echo/actions/shout/invoke";
        for reply in [
            house.post(shout, &json!({})).await,
            house.pay_direct(shout, &json!({}), &good).await,
        ] {
            let reply = reply.expect(402);
            assert_eq!(reply.json["accepts"], json!([]));
            let error = reply.json["error"].as_str().unwrap();
            assert!(error.contains("/api/external/credits/purchase"), "{error}");
        }
        assert_eq!(house.books().await, before);
    });
}
