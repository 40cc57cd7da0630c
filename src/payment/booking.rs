//! What a transfer that has arrived becomes in the books.

use super::PaymentState;

/// What a payment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentWay {
    /// Credits, for an authorization.
    Purchase,
    /// One call, without credits.
    Direct,
    /// Credits, for a transfer that its sender points at by its transaction.
    Claim,
    /// Credits, by the purchase contract.
    Event,
    /// A plain transfer that nobody pointed at.
    Transfer,
}

/// Where the money of a credited payment went in the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Booked {
    Wallet,
    Revenue,
    Suspense,
}

/// Where the call stands that a direct payment pays for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectStage {
    /// The payment settles first.
    Waiting,
    Running,
    Done,
    Failed,
    TimedOut,
    /// Its payer will never see a result: a crash broke it off, or its payer was sent away.
    Abandoned,
}

/// What a confirmed payment becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Booking {
    /// Credits of the payment's wallet.
    Credits,
    Revenue,
    /// Its tool has still to answer.
    Undecided,
}

/// What is not delivered is not kept: only a call whose output its payer has, or can come back for,
/// becomes revenue.
///
/// `stage` is that of a direct payment's call; `before` is the payment's state until now;
/// `identified` says that its payer can come back for a stored output.
#[must_use]
pub fn booking(stage: Option<DirectStage>, before: PaymentState, identified: bool) -> Booking {
    let given_up = match before {
        PaymentState::Refused | PaymentState::Failed | PaymentState::Expired => true,
        PaymentState::Authorized
        | PaymentState::Broadcast
        | PaymentState::Confirmed
        | PaymentState::Credited => false,
    };
    match stage {
        Some(DirectStage::Done) if !given_up || identified => Booking::Revenue,
        Some(DirectStage::Waiting | DirectStage::Running) if !given_up => Booking::Undecided,
        None
        | Some(
            DirectStage::Waiting
            | DirectStage::Running
            | DirectStage::Done
            | DirectStage::Failed
            | DirectStage::TimedOut
            | DirectStage::Abandoned,
        ) => Booking::Credits,
    }
}

impl PaymentWay {
    pub const ALL: [Self; 5] = [
        Self::Purchase,
        Self::Direct,
        Self::Claim,
        Self::Event,
        Self::Transfer,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Purchase => "purchase",
            Self::Direct => "direct",
            Self::Claim => "claim",
            Self::Event => "event",
            Self::Transfer => "transfer",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.as_str() == text)
    }
}

impl Booked {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wallet => "wallet",
            Self::Revenue => "revenue",
            Self::Suspense => "suspense",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Wallet, Self::Revenue, Self::Suspense]
            .into_iter()
            .find(|booked| booked.as_str() == text)
    }
}

impl DirectStage {
    pub const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::TimedOut,
        Self::Abandoned,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Abandoned => "abandoned",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_delivered_is_not_kept() {
        use Booking::{Credits, Revenue, Undecided};
        use DirectStage::{Abandoned, Done, Failed, Running, TimedOut, Waiting};
        use PaymentState::{Broadcast, Expired, Refused};
        for (stage, before, identified, expected) in [
            (None, Broadcast, false, Credits),
            (None, Refused, false, Credits),
            (Some(Waiting), Broadcast, false, Undecided),
            (Some(Running), Broadcast, false, Undecided),
            (Some(Done), Broadcast, false, Revenue),
            (Some(Done), Broadcast, true, Revenue),
            (Some(Done), Refused, true, Revenue),
            (Some(Done), Refused, false, Credits),
            (Some(Done), PaymentState::Failed, false, Credits),
            (Some(Done), Expired, false, Credits),
            (Some(Running), Expired, true, Credits),
            (Some(Waiting), Refused, true, Credits),
            (Some(Failed), Refused, true, Credits),
            (Some(TimedOut), Refused, false, Credits),
            (Some(Abandoned), Broadcast, false, Credits),
        ] {
            let found = booking(stage, before, identified);
            assert_eq!(found, expected, "{stage:?} {before} {identified}");
        }
    }
}
