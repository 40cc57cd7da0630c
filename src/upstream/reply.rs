//! What a tool answers, and how it becomes part of our own answer.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

/// Deeper JSON is given on as a string: a client's parser would stumble over our whole answer.
const NESTING_MAX: u8 = 64;

/// What a tool answered.
#[derive(Clone, Debug)]
pub struct ToolReply {
    /// The HTTP status.
    pub status: u16,
    /// As the tool gave it, when it is printable.
    pub content_type: Option<String>,
    /// The body as JSON text, see [`ToolReply::new`].
    pub data: Box<RawValue>,
}

/// Why a tool's call is not a success. The charge is voided for every one of them.
#[derive(Debug, Error)]
pub enum ToolError {
    /// The tool answered, but not 2xx. At most the first 4 KiB of its body.
    #[error("the tool answered with status {}", .0.status)]
    Status(ToolReply),
    #[error("the tool took longer than its time limit")]
    Timeout,
    #[error("the tool's reply is longer than {limit_bytes} bytes")]
    TooLarge { limit_bytes: usize },
    #[error("the parameters make a query longer than {limit_bytes} bytes")]
    QueryTooLong { limit_bytes: usize },
    #[error("the parameters cannot be written as a query")]
    Query(#[source] serde_json::Error),
    #[error(
        "the tool's host leads to a private address; allow it with allow_private = true at the tool"
    )]
    PrivateAddress,
    #[error("the tool cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the tool broke off")]
    Broken(#[source] reqwest::Error),
}

impl ToolReply {
    /// A body of JSON is kept verbatim, number tokens and all; an empty one becomes `null`.
    /// Anything else becomes a string, with U+FFFD where it is not UTF-8: also JSON that is nested
    /// over 64 levels, has a lone surrogate, or a number beyond a double's range.
    #[must_use]
    pub fn new(status: u16, content_type: Option<String>, body: &[u8]) -> Self {
        Self {
            status,
            content_type,
            data: embeddable(body),
        }
    }
}

fn embeddable(body: &[u8]) -> Box<RawValue> {
    if body.is_empty() {
        return RawValue::NULL.to_owned();
    }
    if is_readable(body)
        && let Ok(verbatim) = serde_json::from_slice::<&RawValue>(body)
    {
        return verbatim.to_owned();
    }
    serde_json::value::to_raw_value(&String::from_utf8_lossy(body))
        .expect("a string can always be written as JSON")
}

/// Whether any reader of JSON can be expected to read it. Keeps nothing while it looks.
fn is_readable(body: &[u8]) -> bool {
    let mut reader = serde_json::Deserializer::from_slice(body);
    Readable(NESTING_MAX).deserialize(&mut reader).is_ok() && reader.end().is_ok()
}

/// Walks a value with so many levels left.
#[derive(Clone, Copy)]
struct Readable(u8);

impl Readable {
    fn below<E: serde::de::Error>(self) -> Result<Self, E> {
        let left = self.0.checked_sub(1);
        left.map(Self).ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for Readable {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let below = self.below::<A::Error>()?;
        while items.next_element_seed(below)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let below = self.below::<A::Error>()?;
        while members.next_entry_seed(below, below)?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(body: &[u8]) -> String {
        ToolReply::new(200, None, body).data.get().to_owned()
    }

    #[test]
    fn json_is_kept_verbatim() {
        for text in [
            r#"{"b":1.0,"a":[1e3,-0,18446744073709551616,0.10],"b":{}}"#,
            r#""\u00e9\/""#,
            "null",
            "5",
            "[ 1,\n 2 ]",
        ] {
            assert_eq!(data(text.as_bytes()), text);
            assert_eq!(data(format!(" {text}\n").as_bytes()), text);
        }
    }

    #[test]
    fn anything_else_becomes_a_string() {
        for (body, text) in [
            (&b"sunny"[..], r#""sunny""#),
            (b"<p class=\"a\">\n", r#""<p class=\"a\">\n""#),
            (b"\xff\x00", r#""\ufffd\u0000""#),
            (b"{} {}", r#""{} {}""#),
            (b"[1e400]", r#""[1e400]""#),
            (br#""\ud800""#, r#""\"\\ud800\"""#),
            (br#"{"\udc00":1}"#, r#""{\"\\udc00\":1}""#),
            (b"[NaN]", r#""[NaN]""#),
            (b"\xef\xbb\xbf{}", "\"\u{feff}{}\""),
            (b"", "null"),
        ] {
            let expected: serde_json::Value = serde_json::from_str(text).unwrap();
            let got: serde_json::Value = serde_json::from_str(&data(body)).unwrap();
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let (deep, deeper) = (nested(64), nested(65));
        assert_eq!(data(deep.as_bytes()), deep);
        assert_eq!(data(deeper.as_bytes()), format!("\"{deeper}\""));
        assert!(data("[".repeat(1_000_000).as_bytes()).starts_with('"'));
    }
}
