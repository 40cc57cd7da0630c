//! The call that moves the money: which contract is called, with what, and for how much gas.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::SolCall,
};

use super::{Network, bindings::Token};
use crate::{
    auth::Signature,
    base::AgentAddress,
    payment::{Authorization, TokenDomain},
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
        let data = match signature.try_into() {
            Ok(bytes) if self.is_signed_by_key(token, terms, signature) => by_key(terms, bytes),
            _ => by_wallet(terms, signature),
        };
        Call {
            to: token,
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
        // Tokens know 27 and 28 only; signers also write 0 and 1.
        v: if v < 27 { v + 27 } else { v },
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
    use alloy::primitives::hex;
    use k256::ecdsa::SigningKey;

    use super::*;
    use crate::{base::AssetId, chain::testing};

    const TOKEN: Address = Address::repeat_byte(1);

    fn terms(from: Address) -> Authorization {
        Authorization {
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
