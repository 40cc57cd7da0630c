//! Which service, and which wallet.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::outcome::Failed;
use crate::{
    app::clock,
    client::{Client, Wallet, WalletError},
};

/// Where `keygen` writes and the others look, unless told otherwise.
pub(super) const DEFAULT_KEY_FILE: &str = "agent.key";
const PRIVATE_KEY: &str = "COUNTERFOIL_PRIVATE_KEY";

#[derive(Debug, clap::Args)]
pub(super) struct ServiceArgs {
    /// The service's URL
    #[arg(
        long,
        env = "COUNTERFOIL_URL",
        default_value = "http://127.0.0.1:4020",
        value_name = "URL"
    )]
    url: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct WalletArgs {
    #[command(flatten)]
    service: ServiceArgs,
    /// The file that holds the wallet's key. Without it the key in `COUNTERFOIL_PRIVATE_KEY` is
    /// taken, or the file agent.key
    #[arg(long, env = "COUNTERFOIL_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl ServiceArgs {
    /// A client that can read what is public.
    pub(super) fn client(&self) -> Result<Client, Failed> {
        Ok(Client::new(&self.url, None, clock::now)?)
    }
}

impl WalletArgs {
    pub(super) fn client(&self) -> Result<Client, Failed> {
        let wallet = self.wallet()?;
        Ok(Client::new(&self.service.url, Some(wallet), clock::now)?)
    }

    fn wallet(&self) -> Result<Wallet, Failed> {
        let default = Path::new(DEFAULT_KEY_FILE);
        match (&self.key_file, private_key()) {
            (Some(path), _) => read(path),
            (None, Some(key)) => Wallet::from_hex(&key).map_err(|problem| {
                Failed::usage("BAD_WALLET", format!("{PRIVATE_KEY} is no key. {problem}"))
            }),
            (None, None) if default.exists() => read(default),
            (None, None) => Err(Failed::usage("NO_WALLET", "No wallet is given.")
                .next("make one with `counterfoil keygen`, or name yours with --key-file FILE")),
        }
    }
}

fn read(path: &Path) -> Result<Wallet, Failed> {
    Wallet::read(path).map_err(|problem| {
        let hint = match problem {
            WalletError::Unreadable { .. } => "make a key with `counterfoil keygen --out FILE`",
            _ => "the file must hold the 64 hexadecimal digits of a key, and nothing else",
        };
        Failed::usage("BAD_WALLET", problem.to_string()).next(hint)
    })
}

/// Not an argument of clap's, which would make it one of the command line's too: there, everybody
/// on the machine could read it.
fn private_key() -> Option<Zeroizing<String>> {
    #[expect(clippy::disallowed_methods, reason = "a secret that is no argument")]
    let key = std::env::var(PRIVATE_KEY).ok()?;
    Some(Zeroizing::new(key)).filter(|key| !key.is_empty())
}
