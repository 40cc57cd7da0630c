//! Bodies: bounded in size and time, and JSON throughout.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode, header},
};
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::{HttpLimits, fields::FieldProblem, problem::Problem};
use crate::auth::json::{self, JsonFault, Node};

/// How much is read, and forgotten, of a body that is too large. A client that is still sending
/// when the connection closes does not see the answer.
const EXCESS_BYTES_MAX: usize = 32 * 1_024 * 1_024;

/// Reads a body within the limits.
///
/// # Errors
/// 408, 413, 415, or 400 when the client broke off.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limits: HttpLimits,
) -> Result<Bytes, Problem> {
    let bytes_max = limits.request_bytes_max;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<u64>().ok());
    // Whoever asks before it sends is told before it sends.
    let asks = headers.contains_key(header::EXPECT);
    let refused_from = if asks {
        bytes_max
    } else {
        bytes_max + EXCESS_BYTES_MAX
    };
    if announced.is_some_and(|length| length > refused_from as u64) {
        return Err(too_large(bytes_max));
    }
    let mut bytes = Vec::new();
    let read = timeout(limits.body_timeout, collect(body, bytes_max, &mut bytes)).await;
    if bytes.len() > bytes_max {
        return Err(too_large(bytes_max));
    }
    match read {
        Ok(Ok(())) => {}
        Ok(Err(_)) => return Err(Problem::invalid("the body broke off")),
        Err(_) => return Err(too_slow()),
    }
    if !bytes.is_empty() && !is_json(headers) {
        let detail = "send the body as Content-Type: application/json";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Problem::new(status, "UNSUPPORTED_MEDIA_TYPE", detail));
    }
    Ok(bytes.into())
}

/// Reads to the end, and keeps one byte more than `bytes_max` at most.
async fn collect(mut body: Body, bytes_max: usize, bytes: &mut Vec<u8>) -> Result<(), axum::Error> {
    let mut seen: usize = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        seen = seen.saturating_add(data.len());
        if seen > bytes_max + EXCESS_BYTES_MAX {
            break;
        }
        let room = (bytes_max + 1).saturating_sub(bytes.len());
        bytes.extend_from_slice(&data[..data.len().min(room)]);
    }
    Ok(())
}

fn too_large(bytes_max: usize) -> Problem {
    let detail = format!("the body is larger than {bytes_max} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", detail)
}

fn too_slow() -> Problem {
    let detail = "the body did not arrive in time";
    Problem::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", detail)
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
