//! Hashes of a call's parameters, in every form that a signer may have used.

use sha2::{Digest, Sha256};

use super::{
    canonical::{Escape, Form, KeyOrder, array_index, canonical, depends_on_escape},
    json::{Node, Value},
};

/// SHA-256 of a payload's canonical JSON.
pub type PayloadHash = [u8; 32];

/// Every form, likeliest first: the reference signer, then the ways that JavaScript and Python
/// programmers find by themselves, RFC 8785, and the rest.
const LIKELIEST: [Form; 6] = [
    Form::PYTHON,
    Form::JAVASCRIPT,
    Form::PYTHON_UTF8,
    Form::new(KeyOrder::Utf16, Escape::Utf8),
    Form::new(KeyOrder::JavaScript, Escape::Ascii),
    Form::new(KeyOrder::Utf16, Escape::Ascii),
];

/// The distinct hashes of `parameters`, likeliest first: `preferred`, then the usual order. Each
/// is listed under the first form that gives it.
///
/// Absent and null parameters are `{}`. Never empty, and at most six.
#[must_use]
pub fn payload_hashes(
    parameters: Option<&Node<'_>>,
    preferred: Option<Form>,
) -> Vec<(Form, PayloadHash)> {
    let forms = preferred.into_iter().chain(LIKELIEST);
    let Some(node) = parameters.filter(|node| !node.is_null()) else {
        let first = preferred.unwrap_or(LIKELIEST[0]);
        return vec![(first, Sha256::digest("{}").into())];
    };
    let differences = Differences::of(node);
    let mut computed: Vec<Form> = Vec::new();
    let mut hashes: Vec<(Form, PayloadHash)> = Vec::new();
    for form in forms {
        let simplest = differences.simplest(form);
        if computed.contains(&simplest) {
            continue;
        }
        computed.push(simplest);
        let hash = Sha256::digest(canonical(node, form)).into();
        // That forms may differ does not mean that they do.
        if hashes.iter().all(|(_, known)| *known != hash) {
            hashes.push((form, hash));
        }
    }
    hashes
}

/// In what the forms of one value can differ at all.
#[derive(Default)]
struct Differences {
    /// A string holds a character that one form escapes and another does not.
    escape: bool,
    /// An object's keys may sort otherwise by UTF-16 unit than by code point.
    utf16: bool,
    /// An object has an integer key, and another key that it may have to pass.
    javascript: bool,
}

impl Differences {
    fn of(node: &Node<'_>) -> Self {
        let mut found = Self::default();
        found.look(node);
        found
    }

    fn look(&mut self, node: &Node<'_>) {
        match node.value() {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => self.look_at_text(text),
            Value::Array(items) => items.iter().for_each(|item| self.look(item)),
            Value::Object(members) => {
                // Surrogates, which write what is above U+FFFF, sort below U+E000.
                let (mut pairs, mut above_surrogates, mut index) = (false, false, false);
                for member in members {
                    self.look_at_text(member.name());
                    self.look(member.node());
                    for character in member.name().chars() {
                        pairs |= character > '\u{ffff}';
                        above_surrogates |= matches!(character, '\u{e000}'..='\u{ffff}');
                    }
                    index |= array_index(member.name()).is_some();
                }
                self.utf16 |= pairs && above_surrogates;
                self.javascript |= index && members.len() > 1;
            }
        }
    }

    fn look_at_text(&mut self, text: &str) {
        self.escape = self.escape || text.contains(depends_on_escape);
    }

    /// The first of the forms that write this value as `form` does.
    fn simplest(&self, form: Form) -> Form {
        let order = match form.order {
            KeyOrder::JavaScript if self.javascript => KeyOrder::JavaScript,
            KeyOrder::JavaScript | KeyOrder::Utf16 if self.utf16 => KeyOrder::Utf16,
            KeyOrder::JavaScript | KeyOrder::Utf16 | KeyOrder::CodePoint => KeyOrder::CodePoint,
        };
        let escape = if self.escape {
            form.escape
        } else {
            Escape::Ascii
        };
        Form::new(order, escape)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::auth::{
        canonical::tests::{FORMS, json},
        json::parse,
    };

    fn forms_of(text: &str, preferred: Option<Form>) -> Vec<Form> {
        let node = parse(text.as_bytes()).expect(text);
        let hashes = payload_hashes(Some(&node), preferred);
        hashes.into_iter().map(|(form, _)| form).collect()
    }

    #[test]
    fn only_forms_that_differ_are_listed() {
        let utf16 = Form::new(KeyOrder::Utf16, Escape::Utf8);
        for (text, forms) in [
            (r#"{"b":1,"a":["x"]}"#, &[Form::PYTHON][..]),
            (r#"{"7":"one integer key alone"}"#, &[Form::PYTHON]),
            (r#"{"1":0,"2":0}"#, &[Form::PYTHON]),
            (r#"["é"]"#, &[Form::PYTHON, Form::JAVASCRIPT]),
            (r#"["\u007f"]"#, &[Form::PYTHON, Form::JAVASCRIPT]),
            (r#"{"10":0,"9":0}"#, &[Form::PYTHON, Form::JAVASCRIPT]),
            (r#"[{"":0,"9":0}]"#, &[Form::PYTHON, Form::JAVASCRIPT]),
        ] {
            assert_eq!(forms_of(text, None), forms, "{text}");
        }
        let everything = "{\"\u{10000}\":0,\"\u{e000}\":0,\"10\":0,\"9\":0}";
        assert_eq!(forms_of(everything, None), LIKELIEST);
        assert_eq!(
            forms_of(everything, Some(utf16))[..2],
            [utf16, Form::PYTHON]
        );
        assert_eq!(forms_of("{}", Some(utf16)), [utf16]);
    }

    #[test]
    fn absent_and_null_are_the_empty_object() {
        let null = parse(b"null").unwrap();
        let empty = parse(b" { } ").unwrap();
        let expected = payload_hashes(Some(&empty), None);
        assert_eq!(payload_hashes(None, None), expected);
        assert_eq!(payload_hashes(Some(&null), None), expected);
        assert_eq!(
            hex::encode(expected[0].1),
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
        let inner = parse(b"[null]").unwrap();
        assert_ne!(payload_hashes(Some(&inner), None), expected);
    }

    proptest! {
        #[test]
        fn no_form_is_missed(text in json(), preferred in proptest::option::of(0..6_usize)) {
            let node = parse(text.as_bytes()).unwrap();
            prop_assume!(!node.is_null());
            let preferred = preferred.map(|index| FORMS[index]);
            let listed = payload_hashes(Some(&node), preferred);
            let all: BTreeSet<PayloadHash> = FORMS
                .iter()
                .map(|form| Sha256::digest(canonical(&node, *form)).into())
                .collect();
            let distinct: BTreeSet<_> = listed.iter().map(|(_, hash)| *hash).collect();
            prop_assert_eq!(listed.len(), distinct.len());
            prop_assert_eq!(distinct, all);
            prop_assert_eq!(listed[0].0, preferred.unwrap_or(Form::PYTHON));
            for (form, hash) in listed {
                let expected: PayloadHash = Sha256::digest(canonical(&node, form)).into();
                prop_assert_eq!(hash, expected);
            }
        }
    }
}
