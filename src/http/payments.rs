//! What became of a payment, phrased for every route that takes one.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    House, documents::SettlingDocument, payment_header, problem::Problem, refusals::conflict,
};
use crate::{
    base::PurchaseId,
    payment::PaymentState,
    store::Payment,
    x402::{PaymentRequired, SettleResponse, X402Version, v1},
};

pub(super) fn transaction(payment: &Payment) -> String {
    payment
        .transaction
        .map(|hash| format!("{hash:#x}"))
        .unwrap_or_default()
}

/// `PAYMENT-RESPONSE` for a payment that arrived.
pub(super) fn settled(payment: &Payment) -> SettleResponse {
    SettleResponse::settled(
        payment.asset.network,
        &transaction(payment),
        payment.transfer.from,
        Some(payment.transfer.value),
    )
}

/// 202: the outcome is not known, and is durable.
pub(super) fn accepted(house: &House, id: PurchaseId, detail: &'static str) -> Response {
    let public_url = &house.service.settings().public_url;
    let document = SettlingDocument {
        success: true,
        status: "settling",
        purchase_id: id.to_string(),
        status_url: format!("{public_url}/api/external/credits/purchases/{id}"),
        detail,
    };
    let retry = [(header::RETRY_AFTER, "2")];
    (StatusCode::ACCEPTED, retry, Json(document)).into_response()
}

/// 402 to an unsigned request: the x402 document itself, in version 2 with its header.
pub(super) fn payment_required(
    quote: &PaymentRequired,
    refused: Option<&SettleResponse>,
    version: X402Version,
) -> Response {
    let refused = refused.map(|refused| payment_header::response(refused, version));
    let refused = refused.unwrap_or_default();
    let status = StatusCode::PAYMENT_REQUIRED;
    match version {
        X402Version::One => {
            let document = Json(v1::PaymentRequired::from(quote));
            (status, refused, document).into_response()
        }
        X402Version::Two => {
            let offers = payment_header::required(quote);
            (status, offers, refused, Json(quote)).into_response()
        }
    }
}

/// 402 to a signed request: the way to pay for that one call, beside the problem.
pub(super) fn with_offers(
    problem: Problem,
    quote: &PaymentRequired,
    version: X402Version,
) -> Problem {
    match version {
        X402Version::One => {
            let document = v1::PaymentRequired::from(quote);
            problem
                .with("x402Version", &document.x402_version)
                .with("error", &document.error)
                .with("accepts", &document.accepts)
        }
        X402Version::Two => problem.headers(payment_header::required(quote)),
    }
}

pub(super) fn replay(id: PurchaseId, state: PaymentState) -> Problem {
    conflict(
        "EXTERNAL_SIGNATURE_REQUEST_REPLAY",
        "the authorization was used for another call or purchase; sign a new one",
    )
    .with("charge_id", &id.to_string())
    .with("charge_status", state.as_str())
}
