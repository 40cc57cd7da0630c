//! What a buyer is up to.

use rand::Rng;

/// How a payment is made, or undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Plain,
    /// The same payment several times at once.
    AtOnce,
    /// A stranger settles it.
    FrontRun,
    /// The payer cancels the authorization meanwhile.
    Cancelled,
    /// The payer uses the authorization's nonce for another transfer meanwhile.
    Elsewhere,
    /// The payer has not got the money.
    Poor,
    /// The payer moves the money away meanwhile.
    Withdrawn,
    /// The payer is a contract (ERC-1271).
    Contract,
    /// The same, and its signature is good in trials only.
    Fickle,
    /// A call paid by itself, settled after it ran.
    Direct,
    /// The same, settled before it runs.
    DirectFirst,
    /// A stranger settles it, and the payer tells of it by its header and by its transaction at once.
    Both,
    /// A plain transfer, claimed by its transaction, perhaps several times at once.
    Claimed,
    /// The same, which a stranger claims too.
    Coveted,
    /// The same, claimed long after.
    Late,
    /// Bought at the contract for another wallet, which tells of it too.
    Shop,
}

/// Of a hundred.
const SHARES: [(Kind, u32); 16] = [
    (Kind::Plain, 18),
    (Kind::AtOnce, 10),
    (Kind::FrontRun, 7),
    (Kind::Cancelled, 5),
    (Kind::Elsewhere, 4),
    (Kind::Poor, 3),
    (Kind::Withdrawn, 4),
    (Kind::Contract, 5),
    (Kind::Fickle, 2),
    (Kind::Direct, 6),
    (Kind::DirectFirst, 6),
    (Kind::Both, 6),
    (Kind::Claimed, 8),
    (Kind::Coveted, 5),
    (Kind::Late, 3),
    (Kind::Shop, 8),
];

impl Kind {
    pub(crate) fn random(dice: &mut impl Rng) -> Self {
        let mut rest = dice.random_range(0..100);
        for (kind, share) in SHARES {
            if rest < share {
                return kind;
            }
            rest -= share;
        }
        Self::Plain
    }

    pub(crate) const fn is_direct(self) -> bool {
        matches!(self, Self::Direct | Self::DirectFirst)
    }

    /// Whether the payer sends the transaction itself, and tells of it by its hash.
    pub(crate) const fn is_sent(self) -> bool {
        matches!(
            self,
            Self::Claimed | Self::Coveted | Self::Late | Self::Shop
        )
    }

    /// Whether the payer and everybody else does what a payment needs, so that it is credited.
    pub(crate) const fn is_honest(self) -> bool {
        matches!(
            self,
            Self::Plain | Self::AtOnce | Self::FrontRun | Self::Contract | Self::Both
        ) || self.is_sent()
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "sent by one",
            Self::AtOnce => "sent several times at once",
            Self::FrontRun => "front-run by a stranger",
            Self::Cancelled => "cancelled by the payer",
            Self::Elsewhere => "nonce spent elsewhere",
            Self::Poor => "without the money",
            Self::Withdrawn => "money moved away",
            Self::Contract => "sent by a contract wallet",
            Self::Fickle => "by a contract wallet that reverts",
            Self::Direct => "direct call",
            Self::DirectFirst => "direct call, settled first",
            Self::Both => "told of by header and transaction",
            Self::Claimed => "claimed by its transaction",
            Self::Coveted => "claimed by a stranger too",
            Self::Late => "claimed long after",
            Self::Shop => "bought at the contract",
        }
    }
}
