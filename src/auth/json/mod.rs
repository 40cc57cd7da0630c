//! Strict JSON (RFC 8259) that keeps every value's own bytes.
//!
//! A signature covers a hash of canonical JSON, so what two parsers could read differently is
//! refused here: repeated keys, half surrogate pairs, numbers that no double holds. Owns the
//! grammar and its bounds. Must never know what a body means.

mod error;
mod parser;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use error::{JsonError, JsonFault};
pub use parser::{DEPTH_MAX, NODES_MAX, NUMBER_CHARS_MAX, parse};

/// A JSON value together with the exact text that it was read from.
///
/// Made by [`parse`] only, so it is never nested deeper than [`DEPTH_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node<'a> {
    raw: &'a str,
    value: Value<'a>,
}

/// What a [`Node`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    /// The number token as it stands: `1.0`, `1e3` and `-0` keep their spelling.
    Number(&'a str),
    /// Unescaped.
    String(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    /// In the order of the text; no name occurs twice.
    Object(Vec<Member<'a>>),
}

/// A name and its value in an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    name: Cow<'a, str>,
    node: Node<'a>,
    /// Bytes from the start of the text to the name.
    offset: usize,
}

impl<'a> Node<'a> {
    /// The client's own bytes, without the white space around them.
    #[must_use]
    pub const fn raw(&self) -> &'a str {
        self.raw
    }

    #[must_use]
    pub const fn value(&self) -> &Value<'a> {
        &self.value
    }

    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The text of a string, unescaped.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The token of a number, as the client spelled it.
    #[must_use]
    pub const fn as_number(&self) -> Option<&'a str> {
        match &self.value {
            Value::Number(token) => Some(token),
            _ => None,
        }
    }

    /// The members of an object, in the order of the text.
    #[must_use]
    pub fn as_object(&self) -> Option<&[Member<'a>]> {
        match &self.value {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The member of an object with this name; `None` also for what is not an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        let member = self.as_object()?.iter().find(|it| it.name == name)?;
        Some(&member.node)
    }
}

impl<'a> Member<'a> {
    /// Unescaped.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub const fn node(&self) -> &Node<'a> {
        &self.node
    }
}
