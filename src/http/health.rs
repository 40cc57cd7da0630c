//! Whether the process lives, and whether it can serve.

use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};

use super::{House, problem::Problem};

/// Is the process alive?
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200)))]
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Can it serve?
///
/// The store takes writes, and every network's node answers for the right chain. `warnings`, if
/// there are any, say in sentences what an operator has to see to soon.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    responses((status = 200), (status = 503, description = "UNAVAILABLE"))
)]
pub(super) async fn ready(State(house): State<House>) -> Result<Json<Value>, Problem> {
    if house.service.stopping() {
        let detail = "the server is stopping";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(Problem::new(status, "UNAVAILABLE", detail).retry_after(1));
    }
    let _place = house.place()?;
    match house.service.check_ready().await {
        Ok(()) => Ok(Json(match house.service.warnings() {
            none if none.is_empty() => json!({ "status": "ready" }),
            warnings => json!({ "status": "ready", "warnings": warnings }),
        })),
        Err(error) => Err(Problem::unavailable(&error)),
    }
}
