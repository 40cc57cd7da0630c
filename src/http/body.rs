//! Bodies: bounded in size and time, and JSON throughout.

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, StatusCode, header},
};
use tokio::time::timeout;

use super::{HttpLimits, fields::FieldProblem, problem::Problem};
use crate::auth::json::{self, JsonFault, Node};

/// Reads a body within the limits.
///
/// # Errors
/// 408, 413, 415, or 400 when the client broke off.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limits: HttpLimits,
) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("the body is larger than {} bytes", limits.request_bytes_max);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", detail)
    };
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    if announced
        .and_then(|length| length.parse::<u64>().ok())
        .is_some_and(|length| length > limits.request_bytes_max as u64)
    {
        return Err(too_large());
    }
    let bytes = match timeout(
        limits.body_timeout,
        to_bytes(body, limits.request_bytes_max),
    )
    .await
    {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) if is_length_limit(&error) => return Err(too_large()),
        Ok(Err(_)) => return Err(Problem::invalid("the body broke off")),
        Err(_) => {
            let detail = "the body did not arrive in time";
            return Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "REQUEST_TIMEOUT",
                detail,
            ));
        }
    };
    if !bytes.is_empty() && !is_json(headers) {
        let detail = "send the body as Content-Type: application/json";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Problem::new(status, "UNSUPPORTED_MEDIA_TYPE", detail));
    }
    Ok(bytes)
}

fn is_length_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error)
        .is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>)
}

/// A body without a content type is taken to be JSON; a wrong one is refused.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let content_type = content_type.to_str().unwrap_or_default();
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Parses a body strictly.
///
/// # Errors
/// 400, with a pointer to the place.
pub(super) fn parse(bytes: &[u8]) -> Result<Node<'_>, Problem> {
    json::parse(bytes).map_err(|error| {
        if matches!(error.fault, JsonFault::Empty) {
            return Problem::invalid("the body is empty; send a JSON object");
        }
        let reason = format!("{} at byte {}", error.fault, error.offset);
        Problem::fields(&[FieldProblem::new(error.pointer, reason)])
    })
}
