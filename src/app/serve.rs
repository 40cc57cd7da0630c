//! STUB, to be replaced: the service itself.

use std::{path::PathBuf, process::ExitCode};

/// Runs the service until it is told to stop.
#[expect(clippy::unused_async, reason = "a stub")]
pub async fn run(config: PathBuf) -> ExitCode {
    eprintln!(
        "error: `serve --config {}` is not built in yet",
        config.display()
    );
    ExitCode::FAILURE
}
