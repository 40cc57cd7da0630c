//! A tool's reply as it is sent: its output, or how it failed.

use axum::{
    http::{HeaderName, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::value::RawValue;

use super::{amounts::CreditsNumber, documents::ToolDocument, problem::Problem};
use crate::{
    base::Credits,
    store::{CallReply, ReplyKind},
};

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Marks an answer that was stored by an earlier request.
pub(super) fn mark(response: Response, replayed: bool) -> Response {
    if replayed {
        ([(REPLAYED, "true")], response).into_response()
    } else {
        response
    }
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
