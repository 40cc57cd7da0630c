//! `POST /api/external/auth/session`.

use axum::{Json, body::Body, extract::State, http::HeaderMap};

use super::{
    House, body,
    documents::{SessionDocument, SessionRequest},
    fields::Fields,
    openapi::BodyRefusals,
    problem::Problem,
    time::rfc3339,
};
use crate::base::AgentAddress;

/// Open a session
///
/// Proves nothing and stores nothing: every later call is signed.
#[utoipa::path(
    post,
    path = "/api/external/auth/session",
    tag = "sessions",
    request_body = SessionRequest,
    responses(
        (status = 200, body = SessionDocument),
        (status = 400, description = "INVALID_REQUEST"),
        BodyRefusals,
    )
)]
pub(super) async fn open(
    State(house): State<House>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<SessionDocument>, Problem> {
    let bytes = body::read(&headers, body, house.limits).await?;
    let _place = house.place()?;
    let node = body::parse(&bytes)?;
    let mut fields = Fields::of(&node)?;
    let wallet: Option<AgentAddress> = fields.required("wallet_address");
    let wallet = fields.all(wallet)?;
    let session = house
        .service
        .open_session(wallet)
        .map_err(|error| Problem::unavailable(&error))?;
    Ok(Json(SessionDocument {
        session_nonce: session.nonce,
        expires_in: session.expires_in_seconds,
        expires_at: rfc3339(session.expires_at),
    }))
}

/// Open a session (alias)
#[utoipa::path(
    post,
    path = "/api/external/session-nonce",
    tag = "sessions",
    request_body = SessionRequest,
    responses(
        (status = 200, body = SessionDocument),
        (status = 400, description = "INVALID_REQUEST"),
        BodyRefusals,
    )
)]
pub(super) async fn open_alias(
    state: State<House>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<SessionDocument>, Problem> {
    open(state, headers, body).await
}
