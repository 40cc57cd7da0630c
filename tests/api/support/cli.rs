//! The command line, run to its end.

use std::{process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::House;

const END_TIMEOUT: Duration = Duration::from_mins(1);

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Standard output; `null` where it is no JSON.
    pub(crate) json: Value,
}

impl Ran {
    /// That the command ended so; otherwise shows what it said.
    #[track_caller]
    pub(crate) fn expect(self, exit: i32) -> Self {
        assert_eq!(self.exit, exit, "{}{}", self.stdout, self.stderr);
        self
    }

    /// That the command failed so, as `--json` tells it.
    #[track_caller]
    pub(crate) fn failed(self, exit: i32, code: &str) -> Self {
        let ran = self.expect(exit);
        assert_eq!(ran.json["error"]["code"], code, "{}", ran.json);
        assert!(!ran.json["error"]["detail"].as_str().unwrap().is_empty());
        ran
    }
}

impl House {
    /// Starts a command beside the service, in its directory.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_counterfoil"))
            .args(arguments)
            .current_dir(self.path("."))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Runs a command beside the service, in its directory.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        ended(self.spawn(arguments)).await
    }
}

/// Waits for the end of a command.
pub(crate) async fn ended(child: Child) -> Ran {
    let output = timeout(END_TIMEOUT, child.wait_with_output()).await;
    let output = output.expect("the command does not end").unwrap();
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    Ran {
        exit: output.status.code().expect("it was killed"),
        json: serde_json::from_str(&stdout).unwrap_or_default(),
        stdout,
        stderr,
    }
}
