//! An agent buys credits over x402, spends some with a signed call, reads its balance.
//!
//! With `make demo` running: `cargo run --example agent`
#![expect(clippy::disallowed_methods, reason = "an agent's own environment")]

use std::{env, error::Error};

use counterfoil::{
    app::clock,
    client::{BuyOptions, Client, Wallet},
};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("COUNTERFOIL_URL").unwrap_or("http://127.0.0.1:4020".into());
    let key_file = env::var("COUNTERFOIL_KEY_FILE").unwrap_or(".demo/agent.key".into());

    let wallet = Wallet::read(key_file.as_ref())?;
    let client = Client::new(&url, Some(wallet), clock::now)?;

    // 100 credits cost one dollar. The payment is signed here; whoever settles it pays the gas.
    let purchase = client.buy("100".parse()?, &BuyOptions::default()).await?;
    println!("bought {} credits", purchase.credits);

    // Signed once. Were the answer lost, the same bytes would be sent again and charged once.
    let place = json!({ "place": "Lisbon" });
    let reply = client.call("weather", "forecast", &place).await?;
    println!(
        "called weather/forecast for {} credits: {}",
        reply.charged, reply.data
    );

    let balance = client.balance().await?.available;
    println!("{balance} credits left, {} USD", balance.usd());
    Ok(())
}
