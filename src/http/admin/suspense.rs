//! `GET /suspense`

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::{Deserialize, Serialize};

use super::super::{amounts::CreditsNumber, problem::Problem, time::rfc3339};
use crate::{base::PurchaseId, service::Service, store::InSuspense};

const PAGE: u32 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// The last payment of the page before.
    after: Option<String>,
}

#[derive(Serialize)]
pub(super) struct ListDocument {
    suspense: Vec<SuspenseDocument>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct SuspenseDocument {
    payment: String,
    network: String,
    asset: String,
    symbol: Option<String>,
    sender: String,
    pay_to: String,
    /// Base units of the token.
    amount: String,
    credits: CreditsNumber,
    transaction: Option<String>,
    since: String,
    reason: Option<String>,
}

pub(super) async fn list(
    State(service): State<Service>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<ListDocument>, Problem> {
    let Query(page) = page.map_err(|error| Problem::invalid(error.body_text()))?;
    let after = page.after.as_deref().map(payment_id).transpose()?;
    let mut found = service
        .suspense(after, PAGE + 1)
        .await
        .map_err(|error| Problem::unavailable(&error))?;
    let more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let next = found.last().filter(|_| more);
    Ok(Json(ListDocument {
        next: next.map(|last| last.payment.id.to_string()),
        suspense: found.iter().map(|it| document(&service, it)).collect(),
    }))
}

pub(super) fn payment_id(text: &str) -> Result<PurchaseId, Problem> {
    text.parse()
        .map_err(|_| Problem::invalid("a payment's id is 32 hexadecimal digits"))
}

fn document(service: &Service, suspended: &InSuspense) -> SuspenseDocument {
    let InSuspense { payment, since } = suspended;
    SuspenseDocument {
        payment: payment.id.to_string(),
        network: payment.asset.network.to_string(),
        asset: format!("{:#x}", payment.asset.token),
        symbol: service.symbol(payment.asset),
        sender: format!("{:#x}", payment.transfer.from),
        pay_to: format!("{:#x}", payment.transfer.to),
        amount: payment.transfer.value.to_string(),
        credits: CreditsNumber(payment.credits),
        transaction: payment.transaction.map(|hash| format!("{hash:#x}")),
        since: rfc3339(*since),
        reason: payment.reason.clone(),
    }
}
