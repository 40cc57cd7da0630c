//! The `AgentPMT` signer's flow: buying with its shape of a payment, and spending by signed calls.

use serde_json::{Value, json};

use crate::{
    money::{fund, paid},
    script::{Language, PARAMETERS},
    support::{House, run},
};

async fn buys_credits(language: Language, header: &str) {
    let house = House::new().await;
    let wallet = fund(&house, 100).await;
    let script = language.script("agentpmt_buy", &house, &wallet);
    let result = script.variable("HEADER", header).run().await.result();

    let transaction = paid(&house, &wallet, &[100], 0).await;
    assert_eq!(result["payment_response"]["transaction"], transaction);
    let body = &result["body"];
    assert_eq!(body["success"], true, "{body}");
    assert_eq!(body["status"], "credited", "{body}");
    assert_eq!(body["transaction"], transaction, "{body}");
    assert_eq!(body["balance_credits"], 100, "{body}");
    assert_eq!(house.balance(&wallet).await["available_credits"], 100);
}

async fn spends_credits(language: Language, scoped: bool) {
    let house = House::new().await;
    let wallet = house.rich(100).await;
    let script = language.script("signer", &house, &wallet);
    let script = if scoped {
        script.argument("scoped")
    } else {
        script
    };
    let result = script.run().await.result();

    let called = &result["invoke"]["body"];
    assert_eq!(called["success"], true, "{called}");
    assert_eq!(called["charge_status"], "captured", "{called}");
    assert_eq!(called["charged_credits"], 5, "{called}");
    let parameters: Value = serde_json::from_str(PARAMETERS).unwrap();
    let data = json!({ "place": parameters["place"], "forecast": "sunny" });
    assert_eq!(called["response"]["data"], data, "{called}");
    assert_eq!(result["balance"]["body"]["available_credits"], 95);
    assert_eq!(house.balance(&wallet).await["available_credits"], 95);
    assert_eq!(house.tools.count(), 1);
    assert_eq!(house.books().await.charges("captured"), 1);
}

/// A test of the signer in every language.
macro_rules! of_every_signer {
    ($($test:ident: $run:ident($argument:expr)),* $(,)?) => {$(
        mod $test {
            use super::*;

            #[test]
            fn typescript() {
                run($run(Language::TypeScript, $argument));
            }

            #[test]
            fn python() {
                run($run(Language::Python, $argument));
            }
        }
    )*};
}

of_every_signer! {
    credits_are_bought_with_the_older_header: buys_credits("X-PAYMENT"),
    credits_are_bought_with_the_published_header: buys_credits("PAYMENT-SIGNATURE"),
    a_path_bound_call_is_charged: spends_credits(false),
    a_scoped_call_is_charged: spends_credits(true),
}
