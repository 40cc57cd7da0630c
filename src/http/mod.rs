//! HTTP: a router for each resource, and the only place that knows axum.
//!
//! Reads requests into domain values, hands them to the service's verbs, and phrases the answers:
//! `problem` for every error, `amounts` for money, `documents` for the bodies. Decides nothing
//! about money. A request's work runs detached from its connection, so that a client that hangs up
//! changes nothing.

mod admin;
mod amounts;
mod balance;
mod body;
mod call;
mod catalogue;
mod claim;
mod direct;
mod documents;
mod failures;
mod fields;
mod health;
mod layers;
mod openapi;
mod payment_header;
mod payments;
mod peer;
mod problem;
mod purchase;
mod refusals;
mod reply;
mod session;
mod signed;
mod time;
mod version;
mod work;

use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use axum::{Router, middleware::map_response, routing::post};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::SwaggerUi;

pub use admin::{ADMIN_DATABASE, admin_router};
pub use openapi::document as openapi_document;
pub use peer::{is_trusted, network_of};

use crate::service::Service;

/// Limits of the door, from the configuration.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    pub request_bytes_max: usize,
    /// Requests that run at once; more are told to come back.
    pub in_flight_max: usize,
    /// Those of them that bring a payment.
    pub payments_in_flight_max: usize,
    /// Signatures that do not verify and payments that are refused, for each client.
    pub failed_signatures_per_minute: NonZeroU32,
    /// How long a client may take to send its body.
    pub body_timeout: Duration,
}

/// What every handler has at hand.
#[derive(Clone)]
struct House {
    service: Service,
    limits: HttpLimits,
    failures: Arc<failures::FailureBudget>,
    places: work::Places,
    trusted_proxies: Arc<[IpAddr]>,
}

/// The whole of the API, ready to be served with the peers' addresses as connect info. What
/// `trusted_proxies` say of their clients is believed.
pub fn router(service: Service, limits: HttpLimits, trusted_proxies: &[IpAddr]) -> Router {
    let failures = failures::FailureBudget::new(limits.failed_signatures_per_minute);
    let house = House {
        service,
        limits,
        failures: Arc::new(failures),
        places: work::Places::new(limits),
        trusted_proxies: trusted_proxies.into(),
    };
    let (router, api) = api().split_for_parts();
    let router = router
        // Some signers sign the path with a slash at its end, and send it there.
        .route(
            "/api/external/tools/{product}/actions/{action}/invoke/",
            post(call::invoke),
        )
        .with_state(house)
        .merge(documentation(api));
    layers::wrap(router)
}

/// The documents for people, which know a bare 404 only.
fn documentation(api: OpenApi) -> Router {
    let pages: Router = SwaggerUi::new("/docs").url("/openapi.json", api).into();
    pages.layer(map_response(layers::explain_not_found))
}

fn api() -> OpenApiRouter<House> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(catalogue::list))
        .routes(routes!(catalogue::one))
        .routes(routes!(session::open))
        .routes(routes!(session::open_alias))
        .routes(routes!(balance::read))
        .routes(routes!(purchase::buy))
        .routes(routes!(purchase::status))
        .routes(routes!(call::invoke))
        .routes(routes!(call::invoke_product))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
}
