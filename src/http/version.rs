//! Which x402 a client is answered in: its payment's, or else the one that its URL asks for.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};

use super::{House, fields::FieldProblem, problem::Problem};
use crate::x402::{SignedPayment, X402Version};

const PARAMETER: &str = "x402Version";

/// The version that the URL asks for: `?x402Version=1`, or 2 as without it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AskedVersion(X402Version);

impl AskedVersion {
    /// The version to answer in. Whoever paid in one version understands that one.
    pub(super) fn unless_paid(self, payment: Option<&SignedPayment>) -> X402Version {
        payment.map_or(self.0, |payment| payment.version)
    }

    fn of(parts: &Parts) -> Option<Self> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).ok()?;
        let mut values = pairs.iter().filter(|(name, _)| name == PARAMETER);
        let version = match values.next() {
            None => X402Version::default(),
            Some((_, value)) if value == "1" => X402Version::One,
            Some((_, value)) if value == "2" => X402Version::Two,
            Some(_) => return None,
        };
        values.next().is_none().then_some(Self(version))
    }
}

impl FromRequestParts<House> for AskedVersion {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &House) -> Result<Self, Problem> {
        Self::of(parts).ok_or_else(|| {
            let reason = "in the query must be 1 or 2, and stand there once";
            Problem::fields(&[FieldProblem::new(format!("/{PARAMETER}"), reason)])
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn asked(query: &str) -> Option<X402Version> {
        let uri = format!("http://127.0.0.1/api/external/credits/purchase{query}");
        let (parts, ()) = Request::get(uri).body(()).unwrap().into_parts();
        AskedVersion::of(&parts).map(|asked| asked.unless_paid(None))
    }

    #[test]
    fn one_of_two_versions_is_asked_for_once() {
        for (query, version) in [
            ("", X402Version::Two),
            ("?", X402Version::Two),
            ("?x402Version=2", X402Version::Two),
            ("?x402Version=1", X402Version::One),
            ("?a=1&x402%56ersion=%31&b", X402Version::One),
            ("?X402VERSION=1", X402Version::Two),
        ] {
            assert_eq!(asked(query), Some(version), "{query}");
        }
        for query in [
            "?x402Version",
            "?x402Version=",
            "?x402Version=3",
            "?x402Version=x",
            "?x402Version=01",
            "?x402Version=1&x402Version=1",
            "?x402Version=1&x402Version=2",
        ] {
            assert_eq!(asked(query), None, "{query}");
        }
    }
}
