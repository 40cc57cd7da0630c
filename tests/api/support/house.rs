//! The real binary with a configuration, books and keys of its own.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use alloy::{
    primitives::{Address, U256},
    signers::local::PrivateKeySigner,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, copy, sink},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

use super::{Books, Chain, Tools, books, random, until};

const START_TIMEOUT: Duration = Duration::from_secs(30);
/// What a test that failed shows of the log.
const LOG_TAIL_BYTES: usize = 65_536;
const END_TIMEOUT: Duration = Duration::from_secs(30);

/// What a house is made of, unless it is the usual.
#[derive(Default)]
pub(crate) struct Setup {
    chain: Option<Arc<Chain>>,
    edits: Vec<(String, String)>,
}

impl Setup {
    /// A node of its own.
    pub(crate) fn on(chain: Arc<Chain>) -> Self {
        Self {
            chain: Some(chain),
            edits: Vec::new(),
        }
    }

    /// Writes `to` where the usual configuration has `from`, once.
    pub(crate) fn with(mut self, from: &str, to: &str) -> Self {
        self.edits.push((from.to_owned(), to.to_owned()));
        self
    }
}

/// A service that runs, with its tools and its node.
pub(crate) struct House {
    pub(crate) chain: Arc<Chain>,
    pub(crate) tools: Tools,
    pub(crate) http: reqwest::Client,
    /// Where this house is paid, and no other.
    pub(crate) pay_to: Address,
    directory: TempDir,
    address: String,
    process: Option<Child>,
    environment: Vec<(String, String)>,
}

impl House {
    /// A house as usual.
    pub(crate) async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let mut house = Self::prepare(setup).await;
        house.start().await;
        house
    }

    /// A house whose service does not run yet.
    pub(crate) async fn prepare(setup: Setup) -> Self {
        let chain = match setup.chain {
            Some(chain) => chain,
            None => Chain::shared().await,
        };
        let directory = tempfile::tempdir().unwrap();
        let relayer = random();
        let relayer_address = PrivateKeySigner::from_slice(&relayer).unwrap().address();
        chain.fund_gas(relayer_address).await.unwrap();
        write_secret(&directory.path().join("relayer.key"), &hex::encode(relayer));
        let pay_to = Address::from_slice(&random()[..20]);
        let tools = Tools::start().await;
        let house = Self {
            chain,
            tools,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            pay_to,
            directory,
            address: String::new(),
            process: None,
            environment: Vec::new(),
        };
        fs::write(house.config_path(), house.usual_config()).unwrap();
        for (from, to) in setup.edits {
            house.configure(&from, &to);
        }
        house
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.path("counterfoil.toml")
    }

    /// Changes the configuration file: `from`, which is there once, becomes `to`.
    #[track_caller]
    pub(crate) fn configure(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.config_path()).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} in:\n{text}");
        fs::write(self.config_path(), text.replace(from, to)).unwrap();
    }

    /// Sets a variable for the starts to come.
    pub(crate) fn environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_counterfoil"));
        command
            .arg("serve")
            .arg("--config")
            .arg(self.config_path())
            .current_dir(self.directory.path())
            .env("RUST_LOG", "info,sqlx=warn")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(self.log())
            .kill_on_drop(true);
        command
    }

    fn log_path(&self) -> PathBuf {
        self.path("stderr.log")
    }

    fn log(&self) -> File {
        let mut options = File::options();
        options.create(true).append(true);
        options.open(self.log_path()).unwrap()
    }

    /// Everything that the service ever wrote to standard error.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Starts the service and waits until it takes requests.
    pub(crate) async fn start(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let mut child = self.command().spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(START_TIMEOUT, lines.next_line()).await;
        let line = line.expect("it does not start").unwrap();
        let address = line
            .as_deref()
            .and_then(|line| line.strip_prefix("listening on "));
        let Some(address) = address else {
            panic!("it printed {line:?}\n{}", self.stderr());
        };
        address.clone_into(&mut self.address);
        tokio::spawn(async move { copy(&mut lines.into_inner(), &mut sink()).await });
        self.process = Some(child);
    }

    /// Starts a service that is to refuse: its exit status, and what it said.
    pub(crate) async fn refused(&self) -> (ExitStatus, String) {
        let before = self.stderr().len();
        let mut child = self.command().spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(START_TIMEOUT, lines.next_line()).await;
        let line = line.expect("it neither starts nor refuses").unwrap();
        assert_eq!(line, None, "it started");
        let status = child.wait().await.unwrap();
        (status, self.stderr().split_off(before))
    }

    /// Gives the house another relayer, with gas and a key in a file of that name.
    pub(crate) async fn add_relayer(&self, file: &str) -> Address {
        let key = random();
        let address = PrivateKeySigner::from_slice(&key).unwrap().address();
        self.chain.fund_gas(address).await.unwrap();
        write_secret(&self.path(file), &hex::encode(key));
        address
    }

    /// Ends the service as an operator would, and waits for its end.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal("-TERM").await;
        self.ended().await
    }

    /// Waits until the service has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.process.take().expect("it does not run");
        let status = timeout(END_TIMEOUT, child.wait()).await;
        status.expect("it does not end").unwrap()
    }

    /// Waits until the service takes no more connections.
    pub(crate) async fn refuses_connections(&self) {
        until("it still listens", async || {
            TcpStream::connect(self.address()).await.is_err()
        })
        .await;
    }

    /// Waits until so many request ids are taken.
    pub(crate) async fn until_requests(&self, count: i64) {
        until("requests are not swept", async || {
            self.books().await.requests == count
        })
        .await;
    }

    /// Sends the signal and does not wait.
    pub(crate) async fn signal(&self, signal: &str) {
        let id = self.process.as_ref().and_then(Child::id);
        let id = id.expect("it does not run").to_string();
        let sent = Command::new("kill").arg(signal).arg(id).status().await;
        assert!(sent.unwrap().success());
    }

    /// Ends the service as a power cut would.
    pub(crate) async fn kill_9(&mut self) {
        let mut child = self.process.take().expect("it does not run");
        child.kill().await.unwrap();
    }

    /// Starts the service and ends it as a power cut would, while it starts or soon after.
    pub(crate) async fn start_and_kill(&mut self, after: Duration) {
        assert!(self.process.is_none(), "it runs already");
        let mut child = self.command().spawn().unwrap();
        tokio::time::sleep(after).await;
        child.kill().await.unwrap();
    }

    /// Ends the service in order, and starts it again.
    pub(crate) async fn restart(&mut self) {
        let status = self.terminate().await;
        assert!(status.success(), "{status}\n{}", self.stderr());
        self.start().await;
    }

    /// The books, checked.
    pub(crate) async fn books(&self) -> Books {
        books::read(&self.path("books.db")).await
    }

    /// What arrived at this house's `pay_to`, in base units.
    pub(crate) async fn received(&self) -> U256 {
        self.chain.balance_of(self.pay_to).await.unwrap()
    }

    #[expect(clippy::too_many_lines, reason = "one configuration")]
    fn usual_config(&self) -> String {
        let Tools {
            url,
            breaking_url,
            closed_url,
            ..
        } = &self.tools;
        let directory = self.directory.path().display();
        let (rpc_url, pay_to) = (self.chain.rpc_url(), self.pay_to);
        format!(
            r#"
[server]
listen = "127.0.0.1:0"
public_url = "http://counterfoil.test"

[database]
url = "sqlite://{directory}/books.db"

[keys]
directory = "{directory}/keys"

[session]
lifetime_seconds = 900
replay_seconds = 86_400

[purchase]
settle_wait_seconds = 20

[limits]
response_bytes_max = 65_536
failed_signatures_per_minute = 300

[[network]]
id = "eip155:84532"
rpc_url = "{rpc_url}"
confirmations = 1
pay_to = "{pay_to:#x}"
facilitator = "local"
relayer_key_file = "{directory}/relayer.key"

[[network.asset]]
address = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
symbol = "USDC"
decimals = 6
eip712_name = "USDC"
eip712_version = "2"

[[tool]]
slug = "weather"
name = "Weather"
description = "Forecasts"
base_url = "{url}"

[[tool.action]]
slug = "forecast"
description = "Forecast for a place"
path = "/forecast"
price_credits = "5"
parameters = {{ type = "object", properties = {{ place = {{ type = "string" }} }}, required = ["place"] }}

[[tool]]
slug = "echo"
base_url = "internal://echo"

[[tool.action]]
slug = "say"
price_credits = "0.0001"

[[tool.action]]
slug = "shout"
price_credits = "2.5"
x402 = false

[[tool]]
slug = "trouble"
base_url = "{url}"

[[tool.action]]
slug = "fail"
path = "/fail"
price_credits = "3"

[[tool.action]]
slug = "stall"
path = "/stall"
price_credits = "3"
timeout_ms = 300

[[tool.action]]
slug = "gate"
path = "/gate"
price_credits = "3"

[[tool.action]]
slug = "huge"
path = "/huge"
price_credits = "3"

[[tool.action]]
slug = "redirect"
path = "/redirect"
price_credits = "3"

[[tool.action]]
slug = "missing"
path = "/missing"
price_credits = "3"

[[tool]]
slug = "breaking"
base_url = "{breaking_url}"

[[tool.action]]
slug = "off"
price_credits = "3"

[[tool]]
slug = "closed"
base_url = "{closed_url}"

[[tool.action]]
slug = "door"
price_credits = "3"
"#
        )
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let log = self.stderr();
        if std::thread::panicking() {
            let start = log.ceil_char_boundary(log.len().saturating_sub(LOG_TAIL_BYTES));
            eprintln!("--- the service's log, its end:\n{}---", &log[start..]);
        } else {
            assert!(!log.contains("panicked at"), "the service panicked:\n{log}");
        }
    }
}

pub(crate) fn write_secret(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;

    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
