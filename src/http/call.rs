//! Signed calls, and the way to bare ones on the same URLs.

use std::net::IpAddr;

use axum::{
    Json,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::HeaderMap,
    response::{IntoResponse, Response},
};

use super::{
    House,
    amounts::CreditsNumber,
    body, direct,
    documents::{AnyCallDocument, CallDocument, SettlingDocument, SignedCallRequest},
    openapi::{BodyRefusals, BudgetRefusals, PaymentHeader, VersionQuery},
    payment_header,
    peer::Client,
    problem::Problem,
    refusals::{call_problem, tool_not_found},
    reply::{self, data, tool_document, voided},
    signed::SignedFields,
    version::AskedVersion,
};
use crate::{
    auth::json::Node,
    service::{Binding, CallAnswer, DirectRequest, SignedCall},
    store::{CallReply, ReplyKind, StoredCall},
};

/// Call an action
///
/// A signed body spends credits; sent again, the same signed message returns the stored reply. A
/// body without `session_nonce` and `signature` is taken as bare parameters and paid over x402.
#[utoipa::path(
    post,
    path = "/api/external/tools/{product}/actions/{action}/invoke",
    tag = "tools",
    params(("product" = String, Path), ("action" = String, Path), PaymentHeader, VersionQuery),
    request_body = SignedCallRequest,
    responses(
        (status = 200, body = AnyCallDocument),
        (status = 202, body = SettlingDocument, description = "Paid over x402, not settled yet"),
        (status = 400, description = "INVALID_REQUEST, INVALID_PAYMENT"),
        (status = 401, description = "EXTERNAL_SIGNATURE_*"),
        (status = 402, description = "INSUFFICIENT_CREDITS, or an x402 PaymentRequired document"),
        (status = 404, description = "TOOL_NOT_FOUND"),
        (status = 409, description = "EXTERNAL_SIGNATURE_REQUEST_REPLAY, …_IN_FLIGHT"),
        (status = 502, description = "TOOL_FAILED: not charged"),
        (status = 504, description = "TOOL_TIMEOUT: not charged"),
        BodyRefusals,
        BudgetRefusals,
    )
)]
pub(super) async fn invoke(
    State(house): State<House>,
    Client(client): Client,
    path: Result<Path<(String, String)>, PathRejection>,
    asked: AskedVersion,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Path((product, action)) = path.map_err(|_| tool_not_found())?;
    let bytes = body::read(&headers, body, house.limits).await?;
    let payment = payment_header::payment(&headers)?;
    let pays = payment.is_some();
    let work = move |house: House| async move {
        let bare = |parameters, payment| {
            let (product, action) = (product.as_str(), action.as_str());
            let call = DirectRequest {
                product,
                action,
                parameters,
                payment,
            };
            direct::call(&house, client, call, asked, "")
        };
        if bytes.is_empty() {
            return bare(None, payment).await;
        }
        let node = body::parse(&bytes)?;
        let signed = node.get("session_nonce").is_some() || node.get("signature").is_some();
        match (signed, payment) {
            (false, payment) => bare(Some(&node), payment).await,
            (true, Some(payment)) => {
                // Official clients send this after a 402: the payment counts, not the signature.
                let call = DirectRequest {
                    product: &product,
                    action: &action,
                    parameters: node.get("parameters"),
                    payment: Some(payment),
                };
                direct::call(&house, client, call, asked, "/parameters").await
            }
            (true, None) => {
                let binding = Binding::Path { action: &action };
                spend(&house, client, asked, &product, binding, &node).await
            }
        }
    };
    house.detached(pays, work).await
}

/// Call a product (older form)
///
/// Signed with `action:invoke` and `product:{product}`. For a product with one action, or with
/// `parameters.action` naming it.
#[utoipa::path(
    post,
    path = "/api/external/tools/{product}/invoke",
    tag = "tools",
    params(("product" = String, Path), PaymentHeader, VersionQuery),
    request_body = SignedCallRequest,
    responses(
        (status = 200, body = AnyCallDocument),
        (status = 202, body = SettlingDocument, description = "Paid over x402, not settled yet"),
        (status = 400, description = "INVALID_REQUEST, INVALID_PAYMENT"),
        (status = 401, description = "EXTERNAL_SIGNATURE_*"),
        (status = 402, description = "INSUFFICIENT_CREDITS, or an x402 PaymentRequired document"),
        (status = 404, description = "TOOL_NOT_FOUND"),
        (status = 409, description = "EXTERNAL_SIGNATURE_REQUEST_REPLAY, …_IN_FLIGHT"),
        (status = 502, description = "TOOL_FAILED: not charged"),
        (status = 504, description = "TOOL_TIMEOUT: not charged"),
        BodyRefusals,
        BudgetRefusals,
    )
)]
pub(super) async fn invoke_product(
    State(house): State<House>,
    Client(client): Client,
    path: Result<Path<String>, PathRejection>,
    asked: AskedVersion,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Path(product) = path.map_err(|_| tool_not_found())?;
    let bytes = body::read(&headers, body, house.limits).await?;
    let payment = payment_header::payment(&headers)?;
    let pays = payment.is_some();
    let work = move |house: House| async move {
        let node = body::parse(&bytes)?;
        let Some(payment) = payment else {
            return spend(&house, client, asked, &product, Binding::Scope, &node).await;
        };
        let parameters = node.get("parameters");
        let action = house.service.only_or_named_action(&product, parameters);
        let action = action.map_err(|error| call_problem(&house, client, asked, error))?;
        let call = DirectRequest {
            product: &product,
            action: action.as_str(),
            parameters,
            payment: Some(payment),
        };
        direct::call(&house, client, call, asked, "/parameters").await
    };
    house.detached(pays, work).await
}

async fn spend(
    house: &House,
    client: IpAddr,
    asked: AskedVersion,
    product: &str,
    binding: Binding<'_>,
    node: &Node<'_>,
) -> Result<Response, Problem> {
    let signed = SignedFields::of(node)?;
    house.check_failures(client)?;
    let call = SignedCall {
        caller: signed.caller(),
        signature: signed.signature,
        product,
        binding,
        parameters: node.get("parameters"),
    };
    match house.service.call(call).await {
        Ok(answer) => Ok(phrase(&answer)),
        Err(error) => Err(call_problem(house, client, asked, error)),
    }
}

fn phrase(answer: &CallAnswer) -> Response {
    let response = match &answer.call.reply {
        Some(reply) if reply.kind == ReplyKind::Captured => captured(&answer.call, reply),
        Some(reply) => voided(reply, &answer.call.charge.to_string()).into_response(),
        None => Problem::internal().into_response(),
    };
    reply::mark(response, answer.replayed)
}

fn captured(call: &StoredCall, reply: &CallReply) -> Response {
    let Some(data) = data(reply) else {
        return Problem::internal().into_response();
    };
    Json(CallDocument {
        success: true,
        response: tool_document(reply, data),
        charge_id: call.charge.to_string(),
        charge_status: call.status.as_str(),
        price_credits: CreditsNumber(call.price),
        charged_credits: CreditsNumber(call.price),
        balance_credits: CreditsNumber(call.balance),
        balance_usd: call.balance.usd(),
        credit_source: call.credit_source.as_str(),
    })
    .into_response()
}
