//! A place in an untrusted document, so that every refusal can name it.

use std::str::FromStr;

use alloy::primitives::{Address, U256};
use serde_json::Value;

use super::PaymentHeaderError;
use crate::base::{AddressError, AgentAddress};

/// The longest decimal that a `uint256` can need.
const UINT256_DIGITS_MAX: usize = 78;

/// A value and the JSON pointer (RFC 6901) under which it stands.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    pointer: String,
    value: &'a Value,
}

impl<'a> Field<'a> {
    pub(super) const fn root(value: &'a Value) -> Self {
        Self {
            pointer: String::new(),
            value,
        }
    }

    /// A member that may be absent. `null` counts as absent, as it does for the reference clients.
    pub(super) fn find(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Self {
            pointer: format!("{}/{name}", self.pointer),
            value,
        })
    }

    pub(super) fn get(&self, name: &str) -> Result<Self, PaymentHeaderError> {
        self.find(name).ok_or_else(|| {
            if self.value.is_object() {
                PaymentHeaderError::MissingField {
                    pointer: format!("{}/{name}", self.pointer),
                }
            } else {
                self.bad("is not an object")
            }
        })
    }

    pub(super) const fn value(&self) -> &'a Value {
        self.value
    }

    pub(super) fn bad(&self, reason: impl Into<String>) -> PaymentHeaderError {
        PaymentHeaderError::BadField {
            pointer: self.pointer.clone(),
            reason: reason.into(),
        }
    }

    pub(super) fn text(&self) -> Result<&'a str, PaymentHeaderError> {
        self.value
            .as_str()
            .ok_or_else(|| self.bad("is not a string"))
    }

    pub(super) fn parse<T>(&self) -> Result<T, PaymentHeaderError>
    where
        T: FromStr<Err: ToString>,
    {
        self.text()?
            .parse()
            .map_err(|error: T::Err| self.bad(error.to_string()))
    }

    /// An address under the rule of [`AgentAddress`]: one case, or a right checksum.
    pub(super) fn address(&self) -> Result<Address, PaymentHeaderError> {
        self.text()?
            .parse()
            .map(AgentAddress::address)
            .map_err(|error: AddressError| self.bad(error.to_string()))
    }

    /// A whole number: a decimal string, as the specification has it, or a JSON number.
    pub(super) fn uint256(&self) -> Result<U256, PaymentHeaderError> {
        if let Some(number) = self.value.as_u64() {
            return Ok(U256::from(number));
        }
        let digits = self
            .value
            .as_str()
            .filter(|text| (1..=UINT256_DIGITS_MAX).contains(&text.len()))
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or_else(|| self.bad("is not a whole number in decimal digits"))?;
        U256::from_str_radix(digits, 10).map_err(|_| self.bad("is larger than a uint256"))
    }

    /// Unix seconds.
    pub(super) fn seconds(&self) -> Result<u64, PaymentHeaderError> {
        u64::try_from(self.uint256()?).map_err(|_| self.bad("is not a time in Unix seconds"))
    }

    /// Hexadecimal digits, with or without `0x`, of at most `bytes_max` bytes.
    pub(super) fn bytes(&self, bytes_max: usize) -> Result<Vec<u8>, PaymentHeaderError> {
        let text = self.text()?;
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if digits.len() > 2 * bytes_max {
            return Err(self.bad(format!("is longer than {bytes_max} bytes")));
        }
        hex::decode(digits).map_err(|_| self.bad("is not hexadecimal"))
    }
}
