//! The x402 clients: which they are, how they are started, and what is particular to each.

use std::{
    env::{consts::EXE_SUFFIX, current_exe},
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{process::Command, sync::OnceCell};

use crate::{
    script::{Language, PARAMETERS, Program, root, secret_key},
    support::{House, Wallet},
};

/// The foundation has one client in TypeScript for each version, and two in Python. The one in Rust
/// is x402-rs's, and speaks both.
#[derive(Clone, Copy)]
pub(crate) enum Client {
    TypeScript,
    TypeScriptV1,
    Httpx,
    Requests,
    Rust,
    RustV1,
}

impl Client {
    pub(crate) async fn script(self, name: &str, house: &House, wallet: &Wallet) -> Program {
        let of = |language: Language| language.script(name, house, wallet);
        match self {
            Self::TypeScript => of(Language::TypeScript),
            Self::TypeScriptV1 => of(Language::TypeScript).argument("v1"),
            Self::Httpx => of(Language::Python).argument("httpx"),
            Self::Requests => of(Language::Python).argument("requests"),
            Self::Rust => rust(house, wallet).await.argument(name),
            Self::RustV1 => rust(house, wallet).await.argument(name).argument("v1"),
        }
    }

    /// What `base-sepolia` is called in the version that the client speaks.
    pub(crate) const fn network(self) -> &'static str {
        match self {
            Self::TypeScriptV1 | Self::RustV1 => "base-sepolia",
            Self::TypeScript | Self::Httpx | Self::Requests | Self::Rust => "eip155:84532",
        }
    }
}

async fn rust(house: &House, wallet: &Wallet) -> Program {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    Program::new(BUILT.get_or_init(build).await)
        .variable("COUNTERFOIL_URL", house.url(""))
        .variable("PRIVATE_KEY", secret_key(wallet))
        .variable("TOOL", "weather")
        .variable("ACTION", "forecast")
        .variable("PARAMETERS", PARAMETERS)
}

/// Builds the client in Rust, from a lock file of its own, beside what Cargo built of the service.
/// After `make setup` there is nothing left to do.
async fn build() -> PathBuf {
    let tests = current_exe().unwrap();
    let target = tests.ancestors().nth(3).unwrap();
    let manifest = root().join("tests/clients/rust/Cargo.toml");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--quiet", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(target)
        .stdin(Stdio::null())
        .status();
    let status = built.await.unwrap();
    assert!(status.success(), "the client in Rust: {status}");
    let name = format!("counterfoil-test-client{EXE_SUFFIX}");
    target.join(Path::new("debug")).join(name)
}
