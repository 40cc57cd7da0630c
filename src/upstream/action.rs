//! One thing that a tool does: where it is, what it costs, what it takes.

use std::{fmt, str::FromStr, time::Duration};

use reqwest::Url;
use serde_json::Value;
use thiserror::Error;

use super::schema::{FieldError, Schema, SchemaError};
use crate::base::{Credits, Slug};

/// The dearest price of one call: a million credits, ten thousand dollars.
pub const PRICE_MAX: Credits = Credits::from_units(1_000_000 * crate::base::UNITS_PER_CREDIT);
/// The longest that one call may take, in milliseconds.
pub const TIMEOUT_MS_MAX: u64 = 120_000;

const PATH_BYTES_MAX: usize = 512;
const DESCRIPTION_BYTES_MAX: usize = 2_000;

/// The HTTP method of a call to a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Delete,
    Post,
    Put,
    Patch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not one of GET, DELETE, POST, PUT, PATCH")]
pub struct MethodError;

/// What an action is made of, before it is checked.
#[derive(Clone, Debug)]
pub struct ActionSpec {
    pub slug: Slug,
    pub description: String,
    pub method: Method,
    pub path: String,
    pub price: Credits,
    pub timeout_ms: u64,
    pub x402: bool,
    pub settle_first: bool,
    pub parameters: Value,
}

/// One action of a tool.
#[derive(Debug)]
pub struct Action {
    slug: Slug,
    description: String,
    method: Method,
    path: String,
    price: Credits,
    timeout: Duration,
    x402: bool,
    settle_first: bool,
    schema: Schema,
}

/// Why an action cannot be offered. Each completes the sentence that begins with the key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ActionError {
    #[error("is longer than {DESCRIPTION_BYTES_MAX} bytes")]
    Description,
    #[error(
        "must begin with '/', be at most {PATH_BYTES_MAX} bytes, percent-encoded, without '?', '#' or dot segments"
    )]
    Path,
    #[error("must be above 0 and at most {PRICE_MAX} credits")]
    Price,
    #[error("must be 1 to {TIMEOUT_MS_MAX} milliseconds")]
    Timeout,
    #[error("has no meaning without x402 = true")]
    SettleFirst,
    #[error(transparent)]
    Parameters(#[from] SchemaError),
}

impl Action {
    /// Checks and compiles an action.
    ///
    /// # Errors
    /// Everything that is wrong with it, not only the first.
    pub fn new(spec: ActionSpec) -> Result<Self, Vec<ActionError>> {
        let mut errors = Vec::new();
        if spec.description.len() > DESCRIPTION_BYTES_MAX {
            errors.push(ActionError::Description);
        }
        if !is_plain_path(&spec.path) {
            errors.push(ActionError::Path);
        }
        if !spec.price.is_positive() || spec.price > PRICE_MAX {
            errors.push(ActionError::Price);
        }
        if !(1..=TIMEOUT_MS_MAX).contains(&spec.timeout_ms) {
            errors.push(ActionError::Timeout);
        }
        if spec.settle_first && !spec.x402 {
            errors.push(ActionError::SettleFirst);
        }
        let schema = match Schema::new(spec.parameters) {
            Ok(schema) if errors.is_empty() => schema,
            Ok(_) => return Err(errors),
            Err(error) => {
                errors.push(error.into());
                return Err(errors);
            }
        };
        Ok(Self {
            slug: spec.slug,
            description: spec.description,
            method: spec.method,
            path: spec.path,
            price: spec.price,
            timeout: Duration::from_millis(spec.timeout_ms),
            x402: spec.x402,
            settle_first: spec.settle_first,
            schema,
        })
    }

    #[must_use]
    pub const fn slug(&self) -> &Slug {
        &self.slug
    }

    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The path at the tool, after its base URL.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Above zero.
    #[must_use]
    pub const fn price(&self) -> Credits {
        self.price
    }

    /// The limit on the whole call, from looking up the host to the last byte of the reply.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether it may also be paid call by call.
    #[must_use]
    pub const fn x402(&self) -> bool {
        self.x402
    }

    /// Whether a direct payment is settled before the tool runs.
    #[must_use]
    pub const fn settle_first(&self) -> bool {
        self.settle_first
    }

    /// The JSON Schema of the parameters.
    #[must_use]
    pub const fn parameters(&self) -> &Value {
        self.schema.document()
    }

    /// Checks a client's parameters. Absent parameters are `{}`.
    ///
    /// # Errors
    /// The bad fields, at most 16 of them.
    pub fn check(&self, parameters: &Value) -> Result<(), Vec<FieldError>> {
        self.schema.check(parameters)
    }
}

/// A path is plain when a URL keeps it as it was written.
fn is_plain_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= PATH_BYTES_MAX
        && Url::parse(&format!("http://host{path}"))
            .is_ok_and(|url| url.as_str() == format!("http://host{path}") && url.path() == path)
}

impl Method {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Delete => "DELETE",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }

    /// Whether parameters go into the query instead of a body.
    pub(super) const fn sends_query(self) -> bool {
        match self {
            Self::Get | Self::Delete => true,
            Self::Post | Self::Put | Self::Patch => false,
        }
    }
}

impl FromStr for Method {
    type Err = MethodError;

    fn from_str(text: &str) -> Result<Self, MethodError> {
        [Self::Get, Self::Delete, Self::Post, Self::Put, Self::Patch]
            .into_iter()
            .find(|method| method.as_str() == text)
            .ok_or(MethodError)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl From<Method> for reqwest::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Delete => Self::DELETE,
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
            Method::Patch => Self::PATCH,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::upstream) fn spec(slug: &str, price: &str) -> ActionSpec {
        ActionSpec {
            slug: slug.parse().unwrap(),
            description: String::new(),
            method: Method::Post,
            path: "/run".into(),
            price: price.parse().unwrap(),
            timeout_ms: 10_000,
            x402: true,
            settle_first: false,
            parameters: json!({}),
        }
    }

    #[test]
    fn the_bounds_themselves_are_allowed() {
        for (price, timeout_ms) in [("0.0001", 1), ("1000000", TIMEOUT_MS_MAX)] {
            let mut spec = spec("run", price);
            spec.timeout_ms = timeout_ms;
            let action = Action::new(spec).unwrap();
            assert_eq!(action.price().to_string(), price);
            assert_eq!(action.timeout(), Duration::from_millis(timeout_ms));
        }
    }

    #[test]
    fn everything_wrong_is_named_at_once() {
        let spec = ActionSpec {
            description: "x".repeat(DESCRIPTION_BYTES_MAX + 1),
            path: "run".into(),
            price: Credits::ZERO,
            timeout_ms: 0,
            x402: false,
            settle_first: true,
            parameters: json!([]),
            ..spec("run", "1")
        };
        assert_eq!(
            Action::new(spec).unwrap_err(),
            [
                ActionError::Description,
                ActionError::Path,
                ActionError::Price,
                ActionError::Timeout,
                ActionError::SettleFirst,
                ActionError::Parameters(SchemaError::NotOfAnObject),
            ]
        );
    }

    #[test]
    fn one_beyond_the_bounds_is_refused() {
        let too_dear = ActionSpec {
            price: Credits::from_units(PRICE_MAX.units() + 1),
            ..spec("run", "1")
        };
        assert_eq!(Action::new(too_dear).unwrap_err(), [ActionError::Price]);
        let too_slow = ActionSpec {
            timeout_ms: TIMEOUT_MS_MAX + 1,
            ..spec("run", "1")
        };
        assert_eq!(Action::new(too_slow).unwrap_err(), [ActionError::Timeout]);
    }

    #[test]
    fn a_path_cannot_climb_or_carry_a_query() {
        for path in ["/", "/forecast", "/v1/for%20me", "/a//b"] {
            assert!(is_plain_path(path), "{path:?}");
        }
        for path in [
            "",
            "run",
            "/a?b",
            "/a#b",
            "/../a",
            "/a/./b",
            "/%2e%2e/a",
            "/a b",
            "/é",
            "/a\\b",
            "/a\nb",
            "@host/",
        ] {
            assert!(!is_plain_path(path), "{path:?}");
        }
    }

    #[test]
    fn methods_are_upper_case() {
        for text in ["GET", "DELETE", "POST", "PUT", "PATCH"] {
            assert_eq!(text.parse::<Method>().unwrap().to_string(), text);
        }
        for text in ["get", "HEAD", "OPTIONS", "CONNECT", ""] {
            assert_eq!(text.parse::<Method>(), Err(MethodError), "{text:?}");
        }
    }
}
