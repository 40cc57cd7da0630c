//! Reading: from TOML to tables, from tables to [`Raw`], with the place of every mistake.

use figment::{
    error::Kind,
    providers::{Format, Toml},
    value::{Dict, Value},
};
use serde::de::DeserializeOwned;

use super::{problems::Problems, raw::Raw};

/// The tables at the top of the file.
const TABLES: &str = "server, database, keys, session, purchase, limits, network, tool";

/// The tables of a TOML text.
pub(super) fn tables(text: &str, problems: &mut Problems) -> Option<Dict> {
    Toml::from_str::<Dict>(text)
        .map_err(|error| {
            // The error's own text shows the line, and a line may hold a secret.
            let start = error.span().map_or(0, |span| span.start);
            let line = text[..start].matches('\n').count() + 1;
            problems.add(format_args!("line {line}"), error.message());
        })
        .ok()
}

impl Raw {
    /// Reads the tables one by one, so that a mistake in one does not hide those in others.
    pub(super) fn from_tables(mut tables: Dict, problems: &mut Problems) -> Self {
        let tables = &mut tables;
        let raw = Self {
            server: table(tables, "server", problems),
            database: table(tables, "database", problems),
            keys: table(tables, "keys", problems),
            session: table(tables, "session", problems),
            purchase: table(tables, "purchase", problems),
            limits: table(tables, "limits", problems),
            network: list(tables, "network", problems),
            tool: list(tables, "tool", problems),
        };
        for name in tables.keys() {
            problems.add(name, format_args!("is no key; the tables are {TABLES}"));
        }
        raw
    }
}

fn table<T: DeserializeOwned + Default>(
    tables: &mut Dict,
    name: &str,
    problems: &mut Problems,
) -> T {
    let value = tables.remove(name);
    value
        .and_then(|value| self::value(&value, name, problems))
        .unwrap_or_default()
}

fn list<T: DeserializeOwned>(tables: &mut Dict, name: &str, problems: &mut Problems) -> Vec<T> {
    match tables.remove(name) {
        None => Vec::new(),
        Some(Value::Array(_, items)) => items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| value(item, &format!("{name}[{index}]"), problems))
            .collect(),
        Some(_) => {
            problems.add(name, format_args!("must be a list: write [[{name}]]"));
            Vec::new()
        }
    }
}

fn value<T: DeserializeOwned>(value: &Value, place: &str, problems: &mut Problems) -> Option<T> {
    let error = match value.deserialize() {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    let steps = error.path.iter().map(|part| match part.parse::<usize>() {
        Ok(position) => format!("[{position}]"),
        Err(_) => format!(".{part}"),
    });
    let key = place.to_owned() + &steps.collect::<String>();
    match error.kind {
        Kind::UnknownField(_, known) => {
            let known = known.join(", ");
            problems.add(key, format_args!("is no key; the keys here are {known}"));
        }
        Kind::MissingField(field) => problems.add(format_args!("{key}.{field}"), "is missing"),
        Kind::Message(message) => problems.add(key, message),
        // The value itself is left out: it may hold a secret.
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
            problems.add(key, format_args!("must be {}", in_words(&expected)));
        }
        other => problems.add(key, other),
    }
    None
}

/// What was expected, for a reader who does not write Rust.
fn in_words(expected: &str) -> &str {
    match expected {
        "u32" | "u64" | "usize" => "a whole number, not negative",
        "i64" => "a whole number",
        "a boolean" => "true or false",
        other => other,
    }
}
