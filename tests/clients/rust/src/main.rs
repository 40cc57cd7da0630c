//! Pays with the crate `x402-reqwest` as its documentation sets it up: `buy` or `pay_per_call`, then
//! `v1` for offers of x402 version 1. Input and output are as ../../README.md says.
#![expect(clippy::disallowed_methods, reason = "its input is the environment")]

use std::{env, error::Error, process::ExitCode, sync::Arc};

use alloy_signer_local::PrivateKeySigner;
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use x402_chain_eip155::{V1Eip155ExactClient, V2Eip155ExactClient};
use x402_reqwest::{ReqwestWithPayments, ReqwestWithPaymentsBuild, X402Client};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match pay().await {
        Ok(result) => {
            println!("{result}");
            let settled = result["payment_response"]["success"] == true;
            ExitCode::from(u8::from(result["status"] != 200 || !settled))
        }
        Err(error) => {
            println!("{}", json!({ "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

async fn pay() -> Result<Value> {
    let mut arguments = env::args().skip(1);
    let script = arguments.next().ok_or("buy or pay_per_call?")?;
    let signer: PrivateKeySigner = env::var("PRIVATE_KEY")?.parse()?;
    let wallet = signer.address().to_string();
    let signer = Arc::new(signer);
    let client = X402Client::new()
        .register(V1Eip155ExactClient::new(signer.clone()))
        .register(V2Eip155ExactClient::new(signer));
    let client = Client::new().with_payments(client).build();

    let (path, body) = match script.as_str() {
        "buy" => purchase(&wallet)?,
        "pay_per_call" => call()?,
        other => return Err(format!("{other} is no script").into()),
    };
    let query = match arguments.next().as_deref() {
        Some("v1") => "?x402Version=1",
        _ => "",
    };
    let url = format!("{}{path}{query}", env::var("COUNTERFOIL_URL")?);
    let request = client.post(url).header("Content-Type", "application/json");
    read(request.body(body.to_string()).send().await?).await
}

fn purchase(wallet: &str) -> Result<(String, Value)> {
    let credits: u64 = env::var("CREDITS").map_or(Ok(100), |credits| credits.parse())?;
    let body = json!({ "wallet_address": wallet, "credits": credits, "payment_method": "x402" });
    Ok(("/api/external/credits/purchase".to_owned(), body))
}

fn call() -> Result<(String, Value)> {
    let (tool, action) = (env::var("TOOL")?, env::var("ACTION")?);
    let path = format!("/api/external/tools/{tool}/actions/{action}/invoke");
    Ok((path, serde_json::from_str(&env::var("PARAMETERS")?)?))
}

/// Status, parsed body and decoded PAYMENT-RESPONSE of an answer.
async fn read(response: Response) -> Result<Value> {
    let status = response.status().as_u16();
    let settled = match response.headers().get("PAYMENT-RESPONSE") {
        Some(header) => serde_json::from_slice(&STANDARD.decode(header)?)?,
        None => Value::Null,
    };
    let body: Value = response.json().await?;
    Ok(json!({ "status": status, "body": body, "payment_response": settled }))
}
