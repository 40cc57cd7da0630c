//! `counterfoil admin deploy`
//!
//! Looks before each act, so that it may be run again after any end: what is there stays.

mod report;

use std::{path::PathBuf, time::Duration};

use alloy::primitives::{Address, B256, Bytes, U256};
use tokio::time::sleep;

use self::report::Report;
use super::place::{PlaceArgs, chain_failed, key, network};
use crate::{
    app::cli::{
        outcome::{Done, Failed},
        progress::waiting,
    },
    base::AgentAddress,
    chain::{
        Account, CodeFound, Contract, DEPLOYMENT_PROXY, Estimate, ExecuteError, Network, OwnerCall,
    },
};

/// A node behind others may not show yet what another one has.
const CODE_LOOKS: u32 = 20;
const CODE_LOOK_EVERY: Duration = Duration::from_millis(500);
const PROXY_URL: &str = "https://github.com/Arachnid/deterministic-deployment-proxy";

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The owner and the code decide the address: the same on every chain, whoever pays the gas.\n\
    It may be run again at any time; what is there already costs nothing.\n\n\
    Examples:\n  \
    counterfoil admin deploy --config counterfoil.toml --network eip155:84532 \\\n      \
    --key-file deployer.key --owner 0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed\n  \
    counterfoil admin deploy --config counterfoil.toml --network eip155:84532 --key-file owner.key --configure"
)]
pub(super) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    /// What to deploy
    #[arg(long, value_enum, default_value = "all")]
    contract: Selection,
    /// Who may change what is deployed; the key's own address unless given
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<AgentAddress>,
    /// The file that holds the key of the account that pays the gas. Not the relayer's, whose
    /// account a running service uses
    #[arg(long, env = "COUNTERFOIL_DEPLOYER_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Also make what the configuration says true of `CreditsPurchase`, if the key is its owner's:
    /// `pay_to` is its treasury, and every asset is allowed
    #[arg(long)]
    configure: bool,
    /// Look and estimate, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// How long to wait for each transaction's block
    #[arg(long, value_name = "N", default_value_t = 300)]
    wait_seconds: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Selection {
    CreditsPurchase,
    CheckpointAnchor,
    All,
}

/// A contract, and what became of it.
struct Standing {
    contract: Contract,
    address: Address,
    state: State,
}

enum State {
    AlreadyThere,
    Deployed {
        transaction: B256,
        block: u64,
    },
    /// By a transaction of an earlier run, or of somebody else's.
    DeployedOtherwise,
    NotThere {
        gas_limit: u64,
        cost_max: U256,
    },
}

/// A call that the owner has to make, and the transaction that made it.
struct Call {
    call: OwnerCall,
    made: Option<B256>,
}

/// Who acts, and where.
struct Deployment {
    network: Network,
    account: Option<Account>,
    owner: Address,
    dry_run: bool,
    patience: Duration,
}

pub(super) async fn run(args: &Args) -> Result<Done, Failed> {
    let config = args.place.load()?;
    let deployment = Deployment::new(args, network(&config)?)?;
    let contracts = args.contract.contracts();
    for contract in contracts {
        // Before anything else: this is known whatever happens.
        eprintln!(
            "{} {:#x}",
            contract.name(),
            contract.address(deployment.owner)
        );
    }
    deployment
        .network
        .check_live()
        .await
        .map_err(|error| chain_failed(&error))?;
    let mut standings = Vec::new();
    for contract in contracts {
        let what = format!("deploying {}", contract.name());
        standings.push(waiting(&what, deployment.deploy(*contract)).await?);
    }
    let mut report = Report::new(&deployment, &config, standings);
    if contracts.contains(&Contract::CreditsPurchase) {
        let tokens: Vec<Address> = config
            .assets
            .iter()
            .map(|asset| asset.domain.asset.token)
            .collect();
        let configuring = deployment.configure(config.pay_to, &tokens, args.configure);
        let (owner, calls) = waiting("configuring", configuring).await?;
        report.owned_by(owner, calls);
    }
    Ok(report.done())
}

impl Selection {
    const fn contracts(self) -> &'static [Contract] {
        match self {
            Self::CreditsPurchase => &[Contract::CreditsPurchase],
            Self::CheckpointAnchor => &[Contract::CheckpointAnchor],
            Self::All => &Contract::ALL,
        }
    }
}

impl Deployment {
    fn new(args: &Args, network: Network) -> Result<Self, Failed> {
        let account = match &args.key_file {
            Some(path) => {
                let account = Account::new(network.clone(), &*key(path)?);
                let detail = format!("The file {} holds no private key.", path.display());
                Some(account.ok_or_else(|| Failed::usage("BAD_KEY_FILE", detail))?)
            }
            None if args.dry_run => None,
            None => {
                let detail = "Whose account pays the gas is not said.";
                return Err(Failed::usage("NO_KEY", detail).next(
                    "name the file of its key with --key-file FILE, or look with --dry-run",
                ));
            }
        };
        let owner = args.owner.map(AgentAddress::address);
        let owner = owner.or_else(|| account.as_ref().map(Account::address));
        let owner = owner.ok_or_else(|| {
            Failed::usage("NO_OWNER", "Who is to own the contracts is not said.")
                .next("name the address with --owner ADDRESS")
        })?;
        if owner.is_zero() {
            let detail = "The zero address can own nothing.";
            return Err(Failed::usage("NO_OWNER", detail));
        }
        Ok(Self {
            network,
            account,
            owner,
            dry_run: args.dry_run,
            patience: Duration::from_secs(args.wait_seconds.into()),
        })
    }

    async fn deploy(&self, contract: Contract) -> Result<Standing, Failed> {
        let address = contract.address(self.owner);
        let failed = |failed: Failed| {
            failed
                .with("contract", contract.name())
                .with("address", format!("{address:#x}"))
        };
        let state = self.deploy_at(contract, address).await.map_err(failed)?;
        Ok(Standing {
            contract,
            address,
            state,
        })
    }

    async fn deploy_at(&self, contract: Contract, address: Address) -> Result<State, Failed> {
        if self.found(contract, address).await? {
            return Ok(State::AlreadyThere);
        }
        self.check_proxy().await?;
        let from = self.account.as_ref().map_or(self.owner, Account::address);
        let data = contract.deployment(self.owner);
        let estimate = self.estimate(from, DEPLOYMENT_PROXY, data).await?;
        let Some(account) = self.account.as_ref().filter(|_| !self.dry_run) else {
            return Ok(State::NotThere {
                gas_limit: estimate.gas_limit,
                cost_max: estimate.cost_max(),
            });
        };
        let executed = account.execute(&estimate, self.patience).await;
        // Whatever became of the transaction: what stands there now is what counts.
        let there = match &executed {
            Ok(_) => self.appears(contract, address).await?,
            Err(_) => self.found(contract, address).await?,
        };
        match executed {
            Ok(executed) if there => Ok(State::Deployed {
                transaction: executed.transaction,
                block: executed.block,
            }),
            Ok(executed) => {
                let detail = format!(
                    "The transaction {} succeeded, and yet no node shows the contract.",
                    executed.transaction
                );
                Err(Failed::refused("NOT_DEPLOYED", detail).next(AGAIN))
            }
            Err(_) if there => Ok(State::DeployedOtherwise),
            Err(error) => Err(execution_failed(&error)),
        }
    }

    /// Whether the contract is there. Other code in its place is refused.
    async fn found(&self, contract: Contract, address: Address) -> Result<bool, Failed> {
        let found = self.network.contract_found(contract, self.owner).await;
        match found.map_err(|error| chain_failed(&error))? {
            CodeFound::Expected => Ok(true),
            CodeFound::Nothing => Ok(false),
            CodeFound::Other => {
                let name = contract.name();
                let detail = format!("At {address:#x} stands other code than that of {name}.");
                Err(Failed::refused("OTHER_CODE", detail)
                    .next("trust nothing at this address, and ask whoever runs the node how it came there"))
            }
        }
    }

    async fn appears(&self, contract: Contract, address: Address) -> Result<bool, Failed> {
        for _ in 0..CODE_LOOKS {
            if self.found(contract, address).await? {
                return Ok(true);
            }
            sleep(CODE_LOOK_EVERY).await;
        }
        Ok(false)
    }

    async fn check_proxy(&self) -> Result<(), Failed> {
        let found = self.network.deployment_proxy_found().await;
        let detail = match found.map_err(|error| chain_failed(&error))? {
            CodeFound::Expected => return Ok(()),
            CodeFound::Nothing => format!(
                "{} has no deterministic deployment proxy at {DEPLOYMENT_PROXY}, which gives a contract the same address on every chain.",
                self.network.id()
            ),
            CodeFound::Other => format!(
                "What stands at {DEPLOYMENT_PROXY} on {} is not the deterministic deployment proxy.",
                self.network.id()
            ),
        };
        let next = format!("deploy it with its one presigned transaction, as {PROXY_URL} says");
        Err(Failed::refused("NO_DEPLOYMENT_PROXY", detail).next(next))
    }

    /// Who owns `CreditsPurchase` today, and what there is to set; what can be set and shall be, is.
    async fn configure(
        &self,
        treasury: Address,
        tokens: &[Address],
        act: bool,
    ) -> Result<(Address, Vec<Call>), Failed> {
        let contract = Contract::CreditsPurchase;
        if !self.found(contract, contract.address(self.owner)).await? {
            let calls = OwnerCall::all(self.owner, treasury, tokens);
            return Ok((self.owner, calls.into_iter().map(Call::missing).collect()));
        }
        let ownership = self.network.ownership(self.owner, treasury, tokens).await;
        let ownership = ownership.map_err(|error| chain_failed(&error))?;
        let owner = ownership.owner;
        let account = self.account.as_ref();
        let account = account.filter(|it| act && !self.dry_run && it.address() == owner);
        let mut calls = Vec::new();
        for call in ownership.missing {
            let made = match account {
                Some(account) => Some(self.call(account, &call).await?),
                None => None,
            };
            calls.push(Call { call, made });
        }
        Ok((owner, calls))
    }

    async fn call(&self, account: &Account, call: &OwnerCall) -> Result<B256, Failed> {
        let from = account.address();
        let estimate = self.estimate(from, call.contract, call.data.clone()).await;
        let estimate = estimate.map_err(|failed| failed.with("call", call.text.clone()))?;
        let executed = account.execute(&estimate, self.patience).await;
        let executed = executed.map_err(|error| execution_failed(&error))?;
        Ok(executed.transaction)
    }

    async fn estimate(&self, from: Address, to: Address, data: Bytes) -> Result<Estimate, Failed> {
        let estimate = self.network.estimate(from, to, data).await;
        estimate.map_err(|error| execution_failed(&error))
    }
}

impl Call {
    const fn missing(call: OwnerCall) -> Self {
        Self { call, made: None }
    }
}

const AGAIN: &str = "run the same command again: it looks first, and sends nothing twice";

fn execution_failed(error: &ExecuteError) -> Failed {
    let detail = error.to_string();
    match error {
        ExecuteError::Chain(error) => chain_failed(error),
        ExecuteError::Short {
            account, needed, ..
        } => Failed::refused("NO_GAS", detail)
            .next(format!("send {needed} wei or more to {account:#x}")),
        ExecuteError::Unsettled { transaction, .. } => {
            Failed::unreachable("OUTCOME_UNKNOWN", detail)
                .with("transaction", transaction.to_string())
                .next(AGAIN)
        }
        ExecuteError::Superseded { .. } => Failed::refused("SUPERSEDED", detail).next(AGAIN),
        ExecuteError::Failed { transaction } => Failed::refused("TRANSACTION_FAILED", detail)
            .with("transaction", transaction.to_string())
            .next(AGAIN),
        ExecuteError::Reverts(_) => Failed::refused("WOULD_FAIL", detail),
        ExecuteError::TooMuchGas { .. } => Failed::refused("TOO_MUCH_GAS", detail),
        ExecuteError::Refused { .. } => Failed::refused("TRANSACTION_REFUSED", detail),
    }
}
