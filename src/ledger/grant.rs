//! Credits given to a wallet at one time, from one source.

use std::{cmp::Ordering, fmt, str::FromStr};

use crate::base::{Credits, Timestamp};

/// A grant's row in the books; a smaller number is an older grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId(pub i64);

/// Where the credits of a grant came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantSource {
    X402,
    OnChain,
    Card,
    Promotion,
    Refund,
}

/// What is left of a grant. `remaining` includes `held`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub id: GrantId,
    pub source: GrantSource,
    /// The lowest number is spent first.
    pub priority: i64,
    pub expires_at: Option<Timestamp>,
    pub remaining: Credits,
    pub held: Credits,
}

impl Grant {
    /// Whether the grant has run out at `now`. Holds that were allocated before keep their part.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expiry| expiry <= now)
    }

    /// What no hold has taken, due or not.
    #[must_use]
    pub fn unallocated(&self) -> Credits {
        self.remaining
            .checked_sub(self.held)
            .unwrap_or(Credits::ZERO)
    }

    /// What a new hold may take at `now`.
    #[must_use]
    pub fn available(&self, now: Timestamp) -> Credits {
        if self.is_due(now) {
            Credits::ZERO
        } else {
            self.unallocated()
        }
    }

    /// The order of spending: lowest priority number, then earliest expiry, then oldest.
    #[must_use]
    pub fn spending_order(&self, other: &Self) -> Ordering {
        let key = |grant: &Self| {
            let expiry = grant.expires_at.map_or(i64::MAX, Timestamp::millis);
            (grant.priority, expiry, grant.id)
        };
        key(self).cmp(&key(other))
    }
}

impl GrantSource {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X402 => "x402",
            Self::OnChain => "on_chain",
            Self::Card => "card",
            Self::Promotion => "promotion",
            Self::Refund => "refund",
        }
    }
}

impl fmt::Display for GrantSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for GrantSource {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [
            Self::X402,
            Self::OnChain,
            Self::Card,
            Self::Promotion,
            Self::Refund,
        ]
        .into_iter()
        .find(|source| source.as_str() == text)
        .ok_or(())
    }
}
