//! What a settlement offers for its gas.

use alloy::{
    primitives::{U64, U128},
    providers::utils::{
        EIP1559_FEE_ESTIMATION_PAST_BLOCKS, EIP1559_FEE_ESTIMATION_REWARD_PERCENTILE,
        eip1559_default_estimator,
    },
};
use serde::Deserialize;

use super::{ChainError, Network, node::Node};

/// More than any network asked in its worst hour (5,000 gwei): a node that names more is broken.
const FEE_PER_GAS_MAX: u128 = 5_000 * 1_000_000_000;

/// Fees of EIP-1559, in wei for each unit of gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    pub max_fee_per_gas: u128,
    pub max_priority_fee_per_gas: u128,
}

impl Fees {
    /// Fees with which a transaction takes the place of one sent at `previous`: these, or an eighth
    /// more than those. Nodes ask for a tenth more in both.
    #[must_use]
    pub fn replacing(self, previous: Self) -> Self {
        let raised = |fee: u128| fee.saturating_add(fee / 8).saturating_add(1);
        Self {
            max_fee_per_gas: self.max_fee_per_gas.max(raised(previous.max_fee_per_gas)),
            max_priority_fee_per_gas: self
                .max_priority_fee_per_gas
                .max(raised(previous.max_priority_fee_per_gas)),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FeeHistory {
    base_fee_per_gas: Vec<U128>,
    #[serde(default)]
    reward: Option<Vec<Vec<U128>>>,
}

impl FeeHistory {
    /// Twice the next block's base fee, and what a fifth of recent transactions paid less than.
    /// `None` when the network names no base fee or an absurd one.
    fn estimate(&self) -> Option<Fees> {
        let base_fee: u128 = self.base_fee_per_gas.last()?.to();
        let rewards = self.reward.as_deref().unwrap_or_default();
        let rewards: Vec<Vec<u128>> = rewards
            .iter()
            .map(|block| block.iter().map(|reward| reward.to()).collect())
            .collect();
        if base_fee > FEE_PER_GAS_MAX {
            return None;
        }
        let estimate = eip1559_default_estimator(base_fee, &rewards);
        (estimate.max_fee_per_gas <= FEE_PER_GAS_MAX).then_some(Fees {
            max_fee_per_gas: estimate.max_fee_per_gas,
            max_priority_fee_per_gas: estimate.max_priority_fee_per_gas,
        })
    }
}

impl Network {
    /// Fees that the next blocks should accept.
    ///
    /// # Errors
    /// When no node answers, or the network names no base fee or an absurd one.
    pub async fn fees(&self) -> Result<Fees, ChainError> {
        self.on_one_node(|node| async move { node.fees().await })
            .await
    }
}

impl Node {
    async fn fees(&self) -> Result<Fees, ChainError> {
        let method = "eth_feeHistory";
        let params = (
            U64::from(EIP1559_FEE_ESTIMATION_PAST_BLOCKS),
            "latest",
            [EIP1559_FEE_ESTIMATION_REWARD_PERCENTILE],
        );
        let history: FeeHistory = self.rpc.call(method, params).await?;
        history
            .estimate()
            .ok_or_else(|| self.inconsistent("its base fee is missing or absurd"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(base_fees: &[u128], rewards: &[u128]) -> FeeHistory {
        FeeHistory {
            base_fee_per_gas: base_fees.iter().copied().map(U128::from).collect(),
            reward: Some(rewards.iter().map(|fee| vec![U128::from(*fee)]).collect()),
        }
    }

    #[test]
    fn offers_twice_the_next_base_fee_and_the_median_reward() {
        assert_eq!(
            history(&[50, 100], &[3, 1, 2]).estimate(),
            Some(Fees {
                max_fee_per_gas: 202,
                max_priority_fee_per_gas: 2
            })
        );
        assert_eq!(history(&[], &[1]).estimate(), None);
        assert_eq!(history(&[FEE_PER_GAS_MAX], &[1]).estimate(), None);
        assert_eq!(history(&[u128::MAX], &[1]).estimate(), None);
    }

    #[test]
    fn a_replacement_raises_both_fees() {
        let fees = |max_fee_per_gas, max_priority_fee_per_gas| Fees {
            max_fee_per_gas,
            max_priority_fee_per_gas,
        };
        assert_eq!(fees(10, 1).replacing(fees(80, 8)), fees(91, 10));
        assert_eq!(fees(100, 1).replacing(fees(80, 0)), fees(100, 1));
    }
}
