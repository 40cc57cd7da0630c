//! The acts of a deployment: each looks first, and looks again after.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes};
use tokio::time::sleep;

use super::{Call, Deployment, Standing, State};
use crate::{
    app::cli::{admin::place::chain_failed, outcome::Failed},
    chain::{Account, CodeFound, Contract, DEPLOYMENT_PROXY, Estimate, ExecuteError, OwnerCall},
};

/// A node behind others may not show yet what another one has.
const CODE_LOOKS: u32 = 20;
const CODE_LOOK_EVERY: Duration = Duration::from_millis(500);
const PROXY_URL: &str = "https://github.com/Arachnid/deterministic-deployment-proxy";

impl Deployment {
    pub(super) async fn deploy(&self, contract: Contract) -> Result<Standing, Failed> {
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
    pub(super) async fn configure(
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
