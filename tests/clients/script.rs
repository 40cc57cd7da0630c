//! Runs a program that is not ours, for a bounded time, and reads what it says.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io::{Read, Seek},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::support::{House, Wallet};

/// Many times what any of them needs on a busy machine.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(90);

/// What the scripts send to a tool. In canonical JSON a Python client writes this in ASCII, and a
/// TypeScript client does not.
pub(crate) const PARAMETERS: &str = r#"{"place":"Zürich, 東京, 😀","days":3}"#;

/// What a script is written in.
#[derive(Clone, Copy)]
pub(crate) enum Language {
    TypeScript,
    Python,
}

impl Language {
    /// A script, which pays and signs with the wallet's key.
    pub(crate) fn script(self, name: &str, house: &House, wallet: &Wallet) -> Program {
        let directory = root().join("tests/clients");
        let (program, file) = match self {
            Self::TypeScript => {
                installed("tests/clients/typescript/node_modules/.package-lock.json");
                ("node".into(), format!("typescript/{name}.mjs"))
            }
            Self::Python => {
                installed("tests/clients/python/.venv/.installed");
                let python = directory.join("python/.venv/bin/python");
                (python, format!("python/{name}.py"))
            }
        };
        Program::new(&program)
            .argument(directory.join(file))
            .variable("COUNTERFOIL_URL", house.url(""))
            .variable("PRIVATE_KEY", secret_key(wallet))
            .variable("TOOL", "weather")
            .variable("ACTION", "forecast")
            .variable("PARAMETERS", PARAMETERS)
    }
}

/// A program to run, with nothing of this process's environment but where programs are.
pub(crate) struct Program(Command);

impl Program {
    pub(crate) fn new(program: &Path) -> Self {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", inherited("PATH"))
            .env("HOME", inherited("HOME"))
            .current_dir(root())
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        Self(command)
    }

    pub(crate) fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.0.arg(argument.into());
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.0.env(name, value.into());
        self
    }

    pub(crate) fn directory(mut self, directory: &Path) -> Self {
        self.0.current_dir(directory);
        self
    }

    /// Runs it to its end, and shows what it said should the test fail.
    pub(crate) async fn run(mut self) -> Said {
        // Files, so that what a program said before it was ended is kept, and no pipe runs full.
        let [mut stdout, mut stderr] = [(); 2].map(|()| tempfile::tempfile().unwrap());
        self.0.stdout(stdout.try_clone().unwrap());
        self.0.stderr(stderr.try_clone().unwrap());
        let program = Path::new(self.0.as_std().get_program()).to_owned();
        let mut child = match self.0.spawn() {
            Ok(child) => child,
            Err(error) => panic!("cannot run {}: {error}", program.display()),
        };
        let status = timeout(TIME_MAX, child.wait()).await;
        if status.is_err() {
            end(&mut child).await;
        }
        let shown: Vec<_> = self.0.as_std().get_args().collect();
        let (stdout, stderr) = (text(&mut stdout), text(&mut stderr));
        eprintln!("--- {shown:?} said:\n{stdout}{stderr}---");
        Said {
            status: status.expect("it does not end").unwrap(),
            stdout,
        }
    }
}

/// What a program said, and how it ended.
pub(crate) struct Said {
    status: ExitStatus,
    stdout: String,
}

impl Said {
    /// Everything, when the program did what it is for.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert!(self.status.success(), "{}", self.status);
        self.stdout
    }

    /// The line of a script that did what it is for.
    #[track_caller]
    pub(crate) fn result(self) -> Value {
        line(&self.done())
    }

    /// Why a script's client did not go on.
    #[track_caller]
    pub(crate) fn error(self) -> String {
        assert_eq!(self.status.code(), Some(1), "{}", self.status);
        let line = line(&self.stdout);
        let error = line["error"].as_str().expect("an error");
        error.to_owned()
    }
}

/// The only line, which is JSON.
#[track_caller]
fn line(stdout: &str) -> Value {
    let lines: Vec<&str> = stdout.lines().collect();
    let [line] = lines[..] else {
        panic!("{} lines where one should be", lines.len());
    };
    serde_json::from_str(line).expect("JSON")
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Ends a program with everything that it started.
async fn end(child: &mut Child) {
    let group = format!("-{}", child.id().expect("it has not ended"));
    let ended = Command::new("kill").args(["-9", "--", &group]).status();
    assert!(ended.await.unwrap().success());
    child.wait().await.unwrap();
}

/// A wallet's key as clients take it.
pub(crate) fn secret_key(wallet: &Wallet) -> String {
    format!("{:#x}", wallet.0.to_bytes())
}

pub(crate) fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// That an installation was finished. `marker` is written last.
#[track_caller]
pub(crate) fn installed(marker: &str) {
    let there = root().join(marker).exists();
    assert!(there, "{marker} is missing: run `make setup`");
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program is found as this one was"
)]
pub(crate) fn inherited(name: &str) -> OsString {
    env::var_os(name).unwrap_or_default()
}
