//! Times as text.

use ::time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::base::Timestamp;

/// A point in time in UTC, to the second.
pub(super) fn rfc3339(at: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp(at.seconds())
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}
