//! Canonical JSON: one text for one value, in each form that signers use.
//!
//! Arrays stay in order, number tokens stay verbatim, white space goes. Signers differ in how
//! they order keys and whether they escape what is not ASCII (docs/PROTOCOL.md section 1).

use std::cmp::Ordering;

use super::json::{Member, Node, Value};

/// How a signer writes canonical JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Form {
    pub order: KeyOrder,
    pub escape: Escape,
}

/// The order of an object's keys, at every level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyOrder {
    /// By Unicode code point, as Python sorts.
    CodePoint,
    /// By UTF-16 unit, as RFC 8785 and JavaScript's `sort` do.
    Utf16,
    /// As a JavaScript object built from sorted keys lists them: integer keys first, ascending
    /// (ECMA-262, `OrdinaryOwnPropertyKeys`), then by UTF-16 unit.
    JavaScript,
}

/// What a string's characters from U+007F up become. All others are written one way only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Escape {
    /// Lower-case `\uXXXX`, a surrogate pair above U+FFFF.
    Ascii,
    /// Themselves, in UTF-8.
    Utf8,
}

impl Form {
    /// Python's `json.dumps(…, sort_keys=True, separators=(",", ":"))`, which the reference
    /// signer uses.
    pub const PYTHON: Self = Self::new(KeyOrder::CodePoint, Escape::Ascii);

    /// The same with `ensure_ascii=False`.
    pub const PYTHON_UTF8: Self = Self::new(KeyOrder::CodePoint, Escape::Utf8);

    /// `JSON.stringify` of an object that was built from sorted keys.
    pub const JAVASCRIPT: Self = Self::new(KeyOrder::JavaScript, Escape::Utf8);

    #[must_use]
    pub const fn new(order: KeyOrder, escape: Escape) -> Self {
        Self { order, escape }
    }
}

/// The canonical JSON of a value in one form.
#[must_use]
pub fn canonical(node: &Node<'_>, form: Form) -> String {
    let mut out = String::with_capacity(node.raw().len());
    write(node, form, &mut out);
    out
}

/// The members of an object in the order of a form.
pub(super) fn sorted<'n, 'a>(members: &'n [Member<'a>], order: KeyOrder) -> Vec<&'n Member<'a>> {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_unstable_by(|left, right| order.compare(left.name(), right.name()));
    sorted
}

/// The number that a key is, if JavaScript lists it before all others: `0` to `4294967294` in
/// plain decimal.
pub(super) fn array_index(key: &str) -> Option<u32> {
    let plain = key == "0" || key.starts_with(|first: char| matches!(first, '1'..='9'));
    let index = key.parse().ok().filter(|index| *index < u32::MAX);
    index.filter(|_| plain)
}

/// Whether a form may write a character otherwise than another.
pub(super) const fn depends_on_escape(character: char) -> bool {
    character >= '\u{7f}'
}

impl KeyOrder {
    fn compare(self, left: &str, right: &str) -> Ordering {
        let by_utf16 = || left.encode_utf16().cmp(right.encode_utf16());
        match self {
            // UTF-8 keeps the order of code points.
            Self::CodePoint => left.cmp(right),
            Self::Utf16 => by_utf16(),
            Self::JavaScript => match (array_index(left), array_index(right)) {
                (Some(left), Some(right)) => left.cmp(&right),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => by_utf16(),
            },
        }
    }
}

/// Recursion ends: a node is never nested deeper than the parser allows.
fn write(node: &Node<'_>, form: Form, out: &mut String) {
    match node.value() {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(token) => out.push_str(token),
        Value::String(text) => write_string(text, form.escape, out),
        Value::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write(item, form, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (position, member) in sorted(members, form.order).into_iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write_string(member.name(), form.escape, out);
                out.push(':');
                write(member.node(), form, out);
            }
            out.push('}');
        }
    }
}

fn write_string(text: &str, escape: Escape, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' => write_escaped(character, out),
            _ if escape == Escape::Ascii && depends_on_escape(character) => {
                write_escaped(character, out);
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

fn write_escaped(character: char, out: &mut String) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        out.push_str("\\u");
        for shift in [12, 8, 4, 0] {
            let digit = char::from_digit(u32::from(*unit >> shift & 0xf), 16);
            out.push(digit.expect("four bits are one digit"));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::auth::json::parse;

    pub(in crate::auth) const FORMS: [Form; 6] = [
        Form::PYTHON,
        Form::PYTHON_UTF8,
        Form::JAVASCRIPT,
        Form::new(KeyOrder::JavaScript, Escape::Ascii),
        Form::new(KeyOrder::Utf16, Escape::Utf8),
        Form::new(KeyOrder::Utf16, Escape::Ascii),
    ];

    fn of(text: &str, form: Form) -> String {
        canonical(&parse(text.as_bytes()).expect(text), form)
    }

    #[test]
    fn numbers_and_order_of_arrays_stay() {
        for form in FORMS {
            let text = " [ 3 , 1.0 , 1e3, 1E+3 , -0, null , {\"b\":true , \"a\":false} ] ";
            let written = r#"[3,1.0,1e3,1E+3,-0,null,{"a":false,"b":true}]"#;
            assert_eq!(of(text, form), written, "{form:?}");
        }
    }

    #[test]
    fn strings_have_one_spelling_in_each_form() {
        let text = r#""\/\u0022\u005c\u0008\u000C\u000a\u000d\u0009\u0000\u001F\u007f\u00E9\ud83d\ude80~""#;
        let plain = r#"/\"\\\b\f\n\r\t\u0000\u001f"#;
        let ascii = format!("\"{plain}{}~\"", r"\u007f\u00e9\ud83d\ude80");
        assert_eq!(of(text, Form::PYTHON), ascii);
        assert_eq!(of(text, Form::JAVASCRIPT), format!("\"{plain}\u{7f}é🚀~\""));
    }

    #[test]
    fn key_orders_differ_where_they_should() {
        use KeyOrder::{CodePoint, JavaScript, Utf16};
        let keys = [
            "b",
            "10",
            "9",
            "\u{e000}",
            "\u{10000}",
            "",
            "01",
            "4294967295",
        ];
        let members: Vec<_> = keys.iter().map(|key| format!("\"{key}\":0")).collect();
        let text = format!("{{\"nested\":{{{}}}}}", members.join(","));
        let by_code_point = [
            "",
            "01",
            "10",
            "4294967295",
            "9",
            "b",
            "\u{e000}",
            "\u{10000}",
        ];
        let by_utf16 = [
            "",
            "01",
            "10",
            "4294967295",
            "9",
            "b",
            "\u{10000}",
            "\u{e000}",
        ];
        let as_object = [
            "9",
            "10",
            "",
            "01",
            "4294967295",
            "b",
            "\u{10000}",
            "\u{e000}",
        ];
        for (order, keys) in [
            (CodePoint, by_code_point),
            (Utf16, by_utf16),
            (JavaScript, as_object),
        ] {
            let members: Vec<_> = keys.iter().map(|key| format!("\"{key}\":0")).collect();
            let expected = format!("{{\"nested\":{{{}}}}}", members.join(","));
            assert_eq!(of(&text, Form::new(order, Escape::Utf8)), expected);
        }
    }

    #[test]
    fn array_indexes_are_plain_decimals_below_the_last_u32() {
        for (key, index) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("4294967294", Some(4_294_967_294)),
            ("4294967295", None),
            ("4294967296", None),
            ("", None),
            ("00", None),
            ("01", None),
            ("+1", None),
            ("-0", None),
            ("1.0", None),
            ("1e3", None),
            ("1 ", None),
        ] {
            assert_eq!(array_index(key), index, "{key:?}");
        }
    }

    /// JSON texts full of what the forms disagree about.
    pub(in crate::auth) fn json() -> impl Strategy<Value = String> {
        let key = prop_oneof![
            "[0-9]{1,3}",
            "[a-cé\u{7f}\u{e000}\u{ffff}\u{10000}🚀]{0,2}",
            any::<String>(),
        ];
        let quote = |text: String| {
            let mut out = String::new();
            write_string(&text, Escape::Utf8, &mut out);
            out
        };
        let leaf = prop_oneof![
            Just(String::from("null")),
            "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
            key.clone().prop_map(quote),
        ];
        leaf.prop_recursive(4, 24, 5, move |inner| {
            let members = proptest::collection::btree_map(key.clone(), inner.clone(), 0..5);
            prop_oneof![
                proptest::collection::vec(inner, 0..4)
                    .prop_map(|items| format!("[{}]", items.join(" , "))),
                members.prop_map(move |members| {
                    let members: Vec<_> = members
                        .into_iter()
                        .map(|(key, value)| format!("{} : {value}", quote(key)))
                        .collect();
                    format!("{{ {} }}", members.join("\n,"))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_text_is_its_own_canonical_text(text in json()) {
            for form in FORMS {
                let once = of(&text, form);
                prop_assert_eq!(&of(&once, form), &once);
                for other in FORMS {
                    prop_assert_eq!(of(&once, other), of(&text, other), "{:?}", form);
                }
            }
        }
    }
}
