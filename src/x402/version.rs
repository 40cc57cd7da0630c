//! The two versions of x402.

/// Which x402 a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum X402Version {
    /// Networks by name, offers in the body of a 402.
    One,
    /// Networks by CAIP-2 id, offers in `PAYMENT-REQUIRED`.
    #[default]
    Two,
}

impl X402Version {
    /// The version of that number, if there is one.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            _ => None,
        }
    }

    /// As documents write it.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}
