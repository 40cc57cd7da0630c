//! `GET /api/external/tools`: what is for sale, at what price.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};

use super::{
    House,
    amounts::CreditsNumber,
    documents::{ActionEntry, CatalogueDocument, ToolEntry, ToolPage},
    problem::Problem,
    refusals::tool_not_found,
};
use crate::{base::Slug, service::Service, upstream::Tool};

/// List the tools
#[utoipa::path(
    get,
    path = "/api/external/tools",
    tag = "tools",
    responses(
        (status = 200, body = CatalogueDocument),
        (status = 503, description = "UNAVAILABLE"),
    )
)]
pub(super) async fn list(State(house): State<House>) -> Result<Response, Problem> {
    let _place = house.place()?;
    let service = &house.service;
    let tools = service
        .catalogue()
        .tools()
        .iter()
        .map(|tool| entry(service, tool))
        .collect();
    let document = CatalogueDocument {
        price_list_hash: price_list_hash(service),
        tools,
    };
    Ok(Json(document).into_response())
}

/// Show one tool
#[utoipa::path(
    get,
    path = "/api/external/tools/{product}",
    tag = "tools",
    params(("product" = String, Path)),
    responses(
        (status = 200, body = ToolPage),
        (status = 404, description = "TOOL_NOT_FOUND"),
        (status = 503, description = "UNAVAILABLE"),
    )
)]
pub(super) async fn one(
    State(house): State<House>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(product) = path.map_err(|_| tool_not_found())?;
    let _place = house.place()?;
    let service = &house.service;
    let slug: Slug = product.parse().map_err(|_| tool_not_found())?;
    let tool = service.catalogue().tool(&slug).ok_or_else(tool_not_found)?;
    let page = ToolPage {
        price_list_hash: price_list_hash(service),
        tool: entry(service, tool),
    };
    Ok(Json(page).into_response())
}

fn price_list_hash(service: &Service) -> String {
    hex::encode(service.catalogue().price_list().hash())
}

fn entry<'a>(service: &Service, tool: &'a Tool) -> ToolEntry<'a> {
    let actions = tool.actions().iter().map(|action| ActionEntry {
        slug: action.slug().as_str(),
        description: action.description(),
        invoke_url: service.invoke_url(tool.slug(), action.slug()),
        price_credits: CreditsNumber(action.price()),
        price_usd: action.price().usd(),
        x402: service.takes_x402(action),
        parameters: action.parameters(),
    });
    ToolEntry {
        slug: tool.slug().as_str(),
        name: tool.name(),
        description: tool.description(),
        actions: actions.collect(),
    }
}
