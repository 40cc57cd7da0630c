//! STUB, to be replaced: the demonstration.

use std::process::ExitCode;

/// How the demonstration runs.
#[derive(Clone, Copy, Debug)]
pub struct DemoOptions {
    /// Tell each step as a JSON document.
    pub json: bool,
    /// End when every step held, or one did not.
    pub once: bool,
}

/// Walks through everything on a node of its own.
#[expect(clippy::unused_async, reason = "a stub")]
pub async fn run(options: DemoOptions) -> ExitCode {
    eprintln!("error: the demo is not built in yet ({options:?})");
    ExitCode::FAILURE
}
