//! An account of an operator's own: one transaction at a time, waited for.
//!
//! Nothing is stored. Every try takes the account nonce after the newest block, so of all that was
//! sent for it, in this run or in one that was killed, the chain takes one.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use serde_json::json;
use thiserror::Error;
use tokio::time::{Instant, sleep};

use super::{
    Broadcast, ChainError, Fees, Network, NonceUse, Rejection, Relayer, SignedTransaction,
    settlement::Call, token::revert_reason,
};

/// What one transaction may take at most (EIP-7825).
const GAS_MAX: u64 = 1 << 24;
const FIRST_LOOK_AFTER: Duration = Duration::from_millis(100);
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(2);
/// What is not mined for so long is signed again, if others offer more.
const STUCK_FOR: Duration = Duration::from_secs(30);
const REPLACEMENTS_MAX: usize = 64;

/// An account whose key is at hand.
pub struct Account {
    network: Network,
    signer: Relayer,
}

/// A call that would succeed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    pub to: Address,
    pub data: Bytes,
    /// A margin included.
    pub gas_limit: u64,
    pub fees: Fees,
}

impl Estimate {
    /// The most that it can cost, in wei.
    #[must_use]
    pub fn cost_max(&self) -> U256 {
        U256::from(self.fees.max_fee_per_gas) * U256::from(self.gas_limit)
    }
}

/// A transaction that is in a block and succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executed {
    pub transaction: B256,
    pub block: u64,
}

/// Why a call was not made, or is not known to be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExecuteError {
    /// Nothing was sent.
    #[error("The call would fail: {0}.")]
    Reverts(String),
    /// Nothing was sent.
    #[error("The call would take {gas} gas; a transaction may take {GAS_MAX}.")]
    TooMuchGas { gas: u64 },
    /// Nothing was sent.
    #[error("The account {account:#x} holds {balance} wei and needs {needed} wei: send it gas.")]
    Short {
        account: Address,
        balance: U256,
        needed: U256,
    },
    #[error("The transaction is refused: {reason}.")]
    Refused { reason: String },
    /// It is in a block and has cost its gas.
    #[error("The transaction {transaction} failed.")]
    Failed { transaction: B256 },
    /// An earlier run's, or one that somebody else signed with the key.
    #[error("Another transaction of {account:#x} took the place of this one.")]
    Superseded { account: Address },
    #[error(
        "No block had taken the transaction {transaction} after {seconds} s; it may still be mined."
    )]
    Unsettled { transaction: B256, seconds: u64 },
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// What was signed for one account nonce.
struct Attempt<'a> {
    estimate: &'a Estimate,
    account_nonce: u64,
    fees: Fees,
    newest: SignedTransaction,
    hashes: Vec<B256>,
    signed_at: Instant,
}

impl Network {
    /// Tries a call of `from` against the newest block without sending it.
    ///
    /// # Errors
    /// When it would fail or take too much gas, gas costs more than the operator allows, or no node
    /// answers.
    pub async fn estimate(
        &self,
        from: Address,
        to: Address,
        data: Bytes,
    ) -> Result<Estimate, ExecuteError> {
        let transaction = &json!({ "from": from, "to": to, "data": data });
        let estimated = self.on_one_node(|node| async move {
            let params = (transaction, "latest");
            match node.rpc.call::<U64, _>("eth_estimateGas", params).await {
                Ok(gas) => Ok(Ok(gas.to::<u64>())),
                Err(ChainError::Rpc(refusal)) => match revert_reason(&refusal) {
                    Some(reason) => Ok(Err(ExecuteError::Reverts(reason))),
                    None => Err(ChainError::Rpc(refusal)),
                },
                Err(error) => Err(error),
            }
        });
        let gas = estimated.await??;
        let gas_limit = gas.saturating_add(gas / 8);
        if gas_limit > GAS_MAX {
            return Err(ExecuteError::TooMuchGas { gas: gas_limit });
        }
        let fees = self.gas_price().await?.fees;
        Ok(Estimate {
            to,
            data,
            gas_limit,
            fees,
        })
    }
}

impl Account {
    /// `None` when the bytes are no private key.
    #[must_use]
    pub fn new(network: Network, key: &[u8; 32]) -> Option<Self> {
        let signer = Relayer::new(key, network.id(), network.max_fee_per_gas())?;
        Some(Self { network, signer })
    }

    #[must_use]
    pub fn address(&self) -> Address {
        self.signer.address()
    }

    /// Signs and sends a call, at rising fees if need be, until a block has it or `patience` ends.
    ///
    /// # Errors
    /// See [`ExecuteError`]. After [`ExecuteError::Unsettled`] and [`ExecuteError::Superseded`] what
    /// the call should have brought about may be there or come yet.
    pub async fn execute(
        &self,
        estimate: &Estimate,
        patience: Duration,
    ) -> Result<Executed, ExecuteError> {
        self.check_balance(estimate).await?;
        let account_nonce = self.network.next_nonce(self.address()).await?;
        let mut attempt = self.attempt(estimate, account_nonce);
        let deadline = Instant::now() + patience;
        let mut pause = FIRST_LOOK_AFTER;
        loop {
            self.send(&mut attempt).await?;
            match self.look(&attempt).await {
                Ok(Some(executed)) => return Ok(executed),
                Ok(None) => {}
                // It was sent: only the chain can say what became of it.
                Err(ExecuteError::Chain(error)) => tracing::debug!(%error, "asked in vain"),
                Err(error) => return Err(error),
            }
            if Instant::now() >= deadline {
                return Err(ExecuteError::Unsettled {
                    transaction: attempt.newest.hash,
                    seconds: patience.as_secs(),
                });
            }
            sleep(pause).await;
            pause = (pause * 2).min(LOOK_AT_LEAST_EVERY);
        }
    }

    async fn check_balance(&self, estimate: &Estimate) -> Result<(), ExecuteError> {
        let account = self.address();
        let balance = self
            .network
            .on_one_node(|node| async move { node.gas_balance(account).await })
            .await?;
        let needed = estimate.cost_max();
        if balance < needed {
            return Err(ExecuteError::Short {
                account,
                balance,
                needed,
            });
        }
        Ok(())
    }

    fn attempt<'a>(&self, estimate: &'a Estimate, account_nonce: u64) -> Attempt<'a> {
        let newest = self.sign(estimate, account_nonce, estimate.fees);
        Attempt {
            estimate,
            account_nonce,
            fees: estimate.fees,
            hashes: vec![newest.hash],
            newest,
            signed_at: Instant::now(),
        }
    }

    fn sign(&self, estimate: &Estimate, nonce: u64, fees: Fees) -> SignedTransaction {
        let call = Call {
            to: estimate.to,
            data: estimate.data.clone(),
            gas_max: GAS_MAX,
        };
        self.signer
            .sign_call(&call, nonce, fees, estimate.gas_limit)
    }

    /// Sends what was signed, and signs it again when its fees are too low. What a node answers
    /// otherwise proves nothing.
    async fn send(&self, attempt: &mut Attempt<'_>) -> Result<(), ExecuteError> {
        match self.network.broadcast(&attempt.newest.raw).await {
            Broadcast::Rejected { cause, reason } => match cause {
                Rejection::Fees => self.raise(attempt, &reason).await,
                Rejection::Funds | Rejection::Invalid if attempt.hashes.len() == 1 => {
                    Err(ExecuteError::Refused { reason })
                }
                Rejection::Funds | Rejection::Invalid => Ok(()),
            },
            Broadcast::Accepted | Broadcast::AlreadyKnown
                if attempt.signed_at.elapsed() >= STUCK_FOR =>
            {
                attempt.signed_at = Instant::now();
                match self.network.gas_price().await {
                    Ok(price) if price.outbids(attempt.fees) => {
                        self.raise(attempt, "others offer more").await
                    }
                    _ => Ok(()),
                }
            }
            Broadcast::Accepted
            | Broadcast::AlreadyKnown
            | Broadcast::NonceTooLow
            | Broadcast::Unknown { .. } => Ok(()),
        }
    }

    /// The same call with the same account nonce, at fees that take the place of the former.
    async fn raise(&self, attempt: &mut Attempt<'_>, reason: &str) -> Result<(), ExecuteError> {
        let cap = self.network.max_fee_per_gas();
        let wanted = match self.network.gas_price().await {
            Ok(price) => price.fees,
            Err(_) => attempt.fees,
        };
        let raised = wanted.replacing(attempt.fees, cap);
        let Some(fees) = raised.filter(|_| attempt.hashes.len() <= REPLACEMENTS_MAX) else {
            tracing::debug!(reason, "no more is offered");
            return Ok(());
        };
        attempt.fees = fees;
        attempt.newest = self.sign(attempt.estimate, attempt.account_nonce, fees);
        attempt.hashes.push(attempt.newest.hash);
        attempt.signed_at = Instant::now();
        Ok(())
    }

    /// Whether a block has one of the transactions.
    async fn look(&self, attempt: &Attempt<'_>) -> Result<Option<Executed>, ExecuteError> {
        let account = self.address();
        let used = self
            .network
            .nonce_use(account, attempt.account_nonce, &attempt.hashes)
            .await?;
        if matches!(used, NonceUse::Unused { .. }) {
            return Ok(None);
        }
        for transaction in attempt.hashes.iter().copied() {
            let Some(included) = self.network.transaction_included(transaction).await? else {
                continue;
            };
            if !included.succeeded {
                return Err(ExecuteError::Failed { transaction });
            }
            return Ok(Some(Executed {
                transaction,
                block: included.inclusion.block,
            }));
        }
        Err(ExecuteError::Superseded { account })
    }
}
