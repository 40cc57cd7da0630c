//! Money as JSON: `*_credits` are exact numbers, `*_usd` are strings.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

use crate::base::Credits;

/// Credits as a JSON number with at most four decimals, none when whole. Written from the integer
/// units, digit by digit.
#[derive(Clone, Copy, Debug)]
pub(super) struct CreditsNumber(pub(super) Credits);

/// US dollars as a JSON number, exact. Only `x402.payment.amount_usd` is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct UsdNumber(pub(super) Credits);

impl Serialize for CreditsNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        number(self.0.to_string(), serializer)
    }
}

impl Serialize for UsdNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        number(self.0.usd(), serializer)
    }
}

fn number<S: Serializer>(digits: String, serializer: S) -> Result<S::Ok, S::Error> {
    RawValue::from_string(digits)
        .map_err(serde::ser::Error::custom)?
        .serialize(serializer)
}

impl PartialSchema for CreditsNumber {
    fn schema() -> RefOr<Schema> {
        let text = "Credits, exact: at most four decimals. One credit is 0.01 USD.";
        ObjectBuilder::new()
            .schema_type(Type::Number)
            .description(Some(text))
            .into()
    }
}

impl PartialSchema for UsdNumber {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Number)
            .description(Some("US dollars, exact."))
            .into()
    }
}

impl ToSchema for CreditsNumber {}
impl ToSchema for UsdNumber {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_to_the_last_unit() {
        for (units, credits, usd) in [
            (50_000, "5", "0.05"),
            (1, "0.0001", "0.000001"),
            (15_000, "1.5", "0.015"),
            (i64::MAX, "922337203685477.5807", "9223372036854.775807"),
        ] {
            let amount = Credits::from_units(units);
            assert_eq!(
                serde_json::to_string(&CreditsNumber(amount)).unwrap(),
                credits
            );
            assert_eq!(serde_json::to_string(&UsdNumber(amount)).unwrap(), usd);
        }
    }
}
