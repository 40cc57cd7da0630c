//! Calls paid one by one over x402.

use std::net::IpAddr;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    House,
    amounts::UsdNumber,
    call::{conflict, data, failed, paid_document, parameters_problem, tool_not_found, voided},
    documents::{PaymentDocument, SettlingDocument, TransferDocument},
    payment_header,
    problem::Problem,
};
use crate::{
    base::PurchaseId,
    payment::PaymentState,
    service::{DirectAnswer, DirectError, DirectRequest, PaidCall},
    store::{Payment, ReplyKind},
    x402::{PaymentRequired, Resource, SettleResponse},
};

/// Runs a call whose parameters stand at `base` in the body.
pub(super) async fn call(
    house: &House,
    client: IpAddr,
    call: DirectRequest<'_>,
    base: &str,
) -> Result<Response, Problem> {
    if call.payment.is_some() {
        house.check_failures(client)?;
    }
    match house.service.direct_call(call).await {
        Ok(DirectAnswer::Finished(paid)) => Ok(finished(house, &paid)),
        Ok(DirectAnswer::Settling {
            payment,
            output_kept,
        }) => Ok(settling(house, &payment, output_kept)),
        Err(error) => {
            if matches!(
                error,
                DirectError::Refused { .. } | DirectError::SettledElsewhere
            ) {
                house.count_failure(client);
            }
            phrase(house, base, error)
        }
    }
}

fn finished(house: &House, paid: &PaidCall) -> Response {
    let PaidCall { payment, reply, .. } = paid;
    let mut response = if reply.kind == ReplyKind::Captured {
        match data(reply) {
            Some(data) => {
                Json(paid_document(reply, data, payment_document(house, paid))).into_response()
            }
            None => return Problem::internal().into_response(),
        }
    } else {
        let id = payment.id.to_string();
        if payment.state == PaymentState::Credited {
            // It had settled first.
            let problem = failed(reply, &id, "the payment became credits of its payer")
                .with("credited_wallet", &payment.wallet.to_string())
                .with(
                    "credited_credits",
                    &super::amounts::CreditsNumber(payment.credits),
                );
            problem.into_response()
        } else {
            voided(reply, &id).into_response()
        }
    };
    if payment.state == PaymentState::Credited {
        response.headers_mut().extend(
            payment_header::response(&settled(payment))
                .into_iter()
                .map(|(name, value)| (Some(name), value)),
        );
    }
    if paid.replayed {
        response
            .headers_mut()
            .insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    response
}

fn payment_document(house: &House, paid: &PaidCall) -> PaymentDocument {
    let Payment {
        asset,
        terms,
        credits,
        ..
    } = &paid.payment;
    PaymentDocument {
        transaction: transaction(&paid.payment),
        network: asset.network.to_string(),
        resource_url: paid.resource_url.clone(),
        payment: TransferDocument {
            token: house.service.symbol(*asset).unwrap_or_default(),
            asset: format!("{:#x}", asset.token),
            amount_base_units: terms.value.to_string(),
            amount_usd: UsdNumber(*credits),
            payer_wallet_address: format!("{:#x}", terms.from),
            pay_to: format!("{:#x}", terms.to),
        },
    }
}

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
        payment.terms.from,
        Some(payment.terms.value),
    )
}

fn settling(house: &House, payment: &Payment, output_kept: bool) -> Response {
    let detail = if output_kept {
        "the payment is not settled yet; send the same request again for the output"
    } else {
        "the payment did not settle in time and no payment-identifier was sent to come back with: \
         if it settles, it becomes credits of the payer"
    };
    accepted(house, payment.id, detail)
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
    let retry = [(header::RETRY_AFTER, HeaderValue::from_static("2"))];
    (StatusCode::ACCEPTED, retry, Json(document)).into_response()
}

/// 402 to an unsigned request: the x402 document itself, with its header.
pub(super) fn payment_required(
    quote: &PaymentRequired,
    refused: Option<&SettleResponse>,
) -> Response {
    let mut response = (StatusCode::PAYMENT_REQUIRED, Json(quote)).into_response();
    let headers = response.headers_mut();
    if let Some((name, value)) = payment_header::required(quote) {
        headers.insert(name, value);
    }
    for (name, value) in refused.into_iter().flat_map(payment_header::response) {
        headers.insert(name, value);
    }
    response
}

pub(super) fn replay(id: PurchaseId, state: PaymentState) -> Problem {
    conflict(
        "EXTERNAL_SIGNATURE_REQUEST_REPLAY",
        "the authorization was used for another call or purchase; sign a new one",
    )
    .with("charge_id", &id.to_string())
    .with("charge_status", state.as_str())
}

fn phrase(house: &House, base: &str, error: DirectError) -> Result<Response, Problem> {
    match error {
        DirectError::PaymentRequired(quote) => Ok(payment_required(&quote, None)),
        DirectError::Refused {
            response, quote, ..
        } => Ok(payment_required(&quote, Some(&response))),
        DirectError::ToolNotFound => Err(tool_not_found()),
        DirectError::CreditsOnly => Ok(credits_only(house)),
        DirectError::Parameters(errors) => Err(parameters_problem(base, errors)),
        DirectError::Replay { id, state } => Err(replay(id, state)),
        DirectError::InFlight { id, state } => Err(conflict(
            "EXTERNAL_SIGNATURE_REQUEST_IN_FLIGHT",
            "this call is still running; send the same request again for its reply",
        )
        .with("charge_id", &id.to_string())
        .with("charge_status", state.as_str())
        .retry_after(1)),
        DirectError::BrokenOff { id, state } => Err(conflict(
            "EXTERNAL_SIGNATURE_REQUEST_REPLAY",
            "the call was broken off; a payment that settled became credits of its payer",
        )
        .with("charge_id", &id.to_string())
        .with("charge_status", state.as_str())),
        DirectError::SettledElsewhere => Err(conflict(
            "EXTERNAL_SIGNATURE_REQUEST_REPLAY",
            "the authorization is settled already; send it to the purchase endpoint for credits",
        )),
        DirectError::Unavailable(reason) => Err(Problem::unavailable(&reason)),
    }
}

/// An unpaid call of an action that takes credits only: no offer fits this URL.
fn credits_only(house: &House) -> Response {
    let url = house.service.purchase_url();
    let error = format!("this action takes credits only: buy them at {url} and sign the call");
    let description = "Prepaid credits".to_owned();
    let resource = Resource {
        url,
        description,
        mime_type: "application/json".to_owned(),
    };
    payment_required(&PaymentRequired::new(&error, resource, Vec::new()), None)
}
