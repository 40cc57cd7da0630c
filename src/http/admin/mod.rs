//! The operator's verbs, for whoever may open the service's own socket. Never served over a network.
//!
//! Speaks JSON like the rest of `http`, and answers problems. A request names the database that it is
//! meant for, so that the configuration of one service never moves the money of another.

mod log;
mod moves;
mod refund;
mod suspense;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, StatusCode},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};

use super::{layers, problem::Problem};
use crate::service::Service;

/// Names the database that a request is meant for.
pub const ADMIN_DATABASE: HeaderName = HeaderName::from_static("x-counterfoil-database");

/// The largest body.
const BODY_BYTES_MAX: usize = 64 * 1_024;

/// The operator's verbs on the database that is named so.
pub fn admin_router(service: Service, database: &str) -> Router {
    let router = Router::new()
        .route("/log", get(log::list))
        .route("/suspense", get(suspense::list))
        .route("/suspense/{payment}/move", post(moves::move_out))
        .route("/refunds", post(refund::refund))
        .with_state(service)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(
            database.to_owned(),
            check_database,
        ));
    layers::wrap(router)
}

async fn check_database(
    State(database): State<String>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let named = request.headers().get(ADMIN_DATABASE);
    if named.is_none_or(|named| named.as_bytes() != database.as_bytes()) {
        let detail = "the service that listens here has another database";
        let status = StatusCode::MISDIRECTED_REQUEST;
        return Err(Problem::new(status, "OTHER_DATABASE", detail));
    }
    Ok(next.run(request).await)
}
