//! `POST /suspense/{payment}/move`

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};

use super::{
    super::{amounts::CreditsNumber, problem::Problem},
    suspense::payment_id,
};
use crate::{base::AgentAddress, service::Service, store::MoveRefusal};

const NOTE_BYTES_MAX: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MoveBody {
    to: String,
    note: Option<String>,
}

#[derive(Serialize)]
pub(super) struct MovedDocument {
    payment: String,
    wallet: String,
    credits: CreditsNumber,
    /// An earlier call did it; this one changed nothing.
    already_moved: bool,
}

pub(super) async fn move_out(
    State(service): State<Service>,
    Path(payment): Path<String>,
    body: Result<Json<MoveBody>, JsonRejection>,
) -> Result<Json<MovedDocument>, Problem> {
    let payment = payment_id(&payment)?;
    let Json(MoveBody { to, note }) = body.map_err(|error| Problem::invalid(error.body_text()))?;
    let to = wallet(&to)?;
    let note = note.map(checked).transpose()?;
    let moved = service
        .move_suspense(payment, to, note)
        .await
        .map_err(|error| Problem::unavailable(&error))?
        .map_err(refused)?;
    Ok(Json(MovedDocument {
        payment: payment.to_string(),
        wallet: to.to_string(),
        credits: CreditsNumber(moved.credits),
        already_moved: moved.already,
    }))
}

fn wallet(text: &str) -> Result<AgentAddress, Problem> {
    let wallet: AgentAddress = text
        .parse()
        .map_err(|error| Problem::invalid(format!("the wallet {error}")))?;
    if wallet.address().is_zero() {
        return Err(Problem::invalid("the wallet belongs to nobody"));
    }
    Ok(wallet)
}

fn checked(note: String) -> Result<String, Problem> {
    if note.len() > NOTE_BYTES_MAX || note.chars().any(char::is_control) {
        let detail = format!("a note is one line of {NOTE_BYTES_MAX} bytes at most");
        return Err(Problem::invalid(detail));
    }
    Ok(note)
}

fn refused(refusal: MoveRefusal) -> Problem {
    let conflict = |code, detail: String| Problem::new(StatusCode::CONFLICT, code, detail);
    match refusal {
        MoveRefusal::Unknown => {
            let detail = "there is no payment with this id";
            Problem::new(StatusCode::NOT_FOUND, "PAYMENT_NOT_FOUND", detail)
        }
        MoveRefusal::NotInSuspense { state } => conflict(
            "NOT_IN_SUSPENSE",
            format!("the payment is not in suspense; it is {state}"),
        ),
        MoveRefusal::MovedElsewhere { wallet } => conflict(
            "MOVED_ELSEWHERE",
            format!("the payment was moved to {wallet} already"),
        ),
        MoveRefusal::TooSmall => conflict(
            "TOO_SMALL",
            "the payment is worth less than the smallest part of a credit".to_owned(),
        ),
    }
}
