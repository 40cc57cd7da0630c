//! What a payer may cost the relayers, who pay for settlements that fail too.

use alloy::primitives::U256;

use crate::base::PurchaseId;

/// Payments of one payer that may be open at once.
const OPEN_MAX: u32 = 16;
/// A payer whose account has code can let a settlement fail at will.
const OPEN_BY_CODE_MAX: u32 = 1;
const FAILED_BY_CODE_MAX: u32 = 1;
/// A payer with a key alone can move its balance away in time. Three times is no accident.
pub const FAILED_LATELY_MAX: u32 = 3;
pub(super) const LATELY_MS: i64 = 24 * 60 * 60 * 1_000;

/// What a payer has cost, or may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayerRecord {
    /// Signed payments that are not at their end.
    pub open: u32,
    /// Settlements of ours that were mined, moved nothing, and whose payments did not come otherwise.
    pub failed: u32,
    /// Those of them that were signed within the last day.
    pub failed_lately: u32,
}

/// What an unsettled payment may rest on, as the chain had it before its intent was stored.
#[derive(Clone, Debug)]
pub struct PayerRisk {
    /// The payer's account has code.
    pub by_code: bool,
    /// Base units of the token that the payer holds.
    pub balance: U256,
    /// Open payments of the payer that this balance is without already.
    pub moved: Vec<PurchaseId>,
}

/// Why nothing more is settled for a payer now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayerRefusal {
    /// It has another direct call that is not settled, or too many payments that are not.
    Busy,
    /// Its settlement failed after a tool had run, or by its code.
    Barred,
    /// Too many of its settlements failed within a day.
    SettlementsFailed,
    /// What it holds is promised to its open payments.
    FundsPromised,
}

impl PayerRisk {
    /// Whether the balance is enough for another `value` beside what is promised.
    #[must_use]
    pub fn covers(&self, value: U256, promised: &[(PurchaseId, U256)]) -> bool {
        let open = promised.iter().filter(|(id, _)| !self.moved.contains(id));
        open.fold(value, |sum, (_, amount)| sum.saturating_add(*amount)) <= self.balance
    }
}

impl PayerRecord {
    /// Why another payment may not be settled for it.
    #[must_use]
    pub const fn refusal(self, by_code: bool) -> Option<PayerRefusal> {
        if by_code && self.failed >= FAILED_BY_CODE_MAX {
            return Some(PayerRefusal::Barred);
        }
        if self.failed_lately >= FAILED_LATELY_MAX {
            return Some(PayerRefusal::SettlementsFailed);
        }
        let open_max = if by_code { OPEN_BY_CODE_MAX } else { OPEN_MAX };
        if self.open >= open_max {
            return Some(PayerRefusal::Busy);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_fails_once_and_a_key_three_times_a_day() {
        let record = |open, failed, failed_lately| PayerRecord {
            open,
            failed,
            failed_lately,
        };
        let [busy, barred, failed] = [
            PayerRefusal::Busy,
            PayerRefusal::Barred,
            PayerRefusal::SettlementsFailed,
        ];
        for (record, key, code) in [
            (record(0, 0, 0), None, None),
            (record(1, 0, 0), None, Some(busy)),
            (record(15, 2, 2), None, Some(barred)),
            (record(16, 2, 2), Some(busy), Some(barred)),
            (record(0, 9, 2), None, Some(barred)),
            (record(0, 3, 3), Some(failed), Some(barred)),
        ] {
            assert_eq!(record.refusal(false), key, "{record:?}");
            assert_eq!(record.refusal(true), code, "{record:?}");
        }
    }
}
