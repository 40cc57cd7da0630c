//! `counterfoil keygen`

use std::path::PathBuf;

use serde_json::json;

use super::{
    connection::DEFAULT_KEY_FILE,
    outcome::{Done, Failed, rows},
};
use crate::client::{ClientError, Wallet, WalletError};

#[derive(Debug, clap::Args)]
#[command(after_help = "The key is written, never shown.\n\nExample:\n  \
    counterfoil keygen --out agent.key")]
pub(super) struct Args {
    /// Where to write the key; a file that exists is left as it is
    #[arg(long, value_name = "FILE", default_value = DEFAULT_KEY_FILE)]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Done, Failed> {
    let wallet = Wallet::generate().map_err(ClientError::from)?;
    wallet.write_new(&args.out).map_err(|problem| {
        let failed = Failed::usage("KEY_NOT_WRITTEN", problem.to_string());
        match problem {
            WalletError::Exists { .. } => failed.next("name another file with --out FILE"),
            _ => failed,
        }
    })?;
    let (address, file) = (wallet.address().to_string(), args.out.display().to_string());
    Ok(Done {
        json: json!({ "address": address, "key_file": file }).to_string(),
        human: rows(&[("address", address), ("key file", file)]),
    })
}
