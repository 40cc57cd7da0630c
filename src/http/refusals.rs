//! Why a call did not run, phrased.

use std::net::IpAddr;

use axum::http::StatusCode;

use super::{
    House, amounts::CreditsNumber, fields::FieldProblem, payments::with_offers, problem::Problem,
    version::AskedVersion,
};
use crate::{
    auth::Mismatch,
    base::Credits,
    service::{CallError, SessionProblem, SignatureProblem},
    upstream::FieldError,
};

/// Phrases why a call did not run, and counts failed signatures against the client.
pub(super) fn call_problem(
    house: &House,
    client: IpAddr,
    asked: AskedVersion,
    error: CallError,
) -> Problem {
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
            match quote {
                Some(quote) => with_offers(problem, &quote, asked.unless_paid(None)),
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

pub(super) fn parameters_problem(base: &str, errors: Vec<FieldError>) -> Problem {
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
