//! The configuration of the demo's service, as an operator would write it.

use std::{fs, io, net::SocketAddr, path::Path};

use alloy::primitives::Address;
use serde_json::Value;

use crate::chain::devnet::Devnet;

/// What the configuration has to name.
pub(super) struct Settings<'a> {
    pub(super) listen: SocketAddr,
    pub(super) devnet: &'a Devnet,
    pub(super) pay_to: Address,
    pub(super) relayer_key_file: &'a Path,
    pub(super) tool: SocketAddr,
}

impl Settings<'_> {
    /// Writes `counterfoil.toml` into a directory, in which the service keeps everything.
    pub(super) fn write(&self, directory: &Path) -> io::Result<std::path::PathBuf> {
        let path = directory.join("counterfoil.toml");
        fs::write(&path, self.text(directory))?;
        Ok(path)
    }

    fn text(&self, directory: &Path) -> String {
        let database = format!("sqlite://{}", directory.join("counterfoil.db").display());
        let usdc = self.devnet.usdc();
        format!(
            r#"# Written by `counterfoil demo`. Copy it to begin a configuration of your own.

[server]
listen = "{listen}"
public_url = "http://{listen}"
shutdown_seconds = 5

[database]
url = {database}

[keys]
directory = {keys}

[purchase]
settle_wait_seconds = 10

[[network]]
id = "{network}"
rpc_url = "{rpc_url}"
confirmations = 1
pay_to = "{pay_to:#x}"
relayer_key_file = {relayer_key_file}

[[network.asset]]
address = "{token:#x}"
symbol = "{symbol}"
decimals = {decimals}
eip712_name = "{name}"
eip712_version = "{version}"

[[tool]]
slug = "weather"
name = "Weather"
description = "Forecasts, and a way to see a tool fail"
base_url = "http://{tool}"

[[tool.action]]
slug = "forecast"
description = "The weather of two days at a place"
path = "/forecast"
price_credits = "5"
parameters = {{ type = "object", properties = {{ place = {{ type = "string", minLength = 1, maxLength = 100 }} }}, required = ["place"], additionalProperties = false }}

[[tool.action]]
slug = "fail"
description = "Fails always, so it is never charged"
path = "/fail"
price_credits = "5"
"#,
            listen = self.listen,
            database = quoted(&database),
            keys = quoted(&directory.join("keys").display().to_string()),
            network = self.devnet.network_id(),
            rpc_url = self.devnet.rpc_url(),
            pay_to = self.pay_to,
            relayer_key_file = quoted(&self.relayer_key_file.display().to_string()),
            token = usdc.token,
            symbol = usdc.symbol,
            decimals = usdc.decimals,
            name = usdc.eip712_name,
            version = usdc.eip712_version,
            tool = self.tool,
        )
    }
}

/// A JSON string is a basic string of TOML.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
