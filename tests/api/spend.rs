//! The main job: buy credits, spend them by signed calls.

use serde_json::json;

use crate::support::{Call, House, Wallet, client::PURCHASE, client::purchase, run};

#[test]
fn credits_are_bought_and_spent() {
    run(async {
        let house = House::new().await;
        let wallet = Wallet::random();
        house.chain_dollars(&wallet, 100).await;
        let reply = house
            .post(PURCHASE, &purchase(&wallet, 100))
            .await
            .expect(402);
        assert_eq!(reply.json, reply.payment_required());

        let payment = house.quote(&wallet, 100).await;
        let reply = house.pay(&wallet, 100, &payment).await.expect(200);
        assert_eq!(reply.json["balance_credits"], 100, "{}", reply.text());

        let session = house.session(&wallet).await;
        let reply = house.call(&Call::forecast(&wallet, &session, "one")).await;
        let reply = reply.expect(200);
        let data = json!({ "place": "Bern", "forecast": "sunny" });
        assert_eq!(reply.json["response"]["data"], data);
        assert_eq!(reply.json["balance_credits"], 95);
        assert_eq!(house.balance(&wallet).await["balance_credits"], 95);
        assert_eq!(house.books().await.units(&wallet), 950_000);
    });
}
