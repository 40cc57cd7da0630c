//! Where a tool is.

use reqwest::Url;
use thiserror::Error;

const ECHO: &str = "internal://echo";
const URL_BYTES_MAX: usize = 512;

/// Where a tool is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `internal://echo`: answered in the process with the parameters themselves.
    Echo,
    Http(HttpTarget),
}

/// The base URL of a tool, and whether its name may lead to a private address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpTarget {
    base: Url,
    private_allowed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    #[error("must be an http:// or https:// URL or {ECHO}")]
    Scheme,
    #[error("is longer than {URL_BYTES_MAX} bytes")]
    TooLong,
    #[error("must not carry a user name or password")]
    Credentials,
    #[error("must not carry a query or fragment")]
    Query,
}

impl Target {
    /// Reads a base URL as the operator wrote it.
    ///
    /// An IP address or `localhost`, written out, is meant; a name is not known to be private
    /// until it is looked up, so it may lead inside only with `allow_private`.
    ///
    /// # Errors
    /// Another scheme, credentials, a query or fragment, or more than 512 bytes.
    pub fn parse(text: &str, allow_private: bool) -> Result<Self, TargetError> {
        if text == ECHO {
            return Ok(Self::Echo);
        }
        if text.len() > URL_BYTES_MAX {
            return Err(TargetError::TooLong);
        }
        let base = Url::parse(text).map_err(|_| TargetError::Scheme)?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(TargetError::Scheme);
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(TargetError::Credentials);
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(TargetError::Query);
        }
        let written_out = base.domain().is_none_or(|domain| domain == "localhost");
        Ok(Self::Http(HttpTarget {
            base,
            private_allowed: allow_private || written_out,
        }))
    }
}

impl HttpTarget {
    /// The URL of an action's path below the base.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    pub(super) const fn private_allowed(&self) -> bool {
        self.private_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(text: &str) -> HttpTarget {
        match Target::parse(text, false).unwrap() {
            Target::Http(http) => http,
            Target::Echo => panic!("{text} is not the echo"),
        }
    }

    #[test]
    fn the_path_goes_below_the_base() {
        for (base, url) in [
            ("http://a.example", "http://a.example/run%20it"),
            ("http://a.example/", "http://a.example/run%20it"),
            (
                "https://a.example:8443/v1",
                "https://a.example:8443/v1/run%20it",
            ),
            ("https://a.example/v1/", "https://a.example/v1/run%20it"),
        ] {
            assert_eq!(http(base).url("/run%20it").as_str(), url);
        }
    }

    #[test]
    fn only_what_is_written_out_may_be_private() {
        for (base, private) in [
            ("http://127.0.0.1:9000", true),
            ("http://[::1]:9000", true),
            ("http://10.0.0.8", true),
            ("http://localhost:9000", true),
            ("http://tool.internal", false),
            ("http://localhost.example", false),
        ] {
            assert_eq!(http(base).private_allowed(), private, "{base}");
        }
        let listed = Target::parse("http://tool.internal", true).unwrap();
        assert!(matches!(listed, Target::Http(http) if http.private_allowed()));
    }

    #[test]
    fn the_echo_and_refusals() {
        assert_eq!(Target::parse(ECHO, false), Ok(Target::Echo));
        for (text, error) in [
            ("internal://other", TargetError::Scheme),
            ("ftp://a.example", TargetError::Scheme),
            ("a.example", TargetError::Scheme),
            ("http://", TargetError::Scheme),
            ("http://user@a.example", TargetError::Credentials),
            ("http://:pass@a.example", TargetError::Credentials),
            ("http://a.example?x=1", TargetError::Query),
            ("http://a.example#x", TargetError::Query),
            (
                &format!("http://a.example/{}", "x".repeat(512)),
                TargetError::TooLong,
            ),
        ] {
            assert_eq!(Target::parse(text, false), Err(error), "{text}");
        }
    }
}
