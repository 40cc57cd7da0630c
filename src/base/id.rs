//! Identifiers.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// Why a text is not an identifier of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IdError {
    #[error("must be 1 to 128 visible ASCII characters")]
    RequestId,
    #[error(
        "must be 1 to 64 lower-case letters, digits, '-' or '_', beginning with a letter or digit"
    )]
    Slug,
    #[error("is not an identifier that this service gave out")]
    Unknown,
}

/// A client's name for one call, unique within its session: 1 to 128 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(String);

/// The name of a tool or action in a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(String);

impl RequestId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RequestId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible || !(1..=128).contains(&text.len()) {
            return Err(IdError::RequestId);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Slug {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Slug {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let allowed = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
        };
        let starts = text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !starts || text.len() > 64 || !text.bytes().all(allowed) {
            return Err(IdError::Slug);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// 128 random bits with a prefix that says what they name. The bits come from the caller: this
/// floor has no randomness of its own.
macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            #[must_use]
            pub const fn from_random(bits: [u8; 16]) -> Self {
                Self(bits)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits = text.strip_prefix($prefix).ok_or(IdError::Unknown)?;
                let mut bits = [0; 16];
                hex::decode_to_slice(digits, &mut bits).map_err(|_| IdError::Unknown)?;
                Ok(Self(bits))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}{}", $prefix, hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}…", $prefix)
            }
        }
    };
}

random_id!(
    /// Names one charge.
    ChargeId,
    "chg_"
);
random_id!(
    /// Names one purchase. Whoever holds it may read the purchase's status, so `Debug` hides it.
    PurchaseId,
    "pur_"
);

random_id!(
    /// Names one refund.
    RefundId,
    "ref_"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_visible_ascii_of_bounded_length() {
        let longest = "x".repeat(128);
        for text in ["a", "invoke-1!~", &longest] {
            assert_eq!(text.parse::<RequestId>().unwrap().as_str(), text);
        }
        let too_long = "x".repeat(129);
        for text in ["", "a b", "a\n", "é", &too_long] {
            assert_eq!(
                text.parse::<RequestId>(),
                Err(IdError::RequestId),
                "{text:?}"
            );
        }
    }

    #[test]
    fn slugs_stay_within_a_path_segment() {
        for text in ["weather", "tool-0", "run_it", "0x"] {
            assert_eq!(text.parse::<Slug>().unwrap().as_str(), text);
        }
        for text in ["", "-a", "A", "a/b", "a.b", "a b", "..", &"x".repeat(65)] {
            assert_eq!(text.parse::<Slug>(), Err(IdError::Slug), "{text:?}");
        }
    }

    #[test]
    fn random_ids_survive_their_text_and_hide_in_debug() {
        let id = PurchaseId::from_random([0xab; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(format!("{id:?}"), "pur_…");
        assert_eq!("chg_00".parse::<ChargeId>(), Err(IdError::Unknown));
    }
}
