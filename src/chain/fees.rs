//! What a settlement offers for its gas: never more than the operator allows.
//!
//! Fees come from nodes, which may be wrong or lie; the arithmetic is checked, and what goes beyond
//! the operator's cap is refused rather than paid.

use alloy::{
    primitives::{U64, U128},
    providers::utils::{
        EIP1559_BASE_FEE_MULTIPLIER, EIP1559_FEE_ESTIMATION_PAST_BLOCKS,
        EIP1559_FEE_ESTIMATION_REWARD_PERCENTILE, EIP1559_MIN_PRIORITY_FEE,
    },
};
use serde::Deserialize;

use super::{ChainError, Network, node::Node};

/// Fees of EIP-1559, in wei for each unit of gas. The priority fee never exceeds the maximum: a
/// transaction that offered more would be invalid for ever, and hold up all that follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    pub max_fee_per_gas: u128,
    pub max_priority_fee_per_gas: u128,
}

/// What gas costs now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GasPrice {
    /// Of the next block, in wei.
    pub base_fee_per_gas: u128,
    /// Fees that the next blocks should accept.
    pub fees: Fees,
}

impl Fees {
    /// Fees with which a transaction takes the place of one sent at `previous`: these, or an eighth
    /// more than those. Nodes ask for a tenth more in both. `None` when that exceeds `cap`.
    #[must_use]
    pub fn replacing(self, previous: Self, cap: u128) -> Option<Self> {
        let raised = |fee: u128| fee.checked_add((fee / 8).checked_add(1)?);
        let raised_max = raised(previous.max_fee_per_gas)?;
        let priority = self
            .max_priority_fee_per_gas
            .max(raised(previous.max_priority_fee_per_gas)?);
        let max = self.max_fee_per_gas.max(raised_max).max(priority);
        (max <= cap).then_some(Self {
            max_fee_per_gas: max,
            max_priority_fee_per_gas: priority,
        })
    }
}

impl GasPrice {
    /// Whether a transaction with these fees has to wait while others are mined.
    #[must_use]
    pub fn outbids(&self, sent: Fees) -> bool {
        let full = self
            .base_fee_per_gas
            .saturating_add(sent.max_priority_fee_per_gas);
        sent.max_fee_per_gas < full
            || sent.max_priority_fee_per_gas < self.fees.max_priority_fee_per_gas
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FeeHistory {
    base_fee_per_gas: Vec<U128>,
    #[serde(default)]
    reward: Option<Vec<Vec<U128>>>,
}

/// What a fee history amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Estimate {
    Within(GasPrice),
    /// The next block alone costs this much or more.
    AboveCap(u128),
    NoBaseFee,
}

impl FeeHistory {
    /// Twice the next block's base fee, and what a fifth of recent transactions paid less than.
    fn estimate(&self, cap: u128) -> Estimate {
        let Some(base_fee) = self.base_fee_per_gas.last() else {
            return Estimate::NoBaseFee;
        };
        let base_fee: u128 = base_fee.to();
        let priority = self.priority_fee();
        let needed = base_fee.saturating_add(priority);
        if needed > cap {
            return Estimate::AboveCap(needed);
        }
        let wanted = base_fee
            .saturating_mul(EIP1559_BASE_FEE_MULTIPLIER)
            .saturating_add(priority);
        Estimate::Within(GasPrice {
            base_fee_per_gas: base_fee,
            fees: Fees {
                max_fee_per_gas: wanted.min(cap),
                max_priority_fee_per_gas: priority,
            },
        })
    }

    /// The median over the blocks in which anyone paid one, so that a single absurd number is
    /// without effect.
    fn priority_fee(&self) -> u128 {
        let blocks = self.reward.as_deref().unwrap_or_default();
        let first = blocks.iter().filter_map(|block| block.first());
        let mut paid: Vec<u128> = first
            .map(|fee| fee.to())
            .filter(|fee: &u128| *fee > 0)
            .collect();
        paid.sort_unstable();
        let median = paid.get(paid.len() / 2).copied();
        median.unwrap_or_default().max(EIP1559_MIN_PRIORITY_FEE)
    }
}

impl Network {
    /// The most that is offered for a unit of gas, in wei.
    #[must_use]
    pub fn max_fee_per_gas(&self) -> u128 {
        self.inner().max_fee_per_gas
    }

    /// What gas costs now.
    ///
    /// # Errors
    /// When no node answers, the network names no base fee, or it costs more than the operator
    /// allows.
    pub async fn gas_price(&self) -> Result<GasPrice, ChainError> {
        let cap = self.max_fee_per_gas();
        self.on_one_node(|node| async move { node.gas_price(cap).await })
            .await
    }
}

impl Node {
    async fn gas_price(&self, cap: u128) -> Result<GasPrice, ChainError> {
        let method = "eth_feeHistory";
        let params = (
            U64::from(EIP1559_FEE_ESTIMATION_PAST_BLOCKS),
            "latest",
            [EIP1559_FEE_ESTIMATION_REWARD_PERCENTILE],
        );
        let history: FeeHistory = self.rpc.call(method, params).await?;
        match history.estimate(cap) {
            Estimate::Within(price) => Ok(price),
            Estimate::AboveCap(wei) => Err(ChainError::GasTooDear {
                node: self.rpc.name().to_owned(),
                wei,
                cap,
            }),
            Estimate::NoBaseFee => Err(self.inconsistent("it names no base fee")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAP: u128 = 500;

    fn history(base_fees: &[u128], rewards: &[u128]) -> FeeHistory {
        FeeHistory {
            base_fee_per_gas: base_fees.iter().copied().map(U128::from).collect(),
            reward: Some(rewards.iter().map(|fee| vec![U128::from(*fee)]).collect()),
        }
    }

    const fn fees(max_fee_per_gas: u128, max_priority_fee_per_gas: u128) -> Fees {
        Fees {
            max_fee_per_gas,
            max_priority_fee_per_gas,
        }
    }

    fn within(base_fee_per_gas: u128, fees: Fees) -> Estimate {
        Estimate::Within(GasPrice {
            base_fee_per_gas,
            fees,
        })
    }

    #[test]
    fn offers_twice_the_next_base_fee_and_the_median_reward() {
        let estimate = history(&[50, 100], &[3, 0, 1, 2]).estimate(CAP);
        assert_eq!(estimate, within(100, fees(202, 2)));
        assert_eq!(
            history(&[100], &[]).estimate(CAP),
            within(100, fees(201, 1))
        );
        assert_eq!(history(&[], &[1]).estimate(CAP), Estimate::NoBaseFee);
    }

    #[test]
    fn a_nodes_absurd_fees_are_neither_offered_nor_a_panic() {
        for (base_fees, rewards, expected) in [
            // One absurd block among others has no weight.
            (100, vec![2, 2, u128::MAX], within(100, fees(202, 2))),
            (100, vec![u128::MAX], Estimate::AboveCap(u128::MAX)),
            (u128::MAX, vec![u128::MAX], Estimate::AboveCap(u128::MAX)),
            (u128::MAX, vec![], Estimate::AboveCap(u128::MAX)),
            (0, vec![501], Estimate::AboveCap(501)),
            (0, vec![500], within(0, fees(500, 500))),
            (400, vec![100], within(400, fees(CAP, 100))),
            (400, vec![101], Estimate::AboveCap(501)),
        ] {
            let estimate = history(&[base_fees], &rewards).estimate(CAP);
            assert_eq!(estimate, expected, "{base_fees} {rewards:?}");
            if let Estimate::Within(price) = estimate {
                assert!(price.fees.max_priority_fee_per_gas <= price.fees.max_fee_per_gas);
                assert!(price.fees.max_fee_per_gas <= CAP);
            }
        }
    }

    #[test]
    fn a_replacement_raises_both_fees_up_to_the_cap() {
        assert_eq!(fees(10, 1).replacing(fees(80, 8), CAP), Some(fees(91, 10)));
        assert_eq!(fees(100, 1).replacing(fees(80, 0), CAP), Some(fees(100, 1)));
        assert_eq!(fees(10, 1).replacing(fees(80, 80), CAP), Some(fees(91, 91)));
        assert_eq!(fees(10, 1).replacing(fees(450, 1), CAP), None);
        assert_eq!(fees(1, 1).replacing(fees(u128::MAX, 1), u128::MAX), None);
        assert_eq!(fees(1, 1).replacing(fees(1, u128::MAX), u128::MAX), None);
    }

    #[test]
    fn a_transaction_is_outbid_when_its_whole_tip_or_its_base_fee_is_not_paid() {
        let price = GasPrice {
            base_fee_per_gas: 100,
            fees: fees(202, 2),
        };
        for (sent, outbid) in [
            (fees(102, 2), false),
            (fees(101, 2), true),
            (fees(99, 2), true),
            (fees(200, 1), true),
            (fees(u128::MAX, u128::MAX), false),
        ] {
            assert_eq!(price.outbids(sent), outbid, "{sent:?}");
        }
    }
}
