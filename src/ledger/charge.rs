//! The states of a charge.

use std::{fmt, str::FromStr};

/// `held`, then once and for all `captured` or `voided`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChargeStatus {
    Held,
    Captured,
    Voided,
}

impl ChargeStatus {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Captured => "captured",
            Self::Voided => "voided",
        }
    }
}

impl fmt::Display for ChargeStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for ChargeStatus {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Held, Self::Captured, Self::Voided]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(())
    }
}
