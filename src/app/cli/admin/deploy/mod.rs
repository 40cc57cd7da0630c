//! `counterfoil admin deploy`
//!
//! Looks before each act, so that it may be run again after any end: what is there stays.

mod accounts;
mod act;
mod report;

use std::{path::PathBuf, time::Duration};

use alloy::primitives::{Address, B256, U256};

use self::{accounts::check_not_in_use, report::Report};
use super::place::{PlaceArgs, chain_failed, key, network};
use crate::{
    app::cli::{
        outcome::{Done, Failed},
        progress::waiting,
    },
    base::AgentAddress,
    chain::{Account, Contract, Network, OwnerCall},
};

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
    if let Some(account) = &deployment.account {
        check_not_in_use(account.address(), &deployment.network, &config)?;
    }
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
}

impl Call {
    const fn missing(call: OwnerCall) -> Self {
        Self { call, made: None }
    }
}
