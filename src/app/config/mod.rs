//! The configuration: one TOML file, with overrides from the environment.
//!
//! Owns the names of the keys, their defaults and bounds, and the messages that tell an operator
//! what to mend. Two layers: `raw` is the file as it is written, [`Config`] is what the service
//! runs on, already checked. `docs/CONFIGURATION.md` is the reference; a test keeps it true.

mod domain;
mod facilitator;
mod key_file;
mod network;
mod overrides;
mod problems;
mod raw;
mod read;
mod refunds;
mod server;
mod tool;

use std::{ffi::OsString, fs::File, io::Read, path::Path};

pub use domain::{Config, Limits, Purchase, Session};
pub use facilitator::{Authorization, Facilitator, RemoteFacilitator};
pub use key_file::KeyFile;
pub use network::{Asset, Network};
pub use problems::{ConfigError, Problem};
pub use refunds::Refunds;
pub use server::Server;

use problems::Problems;

/// The longest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 1_048_576;

/// Reads the file, applies the overrides of the environment, and checks the whole.
///
/// # Errors
/// Every problem that was found, one a line, each with its key.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(ConfigError::TooLong {
            path: path.to_owned(),
        });
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where configuration takes from the environment"
    )]
    let variables = std::env::vars_os();
    parse(&text, variables).map_err(|problems| ConfigError::Invalid {
        path: path.to_owned(),
        problems,
    })
}

/// [`load`] without the world: the file's text and the environment's variables.
fn parse(
    text: &str,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Config, Vec<Problem>> {
    let mut problems = Problems::default();
    let mut tables = read::tables(text, &mut problems).unwrap_or_default();
    overrides::apply(&mut tables, variables, &mut problems);
    let raw = raw::Raw::from_tables(tables, &mut problems);
    problems.into_result()?;
    Config::try_from(raw)
}

#[cfg(test)]
mod tests;
