//! The states of a payment.

use std::{fmt, str::FromStr};

/// Where a payment stands. Every state is durable before the act that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaymentState {
    /// The intent is stored; nothing has left the house.
    Authorized,
    /// The raw settlement transaction is stored; it may have been broadcast.
    Broadcast,
    /// The transfer is confirmed on the chain, and the tool that it pays for first is still to
    /// answer. A purchase never rests here: its confirmation and credit are one transaction.
    Confirmed,
    /// The transfer is confirmed on the chain and posted in the books.
    Credited,
    /// Given up before anything was broadcast.
    Refused,
    /// The authorization was cancelled or spent on something else.
    Failed,
    /// The authorization ran out unused.
    Expired,
}

impl PaymentState {
    pub const ALL: [Self; 7] = [
        Self::Authorized,
        Self::Broadcast,
        Self::Confirmed,
        Self::Credited,
        Self::Refused,
        Self::Failed,
        Self::Expired,
    ];

    /// Whether the chain has no more to say of it.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Authorized | Self::Broadcast => false,
            Self::Confirmed | Self::Credited | Self::Refused | Self::Failed | Self::Expired => true,
        }
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorized => "authorized",
            Self::Broadcast => "broadcast",
            Self::Confirmed => "confirmed",
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
