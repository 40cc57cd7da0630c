//! What a token is worth, as an operator says it.

use std::{fmt, str::FromStr};

use alloy::primitives::U256;
use thiserror::Error;

use super::Credits;

const DECIMALS: usize = 8;
const ONE: u64 = 100_000_000;
const MIN: u64 = ONE / 1_000_000;
const MAX: u64 = 1_000_000 * ONE;
const UNITS_PER_USD: u64 = 1_000_000;
const WORTH_UNITS_MAX: i64 = 1 << 53;

/// Dollars for one whole token, exact to eight decimal places: from 0.000001 to 1,000,000.
///
/// All arithmetic is on integers: a quote is rounded up to the token's next base unit, what arrives
/// is rounded down to whole units of credits. So a quote always buys what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsdRate(u64);

/// Why a text is not a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UsdRateError {
    #[error("is not a plain decimal number such as 1.0812")]
    NotDecimal,
    #[error("has more than eight decimal places")]
    TooFine,
    #[error("is not within 0.000001 and 1000000")]
    OutOfRange,
}

impl UsdRate {
    /// That of a dollar token.
    pub const PAR: Self = Self(ONE);

    /// The fewest base units, of a token with `decimals` decimals, that are worth `credits`.
    ///
    /// `None` when the amount is negative.
    #[must_use]
    pub fn base_units(self, credits: Credits, decimals: u8) -> Option<U256> {
        let units = U256::from(u64::try_from(credits.units()).ok()?);
        let amount = units.checked_mul(tokens(decimals)?)?;
        Some(amount.div_ceil(self.dollars()))
    }

    /// The credits that an amount in base units is worth, a part of a unit left out.
    ///
    /// `None` above 2^53 units (some 9 billion dollars): sums of such would leave the books' range.
    #[must_use]
    pub fn worth(self, amount: U256, decimals: u8) -> Option<Credits> {
        let units = amount.checked_mul(self.dollars())? / tokens(decimals)?;
        let units = i64::try_from(units).ok()?;
        (units <= WORTH_UNITS_MAX).then(|| Credits::from_units(units))
    }

    /// So many units of credits are worth as many base units as [`tokens`] says.
    fn dollars(self) -> U256 {
        U256::from(self.0) * U256::from(UNITS_PER_USD)
    }
}

fn tokens(decimals: u8) -> Option<U256> {
    let whole = U256::from(10_u8).checked_pow(U256::from(decimals))?;
    whole.checked_mul(U256::from(ONE))
}

impl FromStr for UsdRate {
    type Err = UsdRateError;

    /// Reads a decimal with at most eight places. No sign, exponent or white space.
    fn from_str(text: &str) -> Result<Self, UsdRateError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(UsdRateError::NotDecimal),
            Some(parts) => parts,
            None => (text, ""),
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return Err(UsdRateError::NotDecimal);
        }
        if fraction.len() > DECIMALS {
            return Err(UsdRateError::TooFine);
        }
        let padded = format!("{whole}{fraction:0<DECIMALS$}");
        let rate = padded.parse().map_err(|_| UsdRateError::OutOfRange)?;
        if !(MIN..=MAX).contains(&rate) {
            return Err(UsdRateError::OutOfRange);
        }
        Ok(Self(rate))
    }
}

impl fmt::Display for UsdRate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0 / ONE)?;
        match self.0 % ONE {
            0 => Ok(()),
            rest => write!(formatter, ".{}", format!("{rest:08}").trim_end_matches('0')),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(text: &str) -> UsdRate {
        text.parse().unwrap()
    }

    #[test]
    fn reads_plain_decimals_within_its_bounds() {
        use UsdRateError::{NotDecimal, OutOfRange, TooFine};
        for (text, expected) in [
            ("1", Ok("1")),
            ("1.0812", Ok("1.0812")),
            ("0.000001", Ok("0.000001")),
            ("1000000", Ok("1000000")),
            ("1.08120000", Ok("1.0812")),
            ("0.0000009", Err(OutOfRange)),
            ("0", Err(OutOfRange)),
            ("1000000.00000001", Err(OutOfRange)),
            ("99999999999999999999", Err(OutOfRange)),
            ("1.081200000", Err(TooFine)),
            ("", Err(NotDecimal)),
            ("-1", Err(NotDecimal)),
            ("1.", Err(NotDecimal)),
            (".5", Err(NotDecimal)),
            ("1e3", Err(NotDecimal)),
            ("1,08", Err(NotDecimal)),
            (" 1", Err(NotDecimal)),
        ] {
            let read = text.parse::<UsdRate>().map(|rate| rate.to_string());
            assert_eq!(read, expected.map(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn a_dollar_token_is_worth_what_it_says() {
        let credits = Credits::from_units(15_000);
        for (decimals, amount) in [
            (6, 15_000_u64),
            (8, 1_500_000),
            (18, 15_000_000_000_000_000),
        ] {
            let amount = U256::from(amount);
            assert_eq!(UsdRate::PAR.base_units(credits, decimals), Some(amount));
            assert_eq!(UsdRate::PAR.worth(amount, decimals), Some(credits));
        }
    }

    #[test]
    fn a_quote_is_rounded_up_and_what_arrives_down() {
        // 1 USD / 1.0812 = 0.92489826... of the token.
        let dollar = Credits::from_units(1_000_000);
        let eurc = rate("1.0812");
        assert_eq!(eurc.base_units(dollar, 6), Some(U256::from(924_899)));
        assert_eq!(
            eurc.worth(U256::from(924_899), 6),
            Some(Credits::from_units(1_000_000))
        );
        assert_eq!(
            eurc.worth(U256::from(924_898), 6),
            Some(Credits::from_units(999_999))
        );
        // A base unit that is worth many units.
        let dear = rate("50000");
        assert_eq!(dear.base_units(dollar, 6), Some(U256::from(20)));
        let more = Credits::from_units(1_000_001);
        assert_eq!(dear.base_units(more, 6), Some(U256::from(21)));
        assert_eq!(UsdRate::PAR.worth(U256::from(1), 18), Some(Credits::ZERO));
        assert_eq!(UsdRate::PAR.worth(U256::MAX, 6), None);
        let largest = Credits::from_units(1 << 53);
        assert_eq!(
            UsdRate::PAR.worth(U256::from(1_u64 << 53), 6),
            Some(largest)
        );
        assert_eq!(UsdRate::PAR.worth(U256::from((1_u64 << 53) + 1), 6), None);
        assert_eq!(UsdRate::PAR.base_units(Credits::from_units(-1), 6), None);
    }

    proptest! {
        #[test]
        fn a_quote_buys_its_credits_and_no_base_unit_less_would(
            units in 0..=WORTH_UNITS_MAX,
            rate in MIN..=MAX,
            decimals in 6..=18_u8,
        ) {
            let (rate, credits) = (UsdRate(rate), Credits::from_units(units));
            let quote = rate.base_units(credits, decimals).expect("a quote overflows");
            // One base unit may be worth several units, so the largest amount may leave the range.
            if let Some(worth) = rate.worth(quote, decimals) {
                prop_assert!(worth >= credits, "{quote} buys {worth} of {credits}");
            } else {
                prop_assert!(units > WORTH_UNITS_MAX - 1_000_000_000_000);
            }
            if let Some(less) = quote.checked_sub(U256::from(1)) {
                prop_assert!(rate.worth(less, decimals).is_some_and(|worth| worth < credits));
            } else {
                prop_assert_eq!(units, 0);
            }
        }

        #[test]
        fn at_par_every_quote_is_exact(units in 0..=WORTH_UNITS_MAX, decimals in 6..=18_u8) {
            let credits = Credits::from_units(units);
            let quote = UsdRate::PAR.base_units(credits, decimals).unwrap();
            prop_assert_eq!(credits.to_base_units(decimals), Some(quote));
            prop_assert_eq!(UsdRate::PAR.worth(quote, decimals), Some(credits));
        }

        #[test]
        fn any_amount_has_a_worth_or_none_and_never_panics(
            limbs: [u64; 4],
            rate in MIN..=MAX,
            decimals in 0..=255_u8,
        ) {
            let _ = UsdRate(rate).worth(U256::from_limbs(limbs), decimals);
        }

        #[test]
        fn every_rate_survives_its_text(rate in MIN..=MAX) {
            let rate = UsdRate(rate);
            prop_assert_eq!(rate.to_string().parse(), Ok(rate));
        }
    }
}
