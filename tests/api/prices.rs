//! A session is signed under a price list: what is charged may be less, never more.

use crate::support::{Call, House, Setup, run};

const EXPIRED: &str = "EXTERNAL_SIGNATURE_SESSION_NONCE_EXPIRED";

#[test]
fn a_raised_price_needs_a_new_session_and_a_lower_one_is_charged_at_once() {
    run(async {
        let mut house = House::new().await;
        let wallet = house.rich(100).await;
        let at_five = house.session(&wallet).await;
        let first = Call::forecast(&wallet, &at_five, "first");
        let stored = house.call(&first).await.expect(200);

        house.configure("price_credits = \"5\"", "price_credits = \"7\"");
        house.restart().await;
        let before = house.books().await;
        let dearer = Call::forecast(&wallet, &at_five, "dearer");
        house.call(&dearer).await.problem(401, EXPIRED);
        // A request that was refused took no id, and wrote nothing.
        assert_eq!(house.books().await, before);
        // What was charged under the old list is told as it was.
        assert_eq!(house.call(&first).await.expect(200).body, stored.body);
        // Other prices of the list are what they were.
        let other = Call::of(&wallet, &at_five, "other", "echo", "shout");
        house.call(&other).await.expect(200);
        let at_seven = house.session(&wallet).await;
        let reply = house
            .call(&Call::forecast(&wallet, &at_seven, "dearer"))
            .await;
        let reply = reply.expect(200);
        assert_eq!(reply.json["charged_credits"], 7);

        house.configure("price_credits = \"7\"", "price_credits = \"4\"");
        house.restart().await;
        for (session, request_id) in [(&at_seven, "cheaper"), (&at_five, "cheaper")] {
            let reply = house
                .call(&Call::forecast(&wallet, session, request_id))
                .await;
            let reply = reply.expect(200);
            assert_eq!(reply.json["price_credits"], 4);
            assert_eq!(reply.json["charged_credits"], 4);
        }
        let spent = 5 * 10_000 + 25_000 + 7 * 10_000 + 2 * 4 * 10_000;
        assert_eq!(house.books().await.units(&wallet), 1_000_000 - spent);
    });
}

#[test]
fn a_tool_that_is_new_or_gone_is_found_or_not() {
    run(async {
        let setup = Setup::default().with("slug = \"shout\"", "slug = \"sing\"");
        let mut house = House::with(setup).await;
        let wallet = house.rich(100).await;
        let session = house.session(&wallet).await;
        house.configure("slug = \"sing\"", "slug = \"shout\"");
        house.restart().await;
        // The old session's list has no price for it.
        let new = Call::of(&wallet, &session, "new", "echo", "shout");
        house.call(&new).await.problem(401, EXPIRED);
        let gone = Call::of(&wallet, &session, "gone", "echo", "sing");
        house.call(&gone).await.problem(404, "TOOL_NOT_FOUND");
        let session = house.session(&wallet).await;
        let new = Call::of(&wallet, &session, "new", "echo", "shout");
        house.call(&new).await.expect(200);
    });
}
