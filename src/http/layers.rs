//! What surrounds every route: request ids, traces, and a problem for whatever goes wrong
//! outside the handlers.

use std::{any::Any, time::Instant};

use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
    set_header::SetResponseHeaderLayer,
    trace::{DefaultOnResponse, TraceLayer},
};
use tracing::{Level, Span};

use super::problem::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CLIENT_REQUEST_ID_BYTES_MAX: usize = 128;

pub(super) fn wrap(router: Router) -> Router {
    let layers = ServiceBuilder::new()
        .layer(middleware::from_fn(drop_long_request_id))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_response(DefaultOnResponse::new().level(Level::INFO))
                .on_failure(()),
        )
        .layer(middleware::from_fn(measure))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
        .layer(CatchPanicLayer::custom(panicked));
    router
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(layers)
}

/// The matched route rather than the path: a purchase's id is a secret.
fn span(request: &Request) -> Span {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("-", MatchedPath::as_str);
    let id = request.extensions().get::<RequestId>();
    let id = id
        .and_then(|id| id.header_value().to_str().ok())
        .unwrap_or("-");
    tracing::info_span!("request", method = %request.method(), route, id)
}

async fn measure(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "-".to_owned(), |route| route.as_str().to_owned());
    let began = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    let labels = [("route", route), ("status", status)];
    metrics::histogram!("http_request_duration_seconds", &labels).record(began.elapsed());
    response
}

/// A client may name its requests, within reason.
async fn drop_long_request_id(mut request: Request, next: Next) -> Response {
    let headers = request.headers_mut();
    if headers
        .get(REQUEST_ID)
        .is_some_and(|id| id.len() > CLIENT_REQUEST_ID_BYTES_MAX)
    {
        headers.remove(REQUEST_ID);
    }
    next.run(request).await
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    Problem::internal().into_response()
}

async fn not_found() -> Problem {
    let detail = "there is nothing at this path; GET /docs shows what there is";
    Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", detail)
}

pub(super) async fn explain_not_found(response: Response) -> Response {
    if response.status() == StatusCode::NOT_FOUND {
        not_found().await.into_response()
    } else {
        response
    }
}

async fn method_not_allowed() -> Problem {
    let detail = "this path does not take this method; GET /docs shows what there is";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", detail)
}
