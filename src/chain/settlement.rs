//! The call that moves the money: which contract is called, with what, and for how much gas.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::SolCall,
};

use super::{
    Network,
    bindings::{Permit2Proxy, Token},
    counterfactual::Counterfactual,
};
use crate::{
    auth::Signature,
    base::AgentAddress,
    payment::{Authorization, PERMIT2_PROXY, TokenDomain, TransferMethod},
};

/// The most gas that a settlement may take. The payer's code runs in it where the payer is a
/// contract or a delegated account (EIP-7702), and the relayer pays for it.
pub const SETTLEMENT_GAS_MAX: u64 = 400_000;

/// What a settlement takes of gas as a rule, for reckoning how many an account can pay.
pub const SETTLEMENT_GAS_TYPICAL: u64 = 100_000;

/// A call of a contract, to be signed by an account of the service's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub(super) to: Address,
    pub(super) data: Bytes,
    pub(super) gas_max: u64,
}

impl Network {
    /// The settlement of an authorization. The same for the same arguments and configuration.
    #[must_use]
    pub fn settlement(&self, token: Address, terms: &Authorization, signature: &[u8]) -> Call {
        let Some(wrapped) = Counterfactual::read(signature) else {
            return self.plain_settlement(token, terms, signature);
        };
        let settlement = self.plain_settlement(token, terms, &wrapped.signature);
        if self.makes_wallets(wrapped.factory) {
            wrapped.then(settlement.to, settlement.data)
        } else {
            settlement
        }
    }

    fn plain_settlement(&self, token: Address, terms: &Authorization, signature: &[u8]) -> Call {
        let key = <[u8; 65]>::try_from(signature)
            .ok()
            .filter(|_| self.is_signed_by_key(token, terms, signature))
            .map(normalised);
        let (to, data) = match (terms.method, key) {
            (TransferMethod::Eip3009, Some(key)) => (token, by_key(terms, key)),
            (TransferMethod::Eip3009, None) => (token, by_wallet(terms, signature)),
            (TransferMethod::Permit2, Some(key)) => (PERMIT2_PROXY, by_permit2(token, terms, &key)),
            (TransferMethod::Permit2, None) => (PERMIT2_PROXY, by_permit2(token, terms, signature)),
        };
        Call {
            to,
            data,
            gas_max: SETTLEMENT_GAS_MAX,
        }
    }

    /// Whether the key of `terms.from` signed. Of a token that is not configured any more nobody can
    /// tell but by the length; few wallets' signatures have that of a key's.
    #[must_use]
    pub fn is_signed_by_key(
        &self,
        token: Address,
        terms: &Authorization,
        signature: &[u8],
    ) -> bool {
        let asset = self.assets().iter().find(|asset| asset.token == token);
        asset.map_or(signature.len() == 65, |asset| {
            is_signed_by_key(terms, &self.domain(asset), signature)
        })
    }
}

/// Whether the key of `terms.from` signed, without a question to anybody.
#[must_use]
pub fn is_signed_by_key(terms: &Authorization, domain: &TokenDomain, signature: &[u8]) -> bool {
    let signature = signature.try_into().map(Signature::from_bytes);
    let Ok(Ok(signature)) = signature else {
        return false;
    };
    signature.recover(terms.digest(domain).0) == Some(AgentAddress::new(terms.from))
}

/// Contracts know a `v` of 27 and 28 only; signers also write 0 and 1.
fn normalised(mut signature: [u8; 65]) -> [u8; 65] {
    let v = &mut signature[64];
    if *v < 27 {
        *v += 27;
    }
    signature
}

/// Through x402's proxy, which sends the money nowhere but to the signed recipient.
fn by_permit2(token: Address, terms: &Authorization, signature: &[u8]) -> Bytes {
    let call = Permit2Proxy::settleCall {
        permit: Permit2Proxy::PermitTransferFrom {
            permitted: Permit2Proxy::TokenPermissions {
                token,
                amount: terms.value,
            },
            nonce: terms.nonce.into(),
            deadline: U256::from(terms.valid_before),
        },
        owner: terms.from,
        witness: Permit2Proxy::Witness {
            to: terms.to,
            validAfter: U256::from(terms.valid_after),
        },
        signature: Bytes::copy_from_slice(signature),
    };
    call.abi_encode().into()
}

/// The form of every EIP-3009 token.
fn by_key(terms: &Authorization, signature: [u8; 65]) -> Bytes {
    let [rs @ .., v] = signature;
    let (r, s) = rs.split_at(32);
    let call = Token::transferWithAuthorization_0Call {
        from: terms.from,
        to: terms.to,
        value: terms.value,
        validAfter: U256::from(terms.valid_after),
        validBefore: U256::from(terms.valid_before),
        nonce: terms.nonce,
        v,
        r: B256::from_slice(r),
        s: B256::from_slice(s),
    };
    call.abi_encode().into()
}

/// The form for contract wallets (ERC-1271), whose signatures may be any bytes.
fn by_wallet(terms: &Authorization, signature: &[u8]) -> Bytes {
    let call = Token::transferWithAuthorization_1Call {
        from: terms.from,
        to: terms.to,
        value: terms.value,
        validAfter: U256::from(terms.valid_after),
        validBefore: U256::from(terms.valid_before),
        nonce: terms.nonce,
        signature: Bytes::copy_from_slice(signature),
    };
    call.abi_encode().into()
}

#[cfg(test)]
mod tests {
    use alloy::{
        primitives::{address, hex},
        sol_types::SolValue,
    };
    use k256::ecdsa::SigningKey;

    use super::*;
    use crate::{base::AssetId, chain::testing};

    const TOKEN: Address = Address::repeat_byte(1);

    fn terms(from: Address) -> Authorization {
        Authorization {
            method: TransferMethod::Eip3009,
            from,
            to: Address::repeat_byte(3),
            value: U256::from(500),
            valid_after: 7,
            valid_before: 9,
            nonce: B256::repeat_byte(4),
        }
    }

    fn domain() -> TokenDomain {
        TokenDomain {
            asset: AssetId {
                network: testing::NETWORK,
                token: TOKEN,
            },
            name: "USDC".into(),
            version: "2".into(),
        }
    }

    fn signed() -> (Authorization, [u8; 65]) {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let terms = terms(Address::from_private_key(&key));
        let signature = Signature::sign(&key, terms.digest(&domain()).0);
        (terms, signature.to_bytes())
    }

    #[test]
    fn a_keys_signature_is_split_and_its_v_normalised() {
        let network = testing::network(&[TOKEN]);
        let (terms, signature) = signed();
        for offset in [0, 27] {
            let mut written = signature;
            written[64] = signature[64] - 27 + offset;
            let settlement = network.settlement(TOKEN, &terms, &written);
            assert_eq!(settlement.to, TOKEN);
            // transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)
            assert_eq!(settlement.data[..4], hex!("e3ee160e"));
            let call =
                Token::transferWithAuthorization_0Call::abi_decode(&settlement.data).unwrap();
            assert_eq!((call.v, call.value), (signature[64], U256::from(500)));
            assert_eq!(call.r.as_slice(), &signature[..32]);
            assert_eq!(call.s.as_slice(), &signature[32..64]);
        }
    }

    #[test]
    fn a_wallets_signature_goes_as_its_bytes_whatever_its_length() {
        let network = testing::network(&[TOKEN]);
        let (mut terms, signature) = signed();
        terms.from = Address::repeat_byte(2);
        for signature in [signature.as_slice(), &[0; 65], &[5; 66], &[]] {
            let settlement = network.settlement(TOKEN, &terms, signature);
            // transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)
            assert_eq!(settlement.data[..4], hex!("cf092995"));
            let call =
                Token::transferWithAuthorization_1Call::abi_decode(&settlement.data).unwrap();
            assert_eq!(call.signature.as_ref(), signature);
        }
    }

    #[test]
    fn a_token_that_is_not_configured_any_more_takes_a_keys_signature() {
        let network = testing::network(&[]);
        let (terms, signature) = signed();
        let settlement = network.settlement(TOKEN, &terms, &signature);
        assert_eq!(settlement.data[..4], hex!("e3ee160e"));
    }

    #[test]
    fn a_permit2_payment_goes_through_the_proxy_to_its_signed_recipient() {
        let network = testing::network(&[TOKEN]);
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let mut terms = terms(Address::from_private_key(&key));
        terms.method = TransferMethod::Permit2;
        let signature = Signature::sign(&key, terms.digest(&domain()).0).to_bytes();
        let mut short = signature;
        short[64] -= 27;
        let settlement = network.settlement(TOKEN, &terms, &short);
        assert_eq!(settlement.to, PERMIT2_PROXY);
        let call = Permit2Proxy::settleCall::abi_decode(&settlement.data).unwrap();
        assert_eq!(call.signature.as_ref(), signature);
        assert_eq!((call.owner, call.witness.to), (terms.from, terms.to));
        assert_eq!(call.witness.validAfter, U256::from(7));
        let permit = call.permit;
        assert_eq!(
            (permit.nonce, permit.deadline),
            (terms.nonce.into(), U256::from(9))
        );
        assert_eq!(
            (permit.permitted.token, permit.permitted.amount),
            (TOKEN, U256::from(500))
        );
    }

    #[test]
    fn a_wallet_is_made_first_by_a_factory_that_the_operator_named() {
        let network = testing::network(&[TOKEN]);
        let magic = [0x64, 0x92].repeat(16);
        for (factory, to) in [
            (
                testing::FACTORY,
                address!("cA11bde05977b3631167028862bE2a173976CA11"),
            ),
            (Address::repeat_byte(8), TOKEN),
        ] {
            let parts = (
                factory,
                Bytes::from_static(&[2]),
                Bytes::from_static(&[3; 70]),
            );
            let signature = [parts.abi_encode_params(), magic.clone()].concat();
            let terms = terms(Address::repeat_byte(2));
            let settlement = network.settlement(TOKEN, &terms, &signature);
            assert_eq!(settlement.to, to);
            let inner = network.settlement(TOKEN, &terms, &[3; 70]).data;
            let holds = |data: &[u8]| data.windows(inner.len()).any(|part| part == inner.as_ref());
            assert!(holds(&settlement.data));
        }
    }

    #[test]
    fn only_the_payers_own_key_counts() {
        let (terms, signature) = signed();
        assert!(is_signed_by_key(&terms, &domain(), &signature));
        let mut other = terms.clone();
        other.value += U256::from(1);
        assert!(!is_signed_by_key(&other, &domain(), &signature));
        let mut other = terms.clone();
        other.from = Address::repeat_byte(2);
        assert!(!is_signed_by_key(&other, &domain(), &signature));
        assert!(!is_signed_by_key(&terms, &domain(), &signature[..64]));
        assert!(!is_signed_by_key(&terms, &domain(), &[]));
    }
}
