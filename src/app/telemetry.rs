//! Logs, on standard error: standard output belongs to the commands.

use std::io::IsTerminal;

use thiserror::Error;
use tracing_subscriber::{EnvFilter, util::SubscriberInitExt};

/// Why logging cannot begin.
#[derive(Debug, Error)]
pub enum TelemetryError {
    #[error("RUST_LOG is not a log filter such as info,counterfoil=debug: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("COUNTERFOIL_LOG is {0:?}; write text or json")]
    Format(String),
    #[error("logging was begun twice")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

/// What a service logs, unless `RUST_LOG` says otherwise. Statements of the database are traced at
/// `info`; that is one line for each of them.
pub const SERVICE_FILTER: &str = "info,sqlx=warn";

/// Begins logging as `RUST_LOG` (`default_filter` if it is not set) and `COUNTERFOIL_LOG` (`text`,
/// or `json`) say.
///
/// # Errors
/// When a variable has no meaning, or logging was begun before.
pub fn init(default_filter: &str) -> Result<(), TelemetryError> {
    let filter = filter(variable("RUST_LOG").as_deref(), default_filter)?;
    // Colours are for people: a log that is kept in a file has none.
    let coloured = std::io::stderr().is_terminal() && variable("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(coloured)
        .with_writer(std::io::stderr);
    match format(variable("COUNTERFOIL_LOG").as_deref())? {
        Format::Text => builder.finish().try_init()?,
        Format::Json => builder.json().finish().try_init()?,
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "how to log is asked of the environment, before there is a configuration"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn filter(text: Option<&str>, default: &str) -> Result<EnvFilter, TelemetryError> {
    Ok(EnvFilter::builder().parse(text.unwrap_or(default))?)
}

fn format(text: Option<&str>) -> Result<Format, TelemetryError> {
    match text {
        None | Some("text") => Ok(Format::Text),
        Some("json") => Ok(Format::Json),
        Some(other) => Err(TelemetryError::Format(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_text_unless_json_is_asked_for() {
        for (text, expected) in [
            (None, Format::Text),
            (Some("text"), Format::Text),
            (Some("json"), Format::Json),
        ] {
            assert_eq!(format(text).unwrap(), expected);
        }
        let error = format(Some("xml")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "COUNTERFOIL_LOG is \"xml\"; write text or json"
        );
    }

    #[test]
    fn the_filter_is_read_and_a_wrong_one_refused() {
        assert_eq!(
            filter(None, SERVICE_FILTER).unwrap().to_string(),
            "sqlx=warn,info"
        );
        assert_eq!(filter(Some("debug"), "warn").unwrap().to_string(), "debug");
        assert!(filter(Some("counterfoil=loud"), "warn").is_err());
    }
}
