//! The process of a local node.

use std::{process::Stdio, time::Duration};

use reqwest::Url;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, copy, sink},
    process::{Child, ChildStderr, ChildStdout, Command},
    time::timeout,
};

use super::{DevnetError, DevnetOptions};

const START_TIMEOUT: Duration = Duration::from_secs(20);
const COMPLAINT_BYTES_MAX: u64 = 500;
const LISTENING: &str = "Listening on ";

/// A node's process. Killed when dropped.
pub(super) struct Process(Child);

impl Process {
    pub(super) async fn start(options: &DevnetOptions) -> Result<(Self, Url), DevnetError> {
        let mut child = Command::new(&options.anvil)
            .args(["--host", "127.0.0.1"])
            .args(["--port", &options.port.unwrap_or(0).to_string()])
            .args(["--chain-id", &options.chain_id.to_string()])
            // The keys of its accounts are public; there is no need to print them.
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            // Ctrl-C in a terminal is for the program that started the node.
            .process_group(0)
            .spawn()
            .map_err(|error| DevnetError::Start(error.to_string()))?;
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            return Err(DevnetError::Start("it has no output".into()));
        };
        let address = timeout(START_TIMEOUT, read_address(stdout, stderr))
            .await
            .map_err(|_| DevnetError::Start("it did not listen in time".into()))??;
        let url = format!("http://{address}/")
            .parse()
            .map_err(|_| DevnetError::Start(format!("it listens on {address}")))?;
        Ok((Self(child), url))
    }

    pub(super) async fn stop(mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.0.kill().await;
    }

    pub(super) fn id(&self) -> Option<u32> {
        self.0.id()
    }
}

/// Reads up to the line that names the address, and drains the rest: a node whose output nobody
/// reads comes to a stop.
async fn read_address(stdout: ChildStdout, stderr: ChildStderr) -> Result<String, DevnetError> {
    let mut lines = BufReader::new(stdout).lines();
    loop {
        let line = lines.next_line().await;
        let Ok(Some(line)) = line else {
            return Err(DevnetError::Start(complaint(stderr).await));
        };
        if let Some(address) = line.strip_prefix(LISTENING) {
            let address = address.trim().to_owned();
            tokio::spawn(async move {
                let mut rest = lines.into_inner();
                let _ = copy(&mut rest, &mut sink()).await;
            });
            tokio::spawn(async move {
                let mut stderr = stderr;
                let _ = copy(&mut stderr, &mut sink()).await;
            });
            return Ok(address);
        }
    }
}

async fn complaint(stderr: ChildStderr) -> String {
    let mut text = Vec::new();
    let _ = stderr
        .take(COMPLAINT_BYTES_MAX)
        .read_to_end(&mut text)
        .await;
    String::from_utf8_lossy(&text).trim().to_owned()
}
