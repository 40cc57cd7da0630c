//! Questions to a token contract.

use alloy::{
    primitives::{Address, B256, Bytes, U64, U256},
    sol_types::{Eip712Domain, Revert, SolCall, SolError},
};
use serde_json::json;
use thiserror::Error;

use super::{Asset, ChainError, Network, RpcRefusal, bindings::Token, exchange::printable};
use crate::payment::Authorization;

/// The most gas that a settlement may take. The payer's code runs in it where the payer is a
/// contract or a delegated account (EIP-7702), and the relayer pays for it.
pub const SETTLEMENT_GAS_MAX: u64 = 400_000;

/// Why a settlement cannot be expected to succeed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SimulationError {
    /// The token refuses it; the reason is the token's own text.
    #[error("The token refuses the transfer: {0}.")]
    Reverted(String),
    #[error("The transfer would take {gas} gas; at most {SETTLEMENT_GAS_MAX} are paid for.")]
    TooMuchGas { gas: u64 },
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

    /// Makes sure that the token's EIP-712 domain is the configured one. Where it is not, no payment
    /// in this asset can ever succeed.
    ///
    /// # Errors
    /// When it is not, no node answers, or the contract has no `DOMAIN_SEPARATOR()`.
    pub async fn check_domain(&self, asset: &Asset) -> Result<(), DomainError> {
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

    /// Tries a settlement against the newest block without sending it. Answers the gas limit to
    /// sign it with, a margin included.
    ///
    /// # Errors
    /// When the token would refuse it, it would take too much gas, or no node answers.
    pub async fn simulate_settlement(
        &self,
        token: Address,
        terms: &Authorization,
        signature: &[u8],
    ) -> Result<u64, SimulationError> {
        let transaction = &json!({
            "from": self.relayer_address(),
            "to": token,
            "data": settlement_call(terms, signature),
        });
        let estimate = self.on_one_node(|node| async move {
            match node
                .rpc
                .call("eth_estimateGas", (transaction, "latest"))
                .await
            {
                Ok(gas) => Ok(Ok(gas)),
                Err(ChainError::Rpc(refusal)) => match revert_reason(&refusal) {
                    Some(reason) => Ok(Err(SimulationError::Reverted(reason))),
                    None => Err(ChainError::Rpc(refusal)),
                },
                Err(error) => Err(error),
            }
        });
        let gas: U64 = estimate.await??;
        gas_limit(gas.to())
    }
}

/// A quarter more than estimated: the token's storage may be warmer in the estimate.
fn gas_limit(estimate: u64) -> Result<u64, SimulationError> {
    let limit = estimate.saturating_add(estimate / 4);
    if limit > SETTLEMENT_GAS_MAX {
        return Err(SimulationError::TooMuchGas { gas: limit });
    }
    Ok(limit)
}

/// The token's own words, if the refusal is a revert. Nodes mark it by code 3, or by text alone.
fn revert_reason(refusal: &RpcRefusal) -> Option<String> {
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

/// The call that moves the money: with `v, r, s` for a signature of 65 bytes, which every EIP-3009
/// token takes; with the signature's bytes otherwise.
pub(super) fn settlement_call(terms: &Authorization, signature: &[u8]) -> Bytes {
    let valid_after = U256::from(terms.valid_after);
    let valid_before = U256::from(terms.valid_before);
    let Ok([rs @ .., v]) = <[u8; 65]>::try_from(signature) else {
        let call = Token::transferWithAuthorization_1Call {
            from: terms.from,
            to: terms.to,
            value: terms.value,
            validAfter: valid_after,
            validBefore: valid_before,
            nonce: terms.nonce,
            signature: Bytes::copy_from_slice(signature),
        };
        return call.abi_encode().into();
    };
    let (r, s) = rs.split_at(32);
    let call = Token::transferWithAuthorization_0Call {
        from: terms.from,
        to: terms.to,
        value: terms.value,
        validAfter: valid_after,
        validBefore: valid_before,
        nonce: terms.nonce,
        // Tokens know 27 and 28 only; signers also write 0 and 1.
        v: if v < 27 { v + 27 } else { v },
        r: B256::from_slice(r),
        s: B256::from_slice(s),
    };
    call.abi_encode().into()
}

#[cfg(test)]
mod tests {
    use alloy::primitives::hex;

    use super::*;

    const TERMS: Authorization = Authorization {
        from: Address::repeat_byte(2),
        to: Address::repeat_byte(3),
        value: U256::from_limbs([500, 0, 0, 0]),
        valid_after: 7,
        valid_before: 9,
        nonce: B256::repeat_byte(4),
    };

    #[test]
    fn a_plain_signature_is_split_and_its_v_normalised() {
        for (v, written) in [(0, 27), (1, 28), (27, 27), (28, 28)] {
            let mut signature = [0x11; 65];
            signature[32..64].fill(0x22);
            signature[64] = v;
            let call = settlement_call(&TERMS, &signature);
            // transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)
            assert_eq!(call[..4], hex!("e3ee160e"));
            let call = Token::transferWithAuthorization_0Call::abi_decode(&call).unwrap();
            assert_eq!((call.v, call.value), (written, U256::from(500)));
            assert_eq!(
                (call.r, call.s),
                (B256::repeat_byte(0x11), B256::repeat_byte(0x22))
            );
        }
    }

    #[test]
    fn another_signature_goes_as_bytes() {
        let call = settlement_call(&TERMS, &[5; 66]);
        // transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)
        assert_eq!(call[..4], hex!("cf092995"));
        let call = Token::transferWithAuthorization_1Call::abi_decode(&call).unwrap();
        assert_eq!(call.signature.as_ref(), [5; 66]);
    }

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
    fn a_settlement_that_burns_gas_is_refused() {
        assert_eq!(gas_limit(80_000), Ok(100_000));
        assert_eq!(gas_limit(320_000), Ok(SETTLEMENT_GAS_MAX));
        assert_eq!(
            gas_limit(320_004),
            Err(SimulationError::TooMuchGas { gas: 400_005 })
        );
    }
}
