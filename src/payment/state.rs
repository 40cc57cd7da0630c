//! The states of a payment.

use std::{fmt, str::FromStr};

/// Where a payment stands. Every state is durable before the act that follows it.
///
/// Confirmation and credit are one transaction, so `confirmed` is never seen at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaymentState {
    /// The intent is stored; nothing has left the house.
    Authorized,
    /// The raw settlement transaction is stored; it may have been broadcast.
    Broadcast,
    /// The transfer is confirmed on the chain and in the books.
    Credited,
    /// Given up before anything was broadcast.
    Refused,
    /// The authorization was cancelled or spent on something else.
    Failed,
    /// The authorization ran out unused.
    Expired,
}

impl PaymentState {
    pub const ALL: [Self; 6] = [
        Self::Authorized,
        Self::Broadcast,
        Self::Credited,
        Self::Refused,
        Self::Failed,
        Self::Expired,
    ];

    /// Whether nothing but the chain can still change it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Authorized | Self::Broadcast => false,
            Self::Credited | Self::Refused | Self::Failed | Self::Expired => true,
        }
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorized => "authorized",
            Self::Broadcast => "broadcast",
            Self::Credited => "credited",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for PaymentState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for PaymentState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(())
    }
}
