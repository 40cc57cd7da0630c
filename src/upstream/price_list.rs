//! The prices that are in force, as one text and its hash.
//!
//! A session nonce contains the hash, so the payer's signature covers the prices.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::base::{Credits, Slug};

/// The price of every action, written as canonical JSON (RFC 8785):
/// `{"tools":{"weather":{"forecast":50000}},"units_per_credit":10000}`, prices in units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceList {
    prices: BTreeMap<Slug, BTreeMap<Slug, Credits>>,
    text: String,
    hash: [u8; 32],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the text is not a price list in canonical JSON")]
pub struct PriceListError;

impl PriceList {
    pub(super) fn new(prices: BTreeMap<Slug, BTreeMap<Slug, Credits>>) -> Self {
        let tools: serde_json::Map<String, Value> = prices
            .iter()
            .map(|(tool, actions)| {
                let actions = actions
                    .iter()
                    .map(|(action, price)| (action.to_string(), json!(price.units())));
                (tool.to_string(), Value::Object(actions.collect()))
            })
            .collect();
        // Slugs are ASCII and come out of a sorted map: the order of RFC 8785. Prices stay below
        // 2^53, where a number has one spelling.
        let units_per_credit = crate::base::UNITS_PER_CREDIT;
        let text = json!({ "tools": tools, "units_per_credit": units_per_credit }).to_string();
        let hash = Sha256::digest(&text).into();
        Self { prices, text, hash }
    }

    /// Reads a list that was stored.
    ///
    /// # Errors
    /// When the text is not, byte for byte, what this type would write.
    pub fn parse(text: &str) -> Result<Self, PriceListError> {
        let document: Value = serde_json::from_str(text).map_err(|_| PriceListError)?;
        let tools = document["tools"].as_object().ok_or(PriceListError)?;
        let mut prices = BTreeMap::new();
        for (tool, actions) in tools {
            let mut of_tool = BTreeMap::new();
            for (action, price) in actions.as_object().ok_or(PriceListError)? {
                let units = price.as_i64().filter(|units| *units > 0);
                let units = units.ok_or(PriceListError)?;
                of_tool.insert(slug(action)?, Credits::from_units(units));
            }
            prices.insert(slug(tool)?, of_tool);
        }
        let list = Self::new(prices);
        (list.text == text).then_some(list).ok_or(PriceListError)
    }

    /// What is stored, hashed and shown to auditors.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the text.
    #[must_use]
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// `None` when the list does not offer that action.
    #[must_use]
    pub fn price_of(&self, tool: &Slug, action: &Slug) -> Option<Credits> {
        self.prices.get(tool)?.get(action).copied()
    }
}

fn slug(text: &str) -> Result<Slug, PriceListError> {
    text.parse().map_err(|_| PriceListError)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        r#"{"tools":{"a":{"x":1,"y":50000},"b-2":{"x":2}},"units_per_credit":10000}"#;

    #[test]
    fn the_text_is_canonical_and_the_hash_is_of_the_text() {
        let list = PriceList::parse(TEXT).unwrap();
        assert_eq!(list.text(), TEXT);
        assert_eq!(list.hash(), &<[u8; 32]>::from(Sha256::digest(TEXT)));
    }

    #[test]
    fn prices_are_found_by_tool_and_action() {
        let list = PriceList::parse(TEXT).unwrap();
        let price = |tool: &str, action: &str| {
            list.price_of(&tool.parse().unwrap(), &action.parse().unwrap())
        };
        assert_eq!(price("a", "y"), Credits::from_whole(5));
        assert_eq!(price("b-2", "x"), Some(Credits::from_units(2)));
        assert_eq!(price("b-2", "y"), None);
        assert_eq!(price("c", "x"), None);
    }

    #[test]
    fn another_spelling_is_another_text_and_refused() {
        for text in [
            "",
            "{}",
            r#"{"tools":[],"units_per_credit":10000}"#,
            r#"{"tools":{},"units_per_credit":100}"#,
            r#"{"tools":{}, "units_per_credit":10000}"#,
            r#"{"units_per_credit":10000,"tools":{}}"#,
            r#"{"tools":{"b":{},"a":{}},"units_per_credit":10000}"#,
            r#"{"tools":{"a":{"x":0}},"units_per_credit":10000}"#,
            r#"{"tools":{"a":{"x":-1}},"units_per_credit":10000}"#,
            r#"{"tools":{"a":{"x":1.0}},"units_per_credit":10000}"#,
            r#"{"tools":{"A":{"x":1}},"units_per_credit":10000}"#,
            r#"{"more":1,"tools":{},"units_per_credit":10000}"#,
        ] {
            assert_eq!(PriceList::parse(text), Err(PriceListError), "{text}");
        }
    }
}
