//! Money, in integer units.

use std::{fmt, str::FromStr};

use alloy::primitives::U256;
use thiserror::Error;

/// Units in one credit. One credit is 0.01 USD, so a unit is one base unit of a dollar token
/// with six decimals.
pub const UNITS_PER_CREDIT: i64 = 10_000;

const CREDIT_DECIMALS: usize = 4;
const UNITS_PER_USD: i64 = 100 * UNITS_PER_CREDIT;
const UNIT_DECIMALS_OF_USD: u8 = 6;

/// An amount of credits, held as integer units (1 credit = 10,000 units).
///
/// Arithmetic is checked only: there is no `+`, so an overflow is always a decision of the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Credits(i64);

/// Why a text is not an amount of credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CreditsError {
    #[error("is not a plain decimal number such as 5 or 0.25")]
    NotDecimal,
    #[error("has more than four decimal places")]
    TooFine,
    #[error("is too large")]
    TooLarge,
}

impl Credits {
    pub const ZERO: Self = Self(0);

    /// An amount given in units.
    #[must_use]
    pub const fn from_units(units: i64) -> Self {
        Self(units)
    }

    /// An amount given in whole credits; `None` when it does not fit.
    #[must_use]
    pub const fn from_whole(credits: i64) -> Option<Self> {
        match credits.checked_mul(UNITS_PER_CREDIT) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    #[must_use]
    pub const fn units(self) -> i64 {
        self.0
    }

    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(units) => Some(Self(units)),
            None => None,
        }
    }

    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// The amount in US dollars as a decimal string with at least two places, exact.
    #[must_use]
    pub fn usd(self) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let units = self.0.unsigned_abs();
        let usd = UNITS_PER_USD.unsigned_abs();
        let fraction = format!("{:06}", units % usd);
        let (cents, rest) = fraction.split_at(2);
        format!(
            "{sign}{}.{cents}{}",
            units / usd,
            rest.trim_end_matches('0')
        )
    }

    /// The amount in base units of a dollar token with `decimals` decimals.
    ///
    /// `None` when the amount is negative or the token cannot express it exactly.
    #[must_use]
    pub fn to_base_units(self, decimals: u8) -> Option<U256> {
        let units = U256::from(u64::try_from(self.0).ok()?);
        let ten = U256::from(10_u8);
        if decimals >= UNIT_DECIMALS_OF_USD {
            let scale = ten.checked_pow(U256::from(decimals - UNIT_DECIMALS_OF_USD))?;
            return units.checked_mul(scale);
        }
        let scale = ten.checked_pow(U256::from(UNIT_DECIMALS_OF_USD - decimals))?;
        (units % scale).is_zero().then(|| units / scale)
    }

    /// The credits that an amount of a dollar token with `decimals` decimals is worth.
    ///
    /// `None` when it is not a whole number of units, or does not fit.
    #[must_use]
    pub fn from_base_units(amount: U256, decimals: u8) -> Option<Self> {
        let ten = U256::from(10_u8);
        let units = if decimals >= UNIT_DECIMALS_OF_USD {
            let scale = ten.checked_pow(U256::from(decimals - UNIT_DECIMALS_OF_USD))?;
            if !(amount % scale).is_zero() {
                return None;
            }
            amount / scale
        } else {
            let scale = ten.checked_pow(U256::from(UNIT_DECIMALS_OF_USD - decimals))?;
            amount.checked_mul(scale)?
        };
        i64::try_from(units).ok().map(Self)
    }
}

impl fmt::Display for Credits {
    /// At most four decimals, none when whole: `5`, `0.25`, `-3`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let units = self.0.unsigned_abs();
        let per_credit = UNITS_PER_CREDIT.unsigned_abs();
        write!(formatter, "{sign}{}", units / per_credit)?;
        match units % per_credit {
            0 => Ok(()),
            rest => write!(formatter, ".{}", format!("{rest:04}").trim_end_matches('0')),
        }
    }
}

impl FromStr for Credits {
    type Err = CreditsError;

    /// Reads a non-negative decimal with at most four places. No sign, exponent or white space.
    fn from_str(text: &str) -> Result<Self, CreditsError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(CreditsError::NotDecimal),
            Some(parts) => parts,
            None => (text, ""),
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return Err(CreditsError::NotDecimal);
        }
        if fraction.len() > CREDIT_DECIMALS {
            return Err(CreditsError::TooFine);
        }
        let padded = format!("{whole}{fraction:0<CREDIT_DECIMALS$}");
        padded.parse().map(Self).map_err(|_| CreditsError::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parses_what_it_prints_and_prints_canonically() {
        for (text, units, printed) in [
            ("5", 50_000, "5"),
            ("0.25", 2_500, "0.25"),
            ("0.0001", 1, "0.0001"),
            ("1.5000", 15_000, "1.5"),
            ("922337203685477.5807", i64::MAX, "922337203685477.5807"),
        ] {
            let credits: Credits = text.parse().unwrap();
            assert_eq!(
                (credits.units(), credits.to_string()),
                (units, printed.into()),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_is_not_a_plain_decimal() {
        use CreditsError::{NotDecimal, TooFine, TooLarge};
        for (text, error) in [
            ("", NotDecimal),
            ("-1", NotDecimal),
            ("+1", NotDecimal),
            ("1e3", NotDecimal),
            ("1.", NotDecimal),
            (".5", NotDecimal),
            (" 1", NotDecimal),
            ("1.2.3", NotDecimal),
            ("0.00001", TooFine),
            ("922337203685477.5808", TooLarge),
        ] {
            assert_eq!(text.parse::<Credits>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn dollars_keep_at_least_two_places() {
        for (units, usd) in [
            (0, "0.00"),
            (1, "0.000001"),
            (10_000, "0.01"),
            (1_500_000, "1.50"),
            (-10_000, "-0.01"),
        ] {
            assert_eq!(Credits::from_units(units).usd(), usd);
        }
    }

    #[test]
    fn converts_to_base_units_exactly_or_not_at_all() {
        let credits = Credits::from_units(15_000);
        assert_eq!(credits.to_base_units(6), Some(U256::from(15_000)));
        assert_eq!(credits.to_base_units(8), Some(U256::from(1_500_000)));
        assert_eq!(credits.to_base_units(3), Some(U256::from(15)));
        assert_eq!(credits.to_base_units(2), None);
        assert_eq!(Credits::from_units(-1).to_base_units(6), None);
        for decimals in [3, 6, 8, 18] {
            let amount = credits.to_base_units(decimals).unwrap();
            assert_eq!(Credits::from_base_units(amount, decimals), Some(credits));
        }
        assert_eq!(Credits::from_base_units(U256::from(1), 8), None);
        assert_eq!(Credits::from_base_units(U256::MAX, 6), None);
    }

    proptest! {
        #[test]
        fn every_amount_survives_its_text(units in 0..=i64::MAX) {
            let credits = Credits::from_units(units);
            prop_assert_eq!(credits.to_string().parse(), Ok(credits));
        }
    }
}
