//! The `counterfoil` command: everything is in the library, beginning at `app::cli`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    counterfoil::app::cli::run().await
}
