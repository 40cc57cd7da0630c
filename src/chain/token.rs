//! Questions to a token contract.

use alloy::{
    primitives::{Address, B256, U64, U256},
    sol_types::{Eip712Domain, Revert, SolError},
};
use serde_json::json;
use thiserror::Error;

use super::{
    Asset, ChainError, Network, RpcRefusal,
    bindings::{Permit2Proxy, Token},
    exchange::printable,
    settlement::Call,
};
use crate::payment::{PERMIT2, PERMIT2_PROXY, SignedAuthorization, TransferMethod};

/// Why a settlement cannot be expected to succeed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SimulationError {
    /// The token refuses it; the reason is the token's own text.
    #[error("The token refuses the transfer: {0}.")]
    Reverted(String),
    #[error("The transfer would take more than {max} gas, which is the most that is paid for.")]
    TooMuchGas { max: u64 },
    #[error("x402's Permit2 proxy is not on this network, at {PERMIT2_PROXY}.")]
    NoProxy,
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// Why a token's EIP-712 domain is not known to be the configured one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DomainError {
    /// Domain separators, as EIP-712 computes them.
    #[error(
        "The token's DOMAIN_SEPARATOR is {found}; the configured name and version give {configured}."
    )]
    Mismatch { configured: B256, found: B256 },
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl Network {
    /// How many base units of `token` an account holds.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn balance_of(&self, token: Address, owner: Address) -> Result<U256, ChainError> {
        let call = &Token::balanceOfCall { account: owner };
        self.on_one_node(|node| async move { node.view(token, call, None).await })
            .await
    }

    /// Makes sure that the token's EIP-712 domain is the configured one, if one is. Where it is not,
    /// no payment in this asset can ever succeed.
    ///
    /// # Errors
    /// When it is not, no node answers, or the contract has no `DOMAIN_SEPARATOR()`.
    pub async fn check_domain(&self, asset: &Asset) -> Result<(), DomainError> {
        if asset.eip712_name.is_empty() {
            return Ok(());
        }
        let configured = Eip712Domain::new(
            Some(asset.eip712_name.clone().into()),
            Some(asset.eip712_version.clone().into()),
            Some(U256::from(self.id().chain_id())),
            Some(asset.token),
            None,
        );
        let call = &Token::DOMAIN_SEPARATORCall {};
        let token = asset.token;
        let separator = self
            .on_one_node(|node| async move { node.view(token, call, None).await })
            .await?;
        let configured = configured.separator();
        if separator != configured {
            return Err(DomainError::Mismatch {
                configured,
                found: separator,
            });
        }
        Ok(())
    }

    /// How many base units of `token` Permit2 may move for an account.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn permit2_allowance(
        &self,
        token: Address,
        owner: Address,
    ) -> Result<U256, ChainError> {
        let spender = PERMIT2;
        let call = &Token::allowanceCall { owner, spender };
        self.on_one_node(|node| async move { node.view(token, call, None).await })
            .await
    }

    /// Makes sure that x402's proxy is there: a call to nothing would succeed and move nothing.
    async fn check_proxy(&self) -> Result<(), SimulationError> {
        let call = &Permit2Proxy::PERMIT2Call {};
        let permit2 =
            self.on_one_node(|node| async move { node.view(PERMIT2_PROXY, call, None).await });
        match permit2.await {
            Ok(PERMIT2) => Ok(()),
            Ok(_) | Err(ChainError::BadReply { .. }) => Err(SimulationError::NoProxy),
            Err(error) => Err(error.into()),
        }
    }

    /// Tries a settlement by `relayer` against the newest block without sending it. Answers the gas
    /// limit to sign it with, a margin included.
    ///
    /// # Errors
    /// When the token would refuse it, it would take too much gas, or no node answers.
    pub async fn simulate_settlement(
        &self,
        relayer: Address,
        token: Address,
        authorization: &SignedAuthorization,
    ) -> Result<u64, SimulationError> {
        if authorization.terms.method == TransferMethod::Permit2 {
            self.check_proxy().await?;
        }
        let call = self.settlement(token, authorization);
        self.simulate(relayer, &call).await
    }

    /// Tries a call of `from` against the newest block without sending it. Answers the gas limit to
    /// sign it with, a margin included.
    ///
    /// # Errors
    /// When the contract would refuse it, it would take too much gas, or no node answers.
    pub async fn simulate(&self, from: Address, call: &Call) -> Result<u64, SimulationError> {
        let gas_max = call.gas_max;
        let transaction = &json!({
            "from": from,
            "to": call.to,
            "data": call.data,
            "gas": U64::from(gas_max),
        });
        let estimate = self.on_one_node(|node| async move {
            match node
                .rpc
                .call("eth_estimateGas", (transaction, "latest"))
                .await
            {
                Ok(gas) => Ok(Ok(gas)),
                Err(ChainError::Rpc(refusal)) => match refused(&refusal, gas_max) {
                    Some(error) => Ok(Err(error)),
                    None => Err(ChainError::Rpc(refusal)),
                },
                Err(error) => Err(error),
            }
        });
        let gas: U64 = estimate.await??;
        gas_limit(gas.to(), gas_max)
    }
}

/// A quarter more than estimated: the token's storage may be warmer in the estimate.
fn gas_limit(estimate: u64, max: u64) -> Result<u64, SimulationError> {
    let limit = estimate.saturating_add(estimate / 4);
    if limit > max {
        return Err(SimulationError::TooMuchGas { max });
    }
    Ok(limit)
}

/// What a node's refusal says of the transfer, if it speaks of that.
fn refused(refusal: &RpcRefusal, gas_max: u64) -> Option<SimulationError> {
    let message = refusal.message.to_ascii_lowercase();
    if OUT_OF_GAS.iter().any(|phrase| message.contains(phrase)) {
        return Some(SimulationError::TooMuchGas { max: gas_max });
    }
    revert_reason(refusal).map(SimulationError::Reverted)
}

/// How nodes say that a call needs more gas than it was given.
const OUT_OF_GAS: [&str; 3] = ["out of gas", "outofgas", "gas required exceeds"];

/// How nodes say that the code itself broke off: geth and those that speak as it, then revm's and
/// Nethermind's names.
const BROKEN_OFF: [&str; 21] = [
    "invalid opcode",
    "invalid jump",
    "stack underflow",
    "stack overflow",
    "stack limit reached",
    "write protection",
    "return data out of bounds",
    "gas uint64 overflow",
    "max call depth exceeded",
    "invalid code",
    "vm execution error",
    "evm error",
    "opcodenotfound",
    "invalidfeopcode",
    "invalidjump",
    "stackunderflow",
    "stackoverflow",
    "outofoffset",
    "staticcall",
    "badinstruction",
    "accessviolation",
];

/// Whether a call failed by itself, and not for the node's sake.
pub(super) fn is_revert(refusal: &RpcRefusal) -> bool {
    let message = refusal.message.to_ascii_lowercase();
    refused(refusal, 0).is_some() || BROKEN_OFF.iter().any(|phrase| message.contains(phrase))
}

/// The token's own words, if the refusal is a revert. Nodes mark it by code 3, or by text alone.
pub(super) fn revert_reason(refusal: &RpcRefusal) -> Option<String> {
    if refusal.code != 3 && !refusal.message.to_ascii_lowercase().contains("revert") {
        return None;
    }
    let said = refusal
        .data
        .as_ref()
        .and_then(|data| Revert::abi_decode(data).ok());
    Some(said.map_or_else(
        || refusal.message.clone(),
        |revert| printable(&revert.reason),
    ))
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Bytes;

    use super::*;

    #[test]
    fn a_revert_speaks_in_the_tokens_words() {
        let refusal = |code, message: &str, data| RpcRefusal {
            node: "node:1".into(),
            code,
            message: message.into(),
            data,
        };
        let words = Revert::from("FiatTokenV2: auth\norization is expired").abi_encode();
        for (refusal, reason) in [
            (
                refusal(3, "execution reverted", Some(words.clone().into())),
                Some("FiatTokenV2: authorization is expired"),
            ),
            (
                refusal(-32000, "execution reverted", None),
                Some("execution reverted"),
            ),
            (
                refusal(-32015, "VM execution error: Reverted", Some(Bytes::new())),
                Some("VM execution error: Reverted"),
            ),
            (refusal(-32005, "rate limit exceeded", None), None),
        ] {
            assert_eq!(revert_reason(&refusal).as_deref(), reason);
        }
    }

    #[test]
    fn code_that_breaks_off_is_no_fault_of_the_nodes() {
        for (code, message, by_itself) in [
            (3, "execution reverted", true),
            (-32000, "invalid opcode: INVALID", true),
            (-32000, "invalid opcode: opcode 0x21 not defined", true),
            (-32000, "invalid jump destination", true),
            (-32000, "stack underflow (0 <=> 1)", true),
            (-32000, "stack limit reached 1024 (1023)", true),
            (-32000, "out of gas", true),
            (-32000, "write protection", true),
            (-32000, "return data out of bounds", true),
            (-32003, "EVM error: InvalidFEOpcode", true),
            (-32003, "EVM error StackUnderflow", true),
            (-32015, "VM execution error: BadInstruction", true),
            (-32000, "execution timeout", false),
            (-32005, "rate limit exceeded", false),
            (-32000, "missing trie node", false),
            (-32603, "internal error", false),
        ] {
            let refusal = RpcRefusal {
                node: "node:1".into(),
                code,
                message: message.into(),
                data: None,
            };
            assert_eq!(is_revert(&refusal), by_itself, "{message}");
        }
    }

    #[test]
    fn a_settlement_that_burns_gas_is_refused() {
        assert_eq!(gas_limit(80_000, 400_000), Ok(100_000));
        assert_eq!(gas_limit(320_000, 400_000), Ok(400_000));
        let too_much = SimulationError::TooMuchGas { max: 400_000 };
        assert_eq!(gas_limit(320_004, 400_000), Err(too_much.clone()));
        for message in [
            "gas required exceeds allowance (400000)",
            "Out of gas: gas required exceeds allowance: 400000",
            "EVM error: OutOfGas",
        ] {
            let refusal = RpcRefusal {
                node: "node:1".into(),
                code: -32000,
                message: message.into(),
                data: None,
            };
            assert_eq!(refused(&refusal, 400_000), Some(too_much.clone()));
        }
    }
}
