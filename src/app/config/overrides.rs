//! Overrides from the environment: `COUNTERFOIL__SECTION__KEY`.
//!
//! A position counts from 0: `COUNTERFOIL__NETWORK__0__RPC_URL`. The position after the last adds
//! an element. Names are taken in lower case; a value is text, a number, `true` or `false`, or a
//! whole list or table (`["a", "b"]`, `{slug = "a"}`).

use std::ffi::OsString;

use figment::value::{Dict, Tag, Value};

use super::problems::Problems;

const PREFIX: &str = "COUNTERFOIL__";
/// Keys whose text looks like a number, and is not.
const TEXT_KEYS: [&str; 4] = [
    "price_credits",
    "usd_rate",
    "eip712_version",
    "authorization",
];

/// One step of a path. Positions are ordered as numbers, so that elements are added in turn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Position(usize),
    Key(String),
}

/// Applies the variables that concern the configuration.
pub(super) fn apply(
    tables: &mut Dict,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    problems: &mut Problems,
) {
    let mut overrides = Vec::new();
    for (name, text) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        match text.into_string() {
            Ok(text) => overrides.push((steps(name), name.to_owned(), text)),
            Err(_) => problems.add(name, "is not UTF-8"),
        }
    }
    // An order of their own: that of the environment is arbitrary.
    overrides.sort();
    for (steps, name, text) in overrides {
        if let Err(what) = set_in_table(tables, &steps, &text) {
            problems.add(name, what);
        }
    }
}

fn steps(name: &str) -> Vec<Step> {
    let path = name[PREFIX.len()..].to_lowercase();
    let steps = path.split("__").map(|part| match part.parse() {
        Ok(position) => Step::Position(position),
        Err(_) => Step::Key(part.to_owned()),
    });
    steps.collect()
}

fn set_in_table(table: &mut Dict, path: &[Step], text: &str) -> Result<(), String> {
    match path {
        [Step::Key(key), ..] if key.is_empty() => Err("has an empty part".into()),
        [Step::Key(key)] => {
            table.insert(key.clone(), value(key, text));
            Ok(())
        }
        [Step::Key(key), rest @ ..] => {
            let inner = table.entry(key.clone()).or_insert_with(|| empty(rest));
            set_in_value(inner, rest, text)
        }
        _ => Err("has a position where a key belongs".into()),
    }
}

fn set_in_value(inner: &mut Value, path: &[Step], text: &str) -> Result<(), String> {
    match inner {
        Value::Dict(_, table) => set_in_table(table, path, text),
        Value::Array(_, items) => set_in_list(items, path, text),
        _ => Err("names something inside a plain value".into()),
    }
}

fn set_in_list(items: &mut Vec<Value>, path: &[Step], text: &str) -> Result<(), String> {
    let [Step::Position(position), rest @ ..] = path else {
        return Err("needs a position, counted from 0, to name an element of the list".into());
    };
    if *position > items.len() {
        let count = items.len();
        return Err(format!("leaves a gap: the list has {count} elements"));
    }
    if *position == items.len() {
        items.push(empty(rest));
    }
    if rest.is_empty() {
        items[*position] = value("", text);
        return Ok(());
    }
    set_in_value(&mut items[*position], rest, text)
}

/// What has room for the rest of a path.
fn empty(rest: &[Step]) -> Value {
    match rest {
        [Step::Position(_), ..] => Value::Array(Tag::Default, Vec::new()),
        [] | [Step::Key(_), ..] => Value::Dict(Tag::Default, Dict::new()),
    }
}

fn value(key: &str, text: &str) -> Value {
    if TEXT_KEYS.contains(&key) {
        return Value::from(text.trim_matches('"'));
    }
    match text.parse() {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::{problems::Problem, read};

    const FILE: &str =
        "[server]\nlisten = 'a'\n[[tool]]\nslug = 'one'\n[[tool.action]]\nslug = 'x'";

    fn applied(variables: &[(&str, &str)]) -> Result<serde_json::Value, Vec<Problem>> {
        let mut problems = Problems::default();
        let mut tables = read::tables(FILE, &mut problems).unwrap();
        let variables = variables
            .iter()
            .map(|(name, text)| (name.into(), text.into()));
        apply(&mut tables, variables, &mut problems);
        problems.into_result().map(|()| json(&tables))
    }

    fn tables(text: &str) -> serde_json::Value {
        json(&read::tables(text, &mut Problems::default()).unwrap())
    }

    /// Which compares numbers whatever their width.
    fn json(tables: &Dict) -> serde_json::Value {
        serde_json::to_value(tables).unwrap()
    }

    #[test]
    fn sets_keys_in_tables_lists_and_new_elements() {
        let expected = "[server]\nlisten = 'b'\n[database]\nurl = 'c'\n\
                        [[tool]]\nslug = 'one'\n[[tool.action]]\nslug = 'x'\nprice_credits = '5'\n\
                        timeout_ms = 7\nx402 = false\n[[tool]]\nslug = 'two'\n[[tool]]\nslug = 'three'";
        let got = applied(&[
            ("COUNTERFOIL__TOOL__2__SLUG", "three"),
            ("COUNTERFOIL__TOOL__1__SLUG", "two"),
            ("COUNTERFOIL__SERVER__LISTEN", "b"),
            ("COUNTERFOIL__DATABASE__URL", "c"),
            ("COUNTERFOIL__TOOL__0__ACTION__0__PRICE_CREDITS", "5"),
            ("COUNTERFOIL__TOOL__0__ACTION__0__TIMEOUT_MS", "7"),
            ("counterfoil__tool__0__action__0__x402", "true"),
            ("COUNTERFOIL__TOOL__0__ACTION__0__X402", "false"),
            ("COUNTERFOIL_LOG", "json"),
            ("PATH", "/bin"),
        ]);
        assert_eq!(got, Ok(tables(expected)));
    }

    #[test]
    fn a_rate_is_a_text_although_it_looks_like_a_number() {
        let got = applied(&[("COUNTERFOIL__NETWORK__0__ASSET__0__USD_RATE", "1.25")]);
        let rate = &got.unwrap()["network"][0]["asset"][0]["usd_rate"];
        assert_eq!(rate, "1.25");
    }

    #[test]
    fn sets_whole_lists_and_tables() {
        let got = applied(&[
            ("COUNTERFOIL__NETWORK__0__RPC_URL", "[\"a\", \"b\"]"),
            ("COUNTERFOIL__TOOL", "[{slug = \"two\", action = []}]"),
        ]);
        let expected = "[server]\nlisten = 'a'\n[[network]]\nrpc_url = ['a', 'b']\n\
                        [[tool]]\nslug = 'two'\naction = []";
        assert_eq!(got, Ok(tables(expected)));
    }

    #[test]
    fn what_leads_nowhere_is_named() {
        for (name, what) in [
            (
                "COUNTERFOIL__TOOL__2__SLUG",
                "leaves a gap: the list has 1 elements",
            ),
            ("COUNTERFOIL__TOOL__SLUG", "needs a position"),
            ("COUNTERFOIL__SERVER__LISTEN__X", "names something inside"),
            ("COUNTERFOIL__SERVER__0", "has a position"),
            ("COUNTERFOIL__0", "has a position"),
            ("COUNTERFOIL__", "has an empty part"),
            ("COUNTERFOIL__SERVER__", "has an empty part"),
        ] {
            let problems = applied(&[(name, "x")]).unwrap_err();
            assert_eq!(problems.len(), 1, "{name}");
            assert_eq!(problems[0].key, name);
            assert!(problems[0].what.contains(what), "{name}: {problems:?}");
        }
    }
}
