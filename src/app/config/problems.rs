//! What is wrong with a configuration, gathered so that an operator sees it all at once.

use std::{fmt, io, path::PathBuf};

use thiserror::Error;

/// Beyond this many, further problems are not listed.
const PROBLEMS_MAX: usize = 50;
/// How much of a wrong value is repeated, in characters.
const VALUE_CHARS_MAX: usize = 80;

/// One thing to mend: `network[0].pay_to: "0x12" is not an address…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub key: String,
    pub what: String,
}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the configuration file {} is longer than a mebibyte", path.display())]
    TooLong { path: PathBuf },
    #[error("the configuration {} cannot be used:{}", path.display(), lines(problems))]
    Invalid {
        path: PathBuf,
        problems: Vec<Problem>,
    },
}

/// Where problems are gathered.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, key: impl fmt::Display, what: impl fmt::Display) {
        if self.0.len() < PROBLEMS_MAX {
            let (key, what) = (key.to_string(), what.to_string());
            self.0.push(Problem { key, what });
        }
    }

    /// A wrong value, repeated. Never for values that may hold a secret.
    pub(super) fn add_value(
        &mut self,
        key: impl fmt::Display,
        value: impl fmt::Display,
        what: impl fmt::Display,
    ) {
        let value = value.to_string();
        let mut short: String = value.chars().take(VALUE_CHARS_MAX).collect();
        if short.len() < value.len() {
            short.push('…');
        }
        self.add(key, format_args!("{short:?} {what}"));
    }

    /// The value of `result`, or a problem with the text that it came from.
    pub(super) fn take<T, E: fmt::Display>(
        &mut self,
        key: impl fmt::Display,
        text: &str,
        result: Result<T, E>,
    ) -> Option<T> {
        result
            .map_err(|error| self.add_value(key, text, error))
            .ok()
    }

    /// The number, when it lies within the bounds.
    pub(super) fn within<T: PartialOrd + fmt::Display>(
        &mut self,
        key: impl fmt::Display,
        number: T,
        (min, max): (T, T),
    ) -> T {
        if number < min || number > max {
            self.add(key, format_args!("{number} is not within {min} and {max}"));
        }
        number
    }

    pub(super) fn into_result(self) -> Result<(), Vec<Problem>> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.0)
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.key, self.what)
    }
}

fn lines(problems: &[Problem]) -> String {
    let mut lines = String::new();
    for problem in problems {
        lines.push_str("\n  ");
        lines.push_str(&problem.to_string());
    }
    lines
}
