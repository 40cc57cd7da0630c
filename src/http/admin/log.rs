//! `GET /log`

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::{Deserialize, Serialize};

use super::super::{problem::Problem, time::rfc3339};
use crate::{service::Service, store::AdminAction};

const PAGE: u32 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// The last action of the page before.
    before: Option<i64>,
}

#[derive(Serialize)]
pub(super) struct LogDocument {
    actions: Vec<ActionDocument>,
}

#[derive(Serialize)]
struct ActionDocument {
    id: i64,
    at: String,
    verb: String,
    arguments: String,
    note: Option<String>,
}

pub(super) async fn list(
    State(service): State<Service>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<LogDocument>, Problem> {
    let Query(page) = page.map_err(|error| Problem::invalid(error.body_text()))?;
    let actions = service
        .admin_actions(page.before, PAGE)
        .await
        .map_err(|error| Problem::unavailable(&error))?;
    let actions = actions.into_iter().map(document).collect();
    Ok(Json(LogDocument { actions }))
}

fn document(action: AdminAction) -> ActionDocument {
    ActionDocument {
        id: action.id,
        at: rfc3339(action.at),
        verb: action.verb,
        arguments: action.arguments,
        note: action.note,
    }
}
