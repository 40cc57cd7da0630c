//! What a deployment has to show.

use std::fmt::Write as _;

use alloy::primitives::Address;
use serde_json::{Value, json};

use super::{Account, Call, Deployment, Standing, State};
use crate::{
    app::{
        cli::outcome::{Done, rows},
        config,
    },
    base::NetworkId,
    chain::Contract,
};

/// What became of it all.
pub(super) struct Report {
    network: NetworkId,
    owner: Address,
    deployer: Option<Address>,
    dry_run: bool,
    standings: Vec<Standing>,
    /// What the configuration says of each standing.
    configured: Vec<Option<Address>>,
    /// The owner of `CreditsPurchase` today.
    owner_now: Address,
    calls: Vec<Call>,
}

impl Report {
    pub(super) fn new(
        deployment: &Deployment,
        config: &config::Network,
        standings: Vec<Standing>,
    ) -> Self {
        let configured = standings.iter().map(|standing| match standing.contract {
            Contract::CreditsPurchase => config.purchase_contract,
            Contract::CheckpointAnchor => config.anchor_contract,
        });
        Self {
            network: deployment.network.id(),
            owner: deployment.owner,
            deployer: deployment.account.as_ref().map(Account::address),
            dry_run: deployment.dry_run,
            configured: configured.collect(),
            standings,
            owner_now: deployment.owner,
            calls: Vec::new(),
        }
    }

    pub(super) fn owned_by(&mut self, owner: Address, calls: Vec<Call>) {
        self.owner_now = owner;
        self.calls = calls;
    }

    pub(super) fn done(&self) -> Done {
        Done {
            json: self.json().to_string(),
            human: self.human(),
        }
    }

    fn json(&self) -> Value {
        let contracts: Vec<Value> = self.standings.iter().map(standing_json).collect();
        let calls: Vec<Value> = self.calls.iter().map(call_json).collect();
        let settings = self.standings.iter().map(|standing| {
            let value = json!(format!("{:#x}", standing.address));
            (setting(standing.contract).to_owned(), value)
        });
        json!({
            "network": self.network.to_string(),
            "owner": format!("{:#x}", self.owner),
            "deployer": self.deployer.map(|address| format!("{address:#x}")),
            "dry_run": self.dry_run,
            "contracts": contracts,
            "owner_calls": calls,
            "configuration": settings.collect::<serde_json::Map<_, _>>(),
        })
    }

    fn human(&self) -> String {
        let mut table = vec![
            ("network", self.network.to_string()),
            ("owner", format!("{:#x}", self.owner)),
        ];
        for standing in &self.standings {
            table.push((standing.contract.name(), standing.told()));
        }
        for call in &self.calls {
            if let Some(transaction) = call.made {
                table.push(("made", format!("{} in {transaction}", call.call.text)));
            }
        }
        let mut text = rows(&table);
        text.push_str(&self.settings_told());
        text.push_str(&self.missing_told());
        text
    }

    /// What is not in the configuration yet.
    fn settings_told(&self) -> String {
        let mut text = String::new();
        for (standing, configured) in self.standings.iter().zip(&self.configured) {
            let address = standing.address;
            if *configured == Some(address) {
                continue;
            }
            if text.is_empty() {
                let network = self.network;
                let _ = write!(
                    text,
                    "\n\nTo put into the [[network]] {network} of the configuration, before the service is started again:"
                );
            }
            let name = setting(standing.contract);
            let _ = write!(text, "\n  {name} = \"{address:#x}\"");
        }
        text
    }

    fn missing_told(&self) -> String {
        let mut text = String::new();
        let missing = self.calls.iter().filter(|call| call.made.is_none());
        for (index, Call { call, .. }) in missing.enumerate() {
            if index == 0 {
                let owner = self.owner_now;
                let _ = write!(
                    text,
                    "\n\nNo purchase works before the owner {owner:#x} has called, on {:#x}:",
                    call.contract
                );
            }
            let _ = write!(text, "\n  {}\n    data {}", call.text, call.data);
        }
        text
    }
}

impl Standing {
    fn told(&self) -> String {
        let address = self.address;
        match &self.state {
            State::AlreadyThere => format!("{address:#x}, already there"),
            State::Deployed { transaction, block } => {
                format!("{address:#x}, deployed in block {block} by {transaction}")
            }
            State::DeployedOtherwise => {
                format!("{address:#x}, deployed meanwhile by another transaction")
            }
            State::NotThere {
                gas_limit,
                cost_max,
            } => {
                format!("{address:#x}, not there yet: {gas_limit} gas, {cost_max} wei at most")
            }
        }
    }
}

/// The key of a network's table that names the contract.
const fn setting(contract: Contract) -> &'static str {
    match contract {
        Contract::CreditsPurchase => "purchase_contract",
        Contract::CheckpointAnchor => "anchor_contract",
    }
}

fn standing_json(standing: &Standing) -> Value {
    let mut json = json!({
        "name": standing.contract.name(),
        "address": format!("{:#x}", standing.address),
    });
    let more = match &standing.state {
        State::AlreadyThere => json!({ "status": "already_there" }),
        State::DeployedOtherwise => json!({ "status": "deployed", "transaction": null }),
        State::Deployed { transaction, block } => json!({
            "status": "deployed",
            "transaction": transaction.to_string(),
            "block": block,
        }),
        State::NotThere {
            gas_limit,
            cost_max,
        } => json!({
            "status": "not_there",
            "gas_limit": gas_limit,
            "cost_max_wei": cost_max.to_string(),
        }),
    };
    if let (Value::Object(json), Value::Object(more)) = (&mut json, more) {
        json.extend(more);
    }
    json
}

fn call_json(Call { call, made }: &Call) -> Value {
    json!({
        "to": format!("{:#x}", call.contract),
        "call": call.text,
        "data": call.data.to_string(),
        "status": if made.is_some() { "made" } else { "missing" },
        "transaction": made.map(|transaction| transaction.to_string()),
    })
}
