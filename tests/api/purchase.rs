//! Buying credits: the offer, the purchase, and who may pay for whom.

use std::sync::Arc;

use alloy::primitives::U256;
use serde_json::{Value, json};

use crate::{
    payments::check_refusal,
    support::{
        Chain, House, Payment, Setup, Wallet,
        client::{PURCHASE, keys, purchase},
        payment::encode,
        run, until,
    },
};

const STATUS: &str = "/api/external/credits/purchases";

#[test]
fn an_offer_says_what_to_pay_and_is_not_kept() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let before = house.books().await;
        let reply = house
            .post(PURCHASE, &purchase(&wallet, 300))
            .await
            .expect(402);
        assert!(reply.header("payment-required").unwrap().len() <= 8192);
        let required = reply.payment_required();
        assert_eq!(required, reply.json);
        assert_eq!(reply.payment_response(), None);
        assert_eq!(required["x402Version"], 2);
        assert!(
            required["error"]
                .as_str()
                .is_some_and(|error| !error.is_empty())
        );
        // The address of the server is what its operator says, not what Host says.
        let url = "http://counterfoil.test/api/external/credits/purchase";
        assert_eq!(required["resource"]["url"], url);
        assert_eq!(
            required["accepts"],
            json!([{
                "scheme": "exact",
                "network": "eip155:84532",
                "amount": "3000000",
                "asset": "0x036cbd53842c5426634e7929541ec2318f3dcf7e",
                "payTo": format!("{:#x}", house.pay_to),
                "maxTimeoutSeconds": 300,
                "extra": { "name": "USDC", "version": "2" },
            }])
        );
        assert_eq!(house.books().await, before);
    });
}

#[test]
fn a_payment_becomes_credits_once() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 300).await;
        let payment = house.quote(&wallet, 300).await;
        let reply = house.pay(&wallet, 300, &payment).await.expect(200);
        let bought = &reply.json;
        let id = bought["purchase_id"].as_str().unwrap().to_owned();
        let transaction = bought["transaction"].as_str().unwrap().to_owned();
        assert!(transaction.starts_with("0x") && transaction.len() == 66);
        let expected = json!({
            "success": true,
            "purchase_id": id,
            "status": "credited",
            "wallet_address": wallet.name(),
            "credits_purchased": 300,
            "balance_credits": 300,
            "balance_usd": "3.00",
            "transaction": transaction,
            "network": "eip155:84532",
        });
        assert_eq!(*bought, expected);
        let settled = json!({
            "success": true,
            "payer": wallet.name(),
            "transaction": transaction,
            "network": "eip155:84532",
            "amount": "3000000",
        });
        assert_eq!(reply.payment_response(), Some(settled.clone()));
        assert_eq!(house.received().await, U256::from(3_000_000));

        // Whoever knows the id may see how it went; the chain tells everybody the authorization,
        // so whoever sends that again learns no more.
        let status = house.get(&format!("{STATUS}/{id}")).await.expect(200);
        let expected = json!({
            "success": true,
            "purchase_id": id,
            "status": "credited",
            "credits": 300,
            "transaction": transaction,
            "network": "eip155:84532",
        });
        assert_eq!(status.json, expected);
        let books = house.books().await;
        for body in [
            purchase(&wallet, 300),
            purchase(&wallet, 100),
            purchase(&Wallet::random(), 300),
        ] {
            let again = house.pay_for(&body, &payment).await;
            let again = again.expect(200);
            let expected = json!({
                "success": true,
                "purchase_id": id,
                "status": "credited",
                "credits_purchased": 300,
                "transaction": transaction,
                "network": "eip155:84532",
            });
            assert_eq!(again.json, expected);
            assert_eq!(again.payment_response(), Some(settled.clone()));
        }
        assert_eq!(house.books().await, books);
        assert_eq!(books.payments("purchase credited"), 1);

        let unknown = format!("{STATUS}/{}", flip_last(&id));
        for path in [&unknown, "/api/external/credits/purchases/none"] {
            house.get(path).await.problem(404, "PURCHASE_NOT_FOUND");
        }
    });
}

/// The same id but for its last digit.
fn flip_last(id: &str) -> String {
    let (rest, last) = id.split_at(id.len() - 1);
    format!("{rest}{}", if last == "0" { "1" } else { "0" })
}

#[test]
fn a_payment_without_funds_is_refused_and_good_once_they_are_there() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        let payment = house.quote(&wallet, 100).await;
        let before = house.books().await;
        let reply = house.pay(&wallet, 100, &payment).await;
        check_refusal(&reply, "insufficient_funds", &wallet);
        assert_eq!(house.books().await, before);
        house.chain_dollars(&wallet, 100).await;
        let reply = house.pay(&wallet, 100, &payment).await.expect(200);
        assert_eq!(reply.json["balance_credits"], 100);
    });
}

#[test]
fn the_amount_asked_for_is_told_before_the_payment_is_judged() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let payment = house.quote(&wallet, 100).await;
        let before = house.books().await;
        // Paid for 100, asked for 200: the offer is for what is asked.
        let reply = house.pay(&wallet, 200, &payment).await;
        let reason = "invalid_exact_evm_payload_authorization_value";
        check_refusal(&reply, reason, &wallet);
        assert_eq!(reply.json["accepts"][0]["amount"], "2000000");
        let reply = house.pay(&wallet, 150, &payment).await;
        let reply = reply.problem(400, "CREDITS_NOT_A_MULTIPLE");
        assert_eq!(reply.json["suggested_credits"], 200);
        assert_eq!(house.books().await, before);
    });
}

#[test]
fn somebody_else_pays_with_a_word_for_it() {
    run(async {
        let house = House::new().await;
        let (payer, agent, other) = (Wallet::random(), Wallet::random(), Wallet::random());
        house.chain_dollars(&payer, 200).await;
        let payment = house.quote(&payer, 100).await;
        let nonce = payment.nonce();
        let mut other_nonce = nonce;
        other_nonce.0[31] ^= 1;
        let before = house.books().await;
        let (missing, invalid) = ("sponsor_signature_missing", "sponsor_signature_invalid");
        for (what, signature, reason) in [
            ("none", None, missing),
            (
                "other credits",
                Some(payer.sponsor(&agent, 200, nonce)),
                invalid,
            ),
            (
                "other nonce",
                Some(payer.sponsor(&agent, 100, other_nonce)),
                invalid,
            ),
            (
                "other recipient",
                Some(payer.sponsor(&other, 100, nonce)),
                invalid,
            ),
            (
                "by the recipient",
                Some(agent.sponsor(&agent, 100, nonce)),
                invalid,
            ),
            (
                "by a stranger",
                Some(other.sponsor(&agent, 100, nonce)),
                invalid,
            ),
            ("of another text", Some(payer.sign("I pay")), invalid),
        ] {
            let reply = house.pay_for(&sponsored(&agent, signature), &payment).await;
            assert_eq!(reply.status, 402, "{what}: {}", reply.text());
            check_refusal(&reply, reason, &payer);
            assert_eq!(house.books().await, before, "{what}");
        }
        let malformed = sponsored(&agent, Some("0x12".into()));
        let reply = house.pay_for(&malformed, &payment).await;
        let reply = reply.problem(400, "INVALID_REQUEST");
        assert_eq!(reply.pointers(), ["/sponsor_signature"]);

        let mut body = sponsored(&agent, Some(payer.sponsor(&agent, 100, nonce)));
        body["payer_wallet_address"] = json!(other.name());
        let reply = house.pay_for(&body, &payment).await;
        check_refusal(&reply, "payer_mismatch", &payer);
        assert_eq!(house.books().await, before);

        body["payer_wallet_address"] = json!(payer.name());
        let reply = house.pay_for(&body, &payment).await;
        let reply = reply.expect(200);
        assert_eq!(reply.json["wallet_address"], agent.name());
        assert_eq!(reply.json["balance_credits"], 100);
        let books = house.books().await;
        assert_eq!((books.units(&agent), books.units(&payer)), (1_000_000, 0));

        // The word was for that payment alone.
        let next = house.quote(&payer, 100).await;
        let reply = house.pay_for(&body, &next).await;
        check_refusal(&reply, invalid, &payer);
    });
}

fn sponsored(agent: &Wallet, signature: Option<String>) -> Value {
    let mut body = purchase(agent, 100);
    if let Some(signature) = signature {
        body["sponsor_signature"] = json!(signature);
    }
    body
}

#[test]
fn a_payment_that_waits_for_its_block_is_known_by_its_id() {
    run(async {
        let chain = Arc::new(Chain::own().await);
        let setup =
            Setup::on(chain.clone()).with("settle_wait_seconds = 20", "settle_wait_seconds = 0");
        let house = House::with(setup).await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        chain.set_automine(false).await.unwrap();
        let payment = house.quote(&wallet, 100).await;

        let reply = house.pay(&wallet, 100, &payment).await.expect(202);
        assert_eq!(reply.json["status"], "settling");
        assert_eq!(reply.payment_response(), None);
        assert_eq!(reply.header("payment-required"), None);
        let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!(wait > 0);
        let id = reply.json["purchase_id"].as_str().unwrap();
        let url = reply.json["status_url"].as_str().unwrap();
        let path = url.strip_prefix("http://counterfoil.test").unwrap();
        assert_eq!(path, format!("{STATUS}/{id}"));
        until("it is not broadcast", async || {
            house.get(path).await.expect(200).json["status"] == "broadcast"
        })
        .await;
        assert_eq!(house.balance(&wallet).await["balance_credits"], 0);

        // Sent again it is the same purchase: never a second offer.
        let again = house.pay(&wallet, 100, &payment).await.expect(202);
        assert_eq!(again.json["purchase_id"], id);

        until("it is not credited", async || {
            chain.mine(1).await.unwrap();
            house.get(path).await.expect(200).json["status"] == "credited"
        })
        .await;
        let done = house.pay(&wallet, 100, &payment).await.expect(200);
        assert_eq!(done.json["purchase_id"], id);
        assert_eq!(house.books().await.units(&wallet), 1_000_000);
        assert_eq!(house.received().await, U256::from(1_000_000));
    });
}

#[test]
fn a_purchase_may_name_its_network_and_a_label() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let mut body = purchase(&wallet, 100);
        body["network"] = json!("eip155:84532");
        body["request_id"] = json!("order 17, für später");
        let reply = house.post(PURCHASE, &body).await.expect(402);
        assert_eq!(reply.json["accepts"].as_array().unwrap().len(), 1);
        let payment = Payment::of(&reply, &wallet);
        let reply = house.pay_for(&body, &payment).await;
        assert!(keys(&reply.expect(200).json).contains(&"purchase_id"));

        // A label is no key: the next purchase may have the same.
        house.chain_dollars(&wallet, 100).await;
        let payment = house.quote(&wallet, 100).await;
        let reply = house.pay_for(&body, &payment).await;
        assert_eq!(reply.expect(200).json["balance_credits"], 200);

        body["network"] = json!("eip155:1");
        let reply = house
            .post(PURCHASE, &body)
            .await
            .problem(400, "INVALID_REQUEST");
        assert_eq!(reply.pointers(), ["/network"]);
    });
}

#[test]
fn each_asset_has_its_offer_and_a_payment_finds_its_own() {
    run(async {
        // A second token, with more decimals, listed first. Nobody pays with it.
        let other = "0x00000000000000000000000000000000000000d1";
        let first = format!(
            "[[network.asset]]\naddress = \"{other}\"\nsymbol = \"DAI\"\ndecimals = 18\n\
             eip712_name = \"DAI\"\neip712_version = \"1\"\n\n[[network.asset]]"
        );
        let house = House::with(Setup::default().with("[[network.asset]]", &first)).await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 200).await;
        let offer = house
            .post(PURCHASE, &purchase(&wallet, 100))
            .await
            .expect(402);
        let accepts = offer.json["accepts"].as_array().unwrap();
        assert_eq!(accepts.len(), 2);
        assert_eq!(accepts[0]["asset"], other);
        assert_eq!(accepts[0]["amount"], "1000000000000000000");
        assert_eq!(
            accepts[0]["extra"],
            json!({ "name": "DAI", "version": "1" })
        );
        assert_eq!(accepts[1]["amount"], "1000000");

        // Named, and found by its signature.
        let named = Payment::accept(&accepts[1], &wallet);
        house.pay(&wallet, 100, &named).await.expect(200);
        let unnamed = Payment::accept(&accepts[1], &wallet);
        let header = encode(&json!({
            "x402Version": 2,
            "scheme": "exact",
            "network": "eip155:84532",
            "payload": unnamed.proof(),
        }));
        let body = purchase(&wallet, 100);
        let reply = house.pay_header(&body, "payment-signature", &header).await;
        assert_eq!(reply.expect(200).json["balance_credits"], 200);

        // Credits that do not run out are one grant.
        let balance = house.balance(&wallet).await;
        assert_eq!(balance["grants"].as_array().unwrap().len(), 1, "{balance}");
    });
}
