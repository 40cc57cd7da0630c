//! Permit2 as x402 uses it: a `PermitWitnessTransferFrom` whose spender is x402's proxy, and whose
//! witness names the recipient (x402, scheme "exact" on EVM, section 2).

use std::borrow::Cow;

use alloy::{
    primitives::{Address, B256, U256, address},
    sol,
    sol_types::{Eip712Domain, SolStruct},
};

use super::Authorization;
use crate::base::AssetId;

/// Where Permit2 is, on every chain.
pub const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");

/// Where `x402ExactPermit2Proxy` is, on every chain: the spender that payers sign for.
pub const PERMIT2_PROXY: Address = address!("402085c248EeA27D92E8b30b2C58ed07f9E20001");

sol! {
    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    struct Witness {
        address to;
        uint256 validAfter;
    }

    struct PermitWitnessTransferFrom {
        TokenPermissions permitted;
        address spender;
        uint256 nonce;
        uint256 deadline;
        Witness witness;
    }
}

/// The EIP-712 digest that the payer signs.
pub(super) fn digest(terms: &Authorization, asset: AssetId) -> B256 {
    let message = PermitWitnessTransferFrom {
        permitted: TokenPermissions {
            token: asset.token,
            amount: terms.value,
        },
        spender: PERMIT2_PROXY,
        nonce: terms.nonce.into(),
        deadline: U256::from(terms.valid_before),
        witness: Witness {
            to: terms.to,
            validAfter: U256::from(terms.valid_after),
        },
    };
    message.eip712_signing_hash(&Eip712Domain {
        name: Some(Cow::Borrowed("Permit2")),
        version: None,
        chain_id: Some(U256::from(asset.network.chain_id())),
        verifying_contract: Some(PERMIT2),
        salt: None,
    })
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{b256, keccak256};

    use super::*;
    use crate::{base::NetworkId, payment::TransferMethod};

    #[test]
    fn the_message_has_the_type_that_the_proxy_hands_to_permit2() {
        // Permit2 puts this stub before the witness type that its caller names.
        let stub = "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,";
        let witness = "Witness witness)TokenPermissions(address token,uint256 amount)Witness(address to,uint256 validAfter)";
        let encoded = PermitWitnessTransferFrom::eip712_encode_type();
        assert_eq!(encoded, format!("{stub}{witness}"));
        let type_hash = keccak256(encoded.as_bytes());
        assert_eq!(type_hash, keccak256([stub, witness].concat()));
    }

    /// Made with viem's `hashTypedData` and the types of `@x402/evm`.
    #[test]
    fn the_digest_is_what_other_signers_compute() {
        let terms = Authorization {
            method: TransferMethod::Permit2,
            from: Address::repeat_byte(2),
            to: Address::repeat_byte(3),
            value: U256::from(1_000_000),
            valid_after: 1_700_000_000,
            valid_before: 1_700_000_300,
            nonce: B256::repeat_byte(4),
        };
        let asset = AssetId {
            network: NetworkId::from_chain_id(84532),
            token: Address::repeat_byte(1),
        };
        assert_eq!(
            digest(&terms, asset),
            b256!("92c19d6d2f9b6307ab128849ca4773fa0f3a719d1ee483de599e8a7a700f7a9d")
        );
    }
}
