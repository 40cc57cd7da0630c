//! Refunds on the chain: the transfer out of the float, and what became of it.

use alloy::{
    primitives::{Address, B256, U256},
    sol_types::{SolCall, SolEvent},
};
use serde_json::json;

use super::{
    ChainError, Network, SimulationError,
    bindings::Token,
    facts::{SEARCH_MARGIN_BLOCKS, inclusion},
    node::{Horizon, Log, Node, Receipt},
    settlement::Call,
};
use crate::payment::RefundFact;

/// The most gas that a refund may take. A token's own code runs in it, and nobody else's.
const REFUND_GAS_MAX: u64 = 200_000;

/// What the transfer takes more when the payer's account is empty by then: writing to storage that is
/// zero (EIP-2200, EIP-2929).
const EMPTY_ACCOUNT_GAS: u64 = 25_000;

/// A transfer of the float's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefundTransfer {
    pub token: Address,
    pub float: Address,
    pub payer: Address,
    /// Base units of the token.
    pub amount: U256,
}

impl RefundTransfer {
    /// The call that makes it, for the float to sign.
    #[must_use]
    pub fn call(&self) -> Call {
        let call = Token::transferCall {
            to: self.payer,
            value: self.amount,
        };
        Call {
            to: self.token,
            data: call.abi_encode().into(),
            gas_max: REFUND_GAS_MAX,
        }
    }

    fn is_in(&self, log: &Log) -> bool {
        self.is_of_float(log)
            && log.topics.get(2) == Some(&self.payer.into_word())
            && log.data.as_ref() == self.amount.to_be_bytes::<32>()
    }

    fn is_of_float(&self, log: &Log) -> bool {
        log.address == self.token
            && log.topics.len() == 3
            && log.topics.first() == Some(&Token::Transfer::SIGNATURE_HASH)
            && log.topics.get(1) == Some(&self.float.into_word())
    }
}

impl Network {
    /// Tries a refund against the newest block without sending it. Answers the gas limit to sign it with:
    /// enough also if the payer empties its account before it is mined.
    ///
    /// # Errors
    /// When the token would refuse it, it would take too much gas, or no node answers.
    pub async fn simulate_refund(&self, transfer: &RefundTransfer) -> Result<u64, SimulationError> {
        let gas = self.simulate(transfer.float, &transfer.call()).await?;
        Ok(gas.saturating_add(EMPTY_ACCOUNT_GAS).min(REFUND_GAS_MAX))
    }

    /// A block below which nothing of what is signed from now on can be.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn search_from(&self) -> Result<u64, ChainError> {
        let depth = self.inner().confirmations;
        self.on_one_node(|node| async move {
            let horizon = node.horizon(depth).await?;
            let confirmed = horizon.confirmed.number();
            Ok(confirmed.saturating_sub(SEARCH_MARGIN_BLOCKS))
        })
        .await
    }

    /// What became of a refund's account nonce, for which `transactions` were signed: all of them, since
    /// any may be the one that is mined. Of one that was paid in the block `dropped`, nothing is said
    /// unless another block stands there: a node that is behind would call everything unused.
    ///
    /// # Errors
    /// When no node answers, or answers contradict each other. Nothing follows from an error.
    pub async fn refund_fact(
        &self,
        transfer: &RefundTransfer,
        account_nonce: u64,
        transactions: &[B256],
        since_block: u64,
        dropped: Option<(u64, B256)>,
    ) -> Result<RefundFact, ChainError> {
        let depth = self.inner().confirmations;
        self.on_one_node(|node| async move {
            let horizon = node.horizon(depth).await?;
            if let Some((number, hash)) = dropped
                && (horizon.confirmed.number() < number || node.block(number).await?.hash == hash)
            {
                return Ok(RefundFact::Unsettled);
            }
            for transaction in transactions {
                if let Some(receipt) = node.receipt(*transaction).await? {
                    return judge(&node, &horizon, transfer, &receipt).await;
                }
            }
            let next = node.next_nonce(transfer.float).await?;
            if next <= account_nonce {
                return Ok(RefundFact::Unused);
            }
            let confirmed = node.nonce_after(transfer.float, horizon.confirmed.hash);
            if confirmed.await? <= account_nonce {
                return Ok(RefundFact::Unsettled);
            }
            // Some nodes forget receipts, and none forgets logs: that another transaction used the nonce
            // is believed only where no log names one of these.
            let topics = json!([
                Token::Transfer::SIGNATURE_HASH,
                transfer.float.into_word(),
                transfer.payer.into_word(),
            ]);
            let blocks = (since_block, horizon.head.number());
            let ours = |found| transactions.contains(&found);
            let found = node.find_logs(transfer.token, &topics, blocks, ours);
            if found.await?.is_empty() {
                Ok(RefundFact::Superseded)
            } else {
                Err(node.inconsistent("it has a transaction's log and not its receipt"))
            }
        })
        .await
    }
}

async fn judge(
    node: &Node,
    horizon: &Horizon,
    transfer: &RefundTransfer,
    receipt: &Receipt,
) -> Result<RefundFact, ChainError> {
    let at = inclusion(node, horizon, receipt).await?;
    Ok(
        verdict(transfer, &receipt.logs, receipt.succeeded()).map_or(
            RefundFact::Odd {
                transaction: at.transaction,
            },
            |paid| {
                if paid {
                    RefundFact::Paid(at)
                } else {
                    RefundFact::Failed(at)
                }
            },
        ),
    )
}

/// Whether the refund was paid; `None` where something else of the float's was moved.
fn verdict(transfer: &RefundTransfer, logs: &[Log], succeeded: bool) -> Option<bool> {
    if !succeeded {
        return Some(false);
    }
    let mut moved = logs.iter().filter(|log| transfer.is_of_float(log));
    match (moved.next(), moved.next()) {
        (None, _) => Some(false),
        (Some(only), None) if transfer.is_in(only) => Some(true),
        (Some(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSFER: RefundTransfer = RefundTransfer {
        token: Address::repeat_byte(1),
        float: Address::repeat_byte(2),
        payer: Address::repeat_byte(3),
        amount: U256::from_limbs([500, 0, 0, 0]),
    };

    fn log(change: impl FnOnce(&mut RefundTransfer)) -> Log {
        let mut transfer = TRANSFER;
        change(&mut transfer);
        Log {
            address: transfer.token,
            topics: vec![
                Token::Transfer::SIGNATURE_HASH,
                transfer.float.into_word(),
                transfer.payer.into_word(),
            ],
            data: transfer.amount.to_be_bytes_vec().into(),
            transaction_hash: None,
        }
    }

    #[test]
    fn only_the_exact_transfer_is_the_refund() {
        let paid = log(|_| {});
        let stranger = Address::repeat_byte(9);
        let of = |logs: &[Log]| verdict(&TRANSFER, logs, true);
        assert_eq!(of(std::slice::from_ref(&paid)), Some(true));
        assert_eq!(
            verdict(&TRANSFER, std::slice::from_ref(&paid), false),
            Some(false)
        );
        // A token that answers false, or something else's log.
        assert_eq!(of(&[]), Some(false));
        assert_eq!(of(&[log(|it| it.token = stranger)]), Some(false));
        assert_eq!(of(&[log(|it| it.float = stranger)]), Some(false));
        let mut approval = paid.clone();
        approval.topics[0] = B256::repeat_byte(8);
        assert_eq!(of(&[approval.clone(), paid.clone()]), Some(true));
        assert_eq!(of(&[approval]), Some(false));
        // A token that takes a fee, or moves more than it was told.
        assert_eq!(of(&[log(|it| it.amount = U256::from(499))]), None);
        assert_eq!(of(&[log(|it| it.payer = stranger)]), None);
        assert_eq!(of(&[paid.clone(), log(|it| it.payer = stranger)]), None);
        assert_eq!(of(&[paid.clone(), paid]), None);
    }

    #[test]
    fn the_call_is_a_plain_transfer() {
        let call = TRANSFER.call();
        assert_eq!(call.to, TRANSFER.token);
        let call = Token::transferCall::abi_decode(&call.data).unwrap();
        assert_eq!((call.to, call.value), (TRANSFER.payer, TRANSFER.amount));
    }
}
