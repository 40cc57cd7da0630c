//! What a command may pay, and where.

use alloy::primitives::Address;

use crate::{
    base::{AgentAddress, Credits, NetworkId},
    client::Spending,
};

/// A dollar is 100 credits of 10,000 units, so a unit is a millionth of a dollar.
const USD_DECIMALS: usize = 6;

#[derive(Debug, clap::Args)]
pub(super) struct SpendingArgs {
    /// Pay on this network, such as eip155:8453; the first that is offered unless given
    #[arg(long, value_name = "ID")]
    network: Option<NetworkId>,
    /// The most to pay, in US dollars
    #[arg(long, value_name = "N", value_parser = usd)]
    max_usd: Option<Credits>,
    /// Take this token for a dollar with six decimals; Circle's USDC is known
    #[arg(long, value_name = "ADDRESS", value_parser = token)]
    dollar_token: Option<Address>,
}

impl From<&SpendingArgs> for Spending {
    fn from(args: &SpendingArgs) -> Self {
        Self {
            network: args.network,
            limit: args.max_usd,
            dollar_token: args.dollar_token,
        }
    }
}

fn usd(text: &str) -> Result<Credits, &'static str> {
    let not_dollars = "is not an amount of dollars such as 5 or 0.25, with six places at most";
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > USD_DECIMALS {
        return Err(not_dollars);
    }
    let units = format!("{whole}{fraction:0<USD_DECIMALS$}").parse();
    units.map(Credits::from_units).map_err(|_| not_dollars)
}

fn token(text: &str) -> Result<Address, String> {
    let address: Result<AgentAddress, _> = text.parse();
    address
        .map(AgentAddress::address)
        .map_err(|problem| problem.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_become_credits_exactly() {
        for (text, credits) in [
            ("1", "100"),
            ("0.25", "25"),
            ("1.50", "150"),
            ("0.000001", "0.0001"),
            ("0", "0"),
        ] {
            assert_eq!(usd(text).unwrap().to_string(), credits, "{text}");
        }
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "1e3",
            "0.0000001",
            "99999999999999",
        ] {
            assert!(usd(text).is_err(), "{text}");
        }
    }
}
