//! EVM addresses as agents write them.

use std::{fmt, str::FromStr};

use alloy::primitives::Address;
use thiserror::Error;

/// The EVM address that owns credits. Printed in lower case with `0x`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentAddress(Address);

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    #[error("is not an address: 0x and 40 hexadecimal digits")]
    Malformed,
    #[error("has mixed case that does not satisfy the EIP-55 checksum; send it in lower case")]
    Checksum,
}

impl AgentAddress {
    #[must_use]
    pub const fn new(address: Address) -> Self {
        Self(address)
    }

    #[must_use]
    pub const fn address(self) -> Address {
        self.0
    }
}

impl FromStr for AgentAddress {
    type Err = AddressError;

    /// All lower and all upper case are taken as they are; mixed case must satisfy EIP-55.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let digits = text.strip_prefix("0x").ok_or(AddressError::Malformed)?;
        let address = Address::from_str(digits).map_err(|_| AddressError::Malformed)?;
        let lower = digits.bytes().any(|byte| byte.is_ascii_lowercase());
        let upper = digits.bytes().any(|byte| byte.is_ascii_uppercase());
        if lower && upper && address.to_checksum(None) != text {
            return Err(AddressError::Checksum);
        }
        Ok(Self(address))
    }
}

impl fmt::Display for AgentAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#x}", self.0)
    }
}

impl fmt::Debug for AgentAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKSUMMED: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

    #[test]
    fn takes_one_case_or_a_right_checksum() {
        let lower = CHECKSUMMED.to_lowercase();
        let upper = format!("0x{}", CHECKSUMMED[2..].to_uppercase());
        for text in [CHECKSUMMED, &lower, &upper] {
            assert_eq!(text.parse::<AgentAddress>().unwrap().to_string(), lower);
        }
    }

    #[test]
    fn refuses_a_wrong_checksum_and_malformed_texts() {
        let wrong = CHECKSUMMED.replace("aAeb", "AAeb");
        assert_eq!(wrong.parse::<AgentAddress>(), Err(AddressError::Checksum));
        for text in [
            "",
            "0x",
            "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
            "0x5aaeb6",
            "0xzz",
            "0X5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
            "0x0x5aaeb6053f3e94c9b9a09f33669435e7ef1bea",
        ] {
            assert_eq!(
                text.parse::<AgentAddress>(),
                Err(AddressError::Malformed),
                "{text:?}"
            );
        }
    }
}
