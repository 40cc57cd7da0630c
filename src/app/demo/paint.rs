//! Colours, and amounts and addresses as people read them.

use std::{fmt::Display, time::Duration};

use alloy::primitives::U256;

use crate::base::Credits;

/// Decimals of USDC.
const DECIMALS: u8 = 6;

/// Colours, or none: only a terminal gets them, and `NO_COLOR` is honoured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub(super) on: bool,
}

impl Paint {
    pub(super) fn bold(self, text: impl Display) -> String {
        self.with("1", text)
    }

    pub(super) fn dim(self, text: impl Display) -> String {
        self.with("2", text)
    }

    pub(super) fn red(self, text: impl Display) -> String {
        self.with("31", text)
    }

    pub(super) fn green(self, text: impl Display) -> String {
        self.with("32", text)
    }

    pub(super) fn yellow(self, text: impl Display) -> String {
        self.with("33", text)
    }

    fn with(self, code: &str, text: impl Display) -> String {
        if self.on {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }
}

/// `0x036c…cf7e`, for addresses, hashes and ids.
pub(super) fn short(text: impl Display) -> String {
    let text = text.to_string();
    match (text.get(..6), text.get(text.len().saturating_sub(4)..)) {
        (Some(head), Some(tail)) if text.len() > 14 => format!("{head}…{tail}"),
        _ => text,
    }
}

/// `5 credits ($0.05)`.
pub(super) fn credits(amount: Credits) -> String {
    let noun = if amount == Credits::from_units(10_000) {
        "credit"
    } else {
        "credits"
    };
    format!("{amount} {noun} (${})", amount.usd())
}

/// `0.05 USDC`.
pub(super) fn usdc(base_units: U256) -> String {
    match Credits::from_base_units(base_units, DECIMALS) {
        Some(amount) => format!("{} USDC", amount.usd()),
        None => format!("{base_units} base units of USDC"),
    }
}

/// What an amount of USDC is worth, in credits.
pub(super) fn worth(base_units: U256) -> Option<Credits> {
    Credits::from_base_units(base_units, DECIMALS)
}

/// `12 ms`, `1.5 s`.
pub(super) fn took(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_said_in_both_units() {
        assert_eq!(credits(Credits::from_units(50_000)), "5 credits ($0.05)");
        assert_eq!(credits(Credits::from_units(10_000)), "1 credit ($0.01)");
        assert_eq!(usdc(U256::from(1_050_000)), "1.05 USDC");
    }

    #[test]
    fn long_hexadecimal_is_shortened_and_short_texts_are_not() {
        let address = "0x036cbd53842c5426634e7929541ec2318f3dcf7e";
        assert_eq!(short(address), "0x036c…cf7e");
        for text in ["", "0x12", "…", "fourteen chars"] {
            assert_eq!(short(text), text);
        }
    }

    #[test]
    fn without_colours_a_text_is_itself() {
        assert_eq!(Paint { on: false }.bold("x"), "x");
        assert_eq!(Paint { on: true }.green("x"), "\x1b[32mx\x1b[0m");
    }
}
