//! Calls paid one by one over x402.

use std::net::IpAddr;

use axum::{
    Json,
    response::{IntoResponse, Response},
};

use super::{
    House,
    amounts::{CreditsNumber, UsdNumber},
    documents::{PaidCallDocument, PaymentDocument, TransferDocument},
    payment_header,
    payments::{accepted, payment_required, replay, settled, transaction},
    problem::Problem,
    refusals::{conflict, parameters_problem, tool_not_found},
    reply::{self, data, failed, tool_document, voided},
    version::AskedVersion,
};
use crate::{
    payment::PaymentState,
    service::{DirectAnswer, DirectError, DirectRequest, PaidCall},
    store::{Payment, ReplyKind},
    x402::{PaymentRequired, Resource, X402Version},
};

/// Runs a call whose parameters stand at `base` in the body.
pub(super) async fn call(
    house: &House,
    client: IpAddr,
    call: DirectRequest<'_>,
    asked: AskedVersion,
    base: &str,
) -> Result<Response, Problem> {
    let version = asked.unless_paid(call.payment.as_ref());
    if call.payment.is_some() {
        house.check_failures(client)?;
    }
    match house.service.direct_call(call).await {
        Ok(DirectAnswer::Finished(paid)) => Ok(finished(house, &paid, version)),
        Ok(DirectAnswer::Settling {
            payment,
            output_kept,
        }) => Ok(settling(house, &payment, output_kept)),
        Err(error) => {
            let counts = match &error {
                DirectError::Refused { .. } | DirectError::SettledElsewhere => true,
                DirectError::Unavailable(reason) => reason.is_of_a_wallet(),
                _ => false,
            };
            if counts {
                house.count_failure(client);
            }
            phrase(house, base, version, error)
        }
    }
}

fn finished(house: &House, paid: &PaidCall, version: X402Version) -> Response {
    let PaidCall { payment, reply, .. } = paid;
    let credited = payment.state == PaymentState::Credited;
    let response = if reply.kind == ReplyKind::Captured {
        let Some(data) = data(reply) else {
            return Problem::internal().into_response();
        };
        let document = PaidCallDocument {
            success: true,
            response: tool_document(reply, data),
            x402: payment_document(house, paid),
        };
        Json(document).into_response()
    } else {
        let id = payment.id.to_string();
        if credited {
            // It had settled first.
            failed(reply, &id, "the payment became credits of its payer")
                .with("credited_wallet", &payment.wallet.to_string())
                .with("credited_credits", &CreditsNumber(payment.credits))
                .into_response()
        } else {
            voided(reply, &id).into_response()
        }
    };
    let response = reply::mark(response, paid.replayed);
    if credited {
        let receipt = payment_header::response(&settled(payment), version);
        (receipt, response).into_response()
    } else {
        response
    }
}

fn payment_document(house: &House, paid: &PaidCall) -> PaymentDocument {
    let Payment {
        asset,
        transfer,
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
            amount_base_units: transfer.value.to_string(),
            amount_usd: UsdNumber(*credits),
            payer_wallet_address: format!("{:#x}", transfer.from),
            pay_to: format!("{:#x}", transfer.to),
        },
    }
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

fn phrase(
    house: &House,
    base: &str,
    version: X402Version,
    error: DirectError,
) -> Result<Response, Problem> {
    match error {
        DirectError::PaymentRequired(quote) => Ok(payment_required(&quote, None, version)),
        DirectError::Refused {
            response, quote, ..
        } => Ok(payment_required(&quote, Some(&response), version)),
        DirectError::ToolNotFound => Err(tool_not_found()),
        DirectError::CreditsOnly => Ok(credits_only(house, version)),
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
fn credits_only(house: &House, version: X402Version) -> Response {
    let url = house.service.purchase_url();
    let error = format!("this action takes credits only: buy them at {url} and sign the call");
    let description = "Prepaid credits".to_owned();
    let resource = Resource {
        url,
        description,
        mime_type: "application/json".to_owned(),
    };
    let nothing = PaymentRequired::new(&error, resource, Vec::new());
    payment_required(&nothing, None, version)
}
