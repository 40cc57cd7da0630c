//! `POST /refunds`

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};

use super::{
    super::{amounts::CreditsNumber, problem::Problem, time::rfc3339},
    suspense::payment_id,
};
use crate::{
    payment::RefundState,
    service::{RefundError, Service},
    store::Refund,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    payment: String,
}

#[derive(Serialize)]
pub(super) struct RefundDocument {
    refund: String,
    payment: String,
    state: &'static str,
    credits: CreditsNumber,
    network: String,
    asset: String,
    symbol: Option<String>,
    /// Base units of the token.
    amount: String,
    payer: String,
    float: String,
    transaction: Option<String>,
    since: String,
}

/// 200 when it is paid, 202 while it is on its way.
pub(super) async fn refund(
    State(service): State<Service>,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<(StatusCode, Json<RefundDocument>), Problem> {
    let Json(wanted) = wanted.map_err(|error| Problem::invalid(error.body_text()))?;
    let payment = payment_id(&wanted.payment)?;
    let verb = service.clone();
    // A refund must not stop half-way with its operator's connection.
    let refund = service
        .detached(async move { verb.refund(payment).await })
        .await
        .map_err(|_| Problem::internal())?
        .map_err(|error| problem(&error))?;
    let status = match refund.state {
        RefundState::Paid => StatusCode::OK,
        RefundState::Held | RefundState::Broadcast => StatusCode::ACCEPTED,
        RefundState::Void => {
            let reason = refund.reason.as_deref().unwrap_or("void");
            let detail = format!("{} is void ({reason}): the credits are back", refund.id);
            return Err(Problem::new(StatusCode::CONFLICT, "REFUND_VOID", detail));
        }
    };
    Ok((status, Json(document(&service, &refund))))
}

fn problem(error: &RefundError) -> Problem {
    let (status, code) = match error {
        RefundError::NotFound => (StatusCode::NOT_FOUND, "PURCHASE_NOT_FOUND"),
        RefundError::Off { .. } => (StatusCode::CONFLICT, "REFUNDS_OFF"),
        RefundError::NetworkGone { .. } => (StatusCode::CONFLICT, "NETWORK_NOT_CONFIGURED"),
        RefundError::NotCredits { .. } => (StatusCode::CONFLICT, "NOT_REFUNDABLE"),
        RefundError::NothingLeft => (StatusCode::CONFLICT, "NOTHING_LEFT"),
        RefundError::CapReached { .. } => (StatusCode::CONFLICT, "REFUND_CAP_REACHED"),
        RefundError::FloatShort { .. } | RefundError::GasShort { .. } => {
            (StatusCode::CONFLICT, "FLOAT_SHORT")
        }
        RefundError::WouldFail(_) => (StatusCode::CONFLICT, "REFUND_WOULD_FAIL"),
        RefundError::Unavailable(unavailable) => return Problem::unavailable(unavailable),
    };
    Problem::new(status, code, error.to_string())
}

fn document(service: &Service, refund: &Refund) -> RefundDocument {
    RefundDocument {
        refund: refund.id.to_string(),
        payment: refund.payment.to_string(),
        state: refund.state.as_str(),
        credits: CreditsNumber(refund.credits),
        network: refund.asset.network.to_string(),
        asset: format!("{:#x}", refund.asset.token),
        symbol: service.symbol(refund.asset),
        amount: refund.amount.to_string(),
        payer: format!("{:#x}", refund.payer),
        float: format!("{:#x}", refund.float),
        transaction: refund.transaction.map(|hash| format!("{hash:#x}")),
        since: rfc3339(refund.created_at),
    }
}
