//! Assets whose token is not worth a dollar, or has other decimals than the dollar's six.

use alloy::primitives::U256;
use serde_json::json;

use crate::support::{
    House, Payment, Setup, Wallet,
    client::{PURCHASE, purchase},
    run,
};

const EURO: &str = "decimals = 6\nusd_rate = \"1.0812\"";

async fn house(asset: &str) -> House {
    House::with(Setup::default().with("decimals = 6", asset)).await
}

#[test]
fn a_euro_token_is_quoted_rounded_up_and_buys_what_was_asked_for() {
    run(async {
        let house = house(EURO).await;
        let wallet = Wallet::random();
        let quote = house.post(PURCHASE, &purchase(&wallet, 100)).await;
        let required = quote.expect(402).payment_required();
        // 1,000,000 / 1.0812 = 924,898.26
        assert_eq!(required["accepts"][0]["amount"], "924899");

        house
            .chain
            .mint(wallet.address(), U256::from(924_899))
            .await;
        let payment = Payment::accept(&required["accepts"][0], &wallet);
        let bought = house.pay(&wallet, 100, &payment).await.expect(200);
        assert_eq!(bought.json["credits_purchased"], 100);
        assert_eq!(bought.payment_response().unwrap()["amount"], "924899");
        assert_eq!(house.received().await, U256::from(924_899));
        let books = house.books().await;
        assert_eq!(books.units(&wallet), 1_000_000);
        assert_eq!(books.cash(), 1_000_000);
    });
}

#[test]
fn a_base_unit_less_is_refused() {
    run(async {
        let house = house(EURO).await;
        let wallet = Wallet::random();
        house
            .chain
            .mint(wallet.address(), U256::from(924_899))
            .await;
        let mut payment = house.quote(&wallet, 100).await;
        payment.authorization.value -= U256::from(1);
        payment.sign(&wallet);
        let refused = house.pay(&wallet, 100, &payment).await.expect(402);
        assert_eq!(
            refused.json["error"],
            "invalid_exact_evm_payload_authorization_value"
        );
        assert_eq!(house.received().await, U256::ZERO);
        assert!(house.books().await.payments.is_empty());
    });
}

/// What a stranger settled is worth its amount, rounded down; and what was asked for, if that is
/// what the amount costs.
#[test]
fn what_arrived_already_is_worth_its_amount() {
    run(async {
        let house = house("decimals = 6\nusd_rate = \"50\"").await;
        for (value, units) in [(20_000_u64, 1_000_000), (20_001, 1_000_050), (7, 350)] {
            let wallet = Wallet::random();
            house.chain.mint(wallet.address(), U256::from(value)).await;
            let mut payment = house.quote(&wallet, 100).await;
            payment.authorization.value = U256::from(value);
            payment.sign(&wallet);
            house.chain.front_run(&payment).await;
            house.pay(&wallet, 100, &payment).await.expect(200);
            assert_eq!(house.books().await.units(&wallet), units, "{value}");
        }
    });
}

#[test]
fn eighteen_decimals_are_paid_and_a_part_of_a_unit_is_not_counted() {
    run(async {
        let house = house("decimals = 18").await;
        let wallet = Wallet::random();
        let dollar = U256::from(10).pow(U256::from(18));
        house
            .chain
            .mint(wallet.address(), dollar * U256::from(3))
            .await;
        let payment = house.quote(&wallet, 100).await;
        assert_eq!(payment.amount(), dollar);
        house.pay(&wallet, 100, &payment).await.expect(200);

        let mut payment = house.quote(&wallet, 100).await;
        payment.authorization.value = dollar + U256::from(10).pow(U256::from(12)) - U256::from(1);
        payment.sign(&wallet);
        house.chain.front_run(&payment).await;
        let bought = house.pay(&wallet, 100, &payment).await.expect(200);
        assert_eq!(bought.json["credits_purchased"], 100);
        assert_eq!(house.books().await.units(&wallet), 2_000_000);
    });
}

/// A call is paid in the same token; dollars are told, not tokens.
#[test]
fn a_call_is_paid_at_the_rate() {
    run(async {
        let house = house(EURO).await;
        let wallet = Wallet::random();
        house.chain.mint(wallet.address(), U256::from(50_000)).await;
        let path = "/api/external/tools/weather/actions/forecast/invoke";
        let body = json!({ "place": "Bern" });
        let quote = house.post(path, &body).await.expect(402);
        let payment = Payment::of(&quote, &wallet);
        // 50,000 / 1.0812 = 46,244.9
        assert_eq!(payment.amount(), U256::from(46_245));
        let header = payment.header();
        let headers = [("payment-signature", header.as_str())];
        let called = house.post_with(path, body.to_string(), &headers).await;
        let paid = &called.expect(200).json["x402"]["payment"];
        assert_eq!(paid["amount_base_units"], "46245");
        assert_eq!(paid["amount_usd"], 0.05);
        assert_eq!(house.books().await.revenue(), 50_000);
    });
}
