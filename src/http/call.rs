//! Signed calls, and the way to bare ones on the same URLs.

use std::{net::IpAddr, time::Instant};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::value::RawValue;

use super::{
    House,
    amounts::CreditsNumber,
    body,
    client::Client,
    direct,
    documents::{
        AnyCallDocument, CallDocument, PaidCallDocument, SettlingDocument, SignedCallRequest,
        ToolDocument,
    },
    fields::{FieldProblem, Fields},
    openapi::{BodyRefusals, BudgetRefusals, PaymentHeader},
    payment_header,
    problem::Problem,
};
use crate::{
    auth::{Caller, Mismatch, json::Node},
    base::{AgentAddress, Credits, RequestId},
    service::{
        Binding, CallAnswer, CallError, DirectRequest, SessionProblem, SignatureProblem, SignedCall,
    },
    store::{CallReply, ReplyKind, StoredCall},
};

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Call an action
///
/// A signed body spends credits; sent again, the same signed message returns the stored reply. A
/// body without `session_nonce` and `signature` is taken as bare parameters and paid over x402.
#[utoipa::path(
    post,
    path = "/api/external/tools/{product}/actions/{action}/invoke",
    tag = "tools",
    params(("product" = String, Path), ("action" = String, Path), PaymentHeader),
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
            direct::call(&house, client, call, "")
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
                direct::call(&house, client, call, "/parameters").await
            }
            (true, None) => {
                let binding = Binding::Path { action: &action };
                spend(&house, client, &product, binding, &node).await
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
    params(("product" = String, Path), PaymentHeader),
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
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Path(product) = path.map_err(|_| tool_not_found())?;
    let bytes: Bytes = body::read(&headers, body, house.limits).await?;
    let payment = payment_header::payment(&headers)?;
    let pays = payment.is_some();
    let work = move |house: House| async move {
        let node = body::parse(&bytes)?;
        let Some(payment) = payment else {
            return spend(&house, client, &product, Binding::Scope, &node).await;
        };
        let parameters = node.get("parameters");
        let action = house.service.only_or_named_action(&product, parameters);
        let action = action.map_err(|error| problem(&house, client, error))?;
        let call = DirectRequest {
            product: &product,
            action: action.as_str(),
            parameters,
            payment: Some(payment),
        };
        direct::call(&house, client, call, "/parameters").await
    };
    house.detached(pays, work).await
}

/// What every signed body has.
pub(super) struct SignedFields<'b> {
    pub(super) wallet: AgentAddress,
    pub(super) session_nonce: &'b str,
    pub(super) request_id: RequestId,
    pub(super) signature: &'b str,
}

impl<'b> SignedFields<'b> {
    pub(super) fn read(fields: &mut Fields<'_, 'b>) -> Option<Self> {
        let wallet = fields.required("wallet_address");
        let session_nonce = fields.text("session_nonce");
        let request_id = fields.required("request_id");
        let signature = fields.text("signature");
        Some(Self {
            wallet: wallet?,
            session_nonce: session_nonce?,
            request_id: request_id?,
            signature: signature?,
        })
    }
}

async fn spend(
    house: &House,
    client: IpAddr,
    product: &str,
    binding: Binding<'_>,
    node: &Node<'_>,
) -> Result<Response, Problem> {
    let mut fields = Fields::of(node)?;
    let signed = SignedFields::read(&mut fields);
    let signed = fields.all(signed)?;
    house.check_failures(client)?;
    let call = SignedCall {
        caller: Caller {
            wallet: signed.wallet,
            session_nonce: signed.session_nonce,
            request_id: &signed.request_id,
        },
        signature: signed.signature,
        product,
        binding,
        parameters: node.get("parameters"),
    };
    match house.service.call(call).await {
        Ok(answer) => Ok(phrase(&answer)),
        Err(error) => Err(problem(house, client, error)),
    }
}

fn phrase(answer: &CallAnswer) -> Response {
    let mut response = match &answer.call.reply {
        Some(reply) if reply.kind == ReplyKind::Captured => captured(&answer.call, reply),
        Some(reply) => voided(reply, &answer.call.charge.to_string()).into_response(),
        None => Problem::internal().into_response(),
    };
    if answer.replayed {
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
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

/// The tool's own JSON, which was checked before it was stored.
pub(super) fn data(reply: &CallReply) -> Option<&RawValue> {
    serde_json::from_slice(&reply.body)
        .inspect_err(|error| tracing::error!(%error, "a stored reply is not JSON"))
        .ok()
}

pub(super) fn tool_document<'a>(reply: &CallReply, data: &'a RawValue) -> ToolDocument<'a> {
    ToolDocument {
        success: true,
        status_code: reply.status.unwrap_or(200),
        data,
    }
}

/// A tool that failed: nothing is charged for it.
pub(super) fn voided(reply: &CallReply, charge: &str) -> Problem {
    failed(reply, charge, "nothing is charged")
}

/// A tool that failed, and what became of the money.
pub(super) fn failed(reply: &CallReply, charge: &str, money: &str) -> Problem {
    let (status, code, what) = if reply.kind == ReplyKind::TimedOut {
        (
            StatusCode::GATEWAY_TIMEOUT,
            "TOOL_TIMEOUT",
            "the tool took too long",
        )
    } else {
        (StatusCode::BAD_GATEWAY, "TOOL_FAILED", "the tool failed")
    };
    Problem::new(status, code, format!("{what}; {money}"))
        .with("charge_id", charge)
        .with("charge_status", "voided")
        .with("charged_credits", &CreditsNumber(Credits::ZERO))
        .with("upstream_status", &reply.status)
        .with("upstream_body", &data(reply))
}

impl House {
    /// Refuses a client that failed too often.
    pub(super) fn check_failures(&self, client: IpAddr) -> Result<(), Problem> {
        let Some(wait) = self.failures.wait(client, Instant::now()) else {
            return Ok(());
        };
        let seconds = u16::try_from(wait.as_secs() + 1).unwrap_or(u16::MAX);
        let detail =
            format!("too many signatures or payments were refused; wait {seconds} seconds");
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", detail);
        Err(problem.retry_after(seconds))
    }

    /// Counts a signature that did not verify, or a payment that was refused: each payment costs
    /// several questions to the chain, whatever is wrong with it.
    pub(super) fn count_failure(&self, client: IpAddr) {
        self.failures.record(client, Instant::now());
    }
}

/// Phrases why a call did not run, and counts failed signatures against the client.
pub(super) fn problem(house: &House, client: IpAddr, error: CallError) -> Problem {
    match error {
        CallError::Session(problem) => session_problem(problem),
        CallError::Signature(problem) => {
            house.count_failure(client);
            signature_problem(problem)
        }
        CallError::Replay { charge, status } => conflict(
            "EXTERNAL_SIGNATURE_REQUEST_REPLAY",
            "the request_id is taken by another message in this session; use a new one",
        )
        .with("charge_id", &charge.to_string())
        .with("charge_status", status.as_str()),
        CallError::InFlight { charge } => conflict(
            "EXTERNAL_SIGNATURE_REQUEST_IN_FLIGHT",
            "this call is still running; send the same request again for its reply",
        )
        .with("charge_id", &charge.to_string())
        .with("charge_status", "held")
        .retry_after(1),
        CallError::BrokenOff { charge } => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "UNAVAILABLE",
            "the call was broken off and nothing was charged; sign it again with a new request_id",
        )
        .with("charge_id", &charge.to_string())
        .with("charge_status", "voided")
        .with("charged_credits", &CreditsNumber(Credits::ZERO))
        .retry_after(1),
        CallError::ToolNotFound => tool_not_found(),
        CallError::ActionNotNamed => Problem::fields(&[FieldProblem::new(
            "/parameters/action",
            "must name an action: the product has several",
        )]),
        CallError::Parameters(errors) => parameters_problem("/parameters", errors),
        CallError::Insufficient {
            price,
            available,
            tool,
            action,
        } => {
            let service = &house.service;
            let detail = format!("the price is {price} credits and {available} are available");
            let problem =
                Problem::new(StatusCode::PAYMENT_REQUIRED, "INSUFFICIENT_CREDITS", detail)
                    .with("price_credits", &CreditsNumber(price))
                    .with("available_credits", &CreditsNumber(available))
                    .with("purchase_url", &service.purchase_url());
            let quote = service.direct_quote(&tool, &action, "insufficient credits");
            match quote.as_ref().and_then(payment_header::required) {
                Some((name, value)) => problem.header(name, value),
                None => problem,
            }
        }
        CallError::Unavailable(reason) => Problem::unavailable(&reason),
    }
}

pub(super) fn conflict(code: &'static str, detail: &'static str) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, detail)
}

pub(super) fn tool_not_found() -> Problem {
    let detail = "there is no such tool or action; GET /api/external/tools lists them";
    Problem::new(StatusCode::NOT_FOUND, "TOOL_NOT_FOUND", detail)
}

pub(super) fn parameters_problem(base: &str, errors: Vec<crate::upstream::FieldError>) -> Problem {
    let problems = errors
        .into_iter()
        .map(|error| FieldProblem::of_parameters(base, error));
    Problem::fields(&problems.collect::<Vec<_>>())
}

fn session_problem(problem: SessionProblem) -> Problem {
    let (code, detail) = match problem {
        SessionProblem::Invalid => (
            "EXTERNAL_SIGNATURE_SESSION_NONCE_INVALID",
            "the session_nonce was not given to this wallet here; open a session and sign again",
        ),
        SessionProblem::Expired => (
            "EXTERNAL_SIGNATURE_SESSION_NONCE_EXPIRED",
            "the session has expired; open a new one and sign again",
        ),
        SessionProblem::PriceRose => (
            "EXTERNAL_SIGNATURE_SESSION_NONCE_EXPIRED",
            "the price rose since the session was opened; open a new one and sign again",
        ),
    };
    Problem::new(StatusCode::UNAUTHORIZED, code, detail)
}

fn signature_problem(problem: SignatureProblem) -> Problem {
    match problem {
        SignatureProblem::Malformed {
            problem,
            expected_message,
        } => Problem::new(
            StatusCode::UNAUTHORIZED,
            "EXTERNAL_SIGNATURE_MALFORMED",
            format!("the signature {problem}"),
        )
        .with("expected_message", &expected_message),
        SignatureProblem::Mismatch(mismatch) => mismatch_problem(&mismatch),
    }
}

fn mismatch_problem(mismatch: &Mismatch) -> Problem {
    let hashes: Vec<String> = mismatch
        .accepted_payload_hashes
        .iter()
        .map(hex::encode)
        .collect();
    let recovered = mismatch
        .recovered_wallet_for_expected_message
        .map(|wallet| wallet.to_string());
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "EXTERNAL_SIGNATURE_WALLET_MISMATCH",
        "the signature is not the wallet's over any message that this request allows; \
         sign expected_message exactly as it stands",
    )
    .with("expected_message", &mismatch.expected_message)
    .with("expected_wallet", &mismatch.expected_wallet.to_string())
    .with("recovered_wallet_for_expected_message", &recovered)
    .with("accepted_paths", &mismatch.accepted_paths)
    .with("accepted_payload_hashes", &hashes)
    .with(
        "payload_canonical_top_level_keys",
        &mismatch.payload_canonical_top_level_keys,
    )
}

/// The answer to a call that was paid for by itself.
pub(super) fn paid_document<'a>(
    reply: &CallReply,
    data: &'a RawValue,
    x402: super::documents::PaymentDocument,
) -> PaidCallDocument<'a> {
    PaidCallDocument {
        success: true,
        response: tool_document(reply, data),
        x402,
    }
}
