//! `POST /api/external/credits/balance`.

use axum::{Json, body::Body, extract::State, http::HeaderMap};

use super::{
    House,
    amounts::CreditsNumber,
    body,
    documents::{BalanceDocument, GrantDocument, SignedRequest},
    openapi::{BodyRefusals, BudgetRefusals},
    peer::Client,
    problem::Problem,
    refusals::call_problem,
    signed::SignedFields,
    time::rfc3339,
    version::AskedVersion,
};
use crate::{
    base::{AgentAddress, Credits, Timestamp},
    store::Balance,
};

const SECONDS_PER_DAY: i64 = 86_400;

/// Read a balance
///
/// Signed with `action:balance`, `product:-` and an empty payload.
#[utoipa::path(
    post,
    path = "/api/external/credits/balance",
    tag = "credits",
    request_body = SignedRequest,
    responses(
        (status = 200, body = BalanceDocument),
        (status = 400, description = "INVALID_REQUEST"),
        (status = 401, description = "EXTERNAL_SIGNATURE_*"),
        BodyRefusals,
        BudgetRefusals,
    )
)]
pub(super) async fn read(
    State(house): State<House>,
    Client(client): Client,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<BalanceDocument>, Problem> {
    let bytes = body::read(&headers, body, house.limits).await?;
    let _place = house.place()?;
    let node = body::parse(&bytes)?;
    let signed = SignedFields::of(&node)?;
    house.check_failures(client)?;
    let balance = house.service.balance(signed.caller(), signed.signature);
    match balance.await {
        Ok(balance) => Ok(Json(document(signed.wallet, balance, house.service.now()))),
        Err(error) => Err(call_problem(&house, client, AskedVersion::default(), error)),
    }
}

fn document(wallet: AgentAddress, balance: Balance, now: Timestamp) -> BalanceDocument {
    let Balance {
        total,
        held,
        mut grants,
    } = balance;
    grants.sort_by(crate::ledger::Grant::spending_order);
    let expiration = grants.iter().filter_map(|grant| grant.expires_at).min();
    BalanceDocument {
        success: true,
        wallet_address: wallet.to_string(),
        balance_credits: CreditsNumber(total),
        held_credits: CreditsNumber(held),
        available_credits: CreditsNumber(total.checked_sub(held).unwrap_or(Credits::ZERO)),
        balance_usd: total.usd(),
        expiration: expiration.map(rfc3339),
        expires_in_days: expiration
            .map(|at| (at.seconds() - now.seconds()).div_euclid(SECONDS_PER_DAY)),
        grants: grants
            .iter()
            .map(|grant| GrantDocument {
                source: grant.source.as_str(),
                priority: grant.priority,
                remaining_credits: CreditsNumber(grant.remaining),
                held_credits: CreditsNumber(grant.held),
                expires_at: grant.expires_at.map(rfc3339),
            })
            .collect(),
    }
}
