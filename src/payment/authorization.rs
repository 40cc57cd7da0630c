//! A signed promise to pay: EIP-3009 `TransferWithAuthorization`, or a Permit2 transfer that only
//! x402's proxy may make.

use std::borrow::Cow;

use alloy::{
    primitives::{Address, B256, U256},
    sol,
    sol_types::{Eip712Domain, SolStruct},
};

use super::{PaymentKey, TokenPermit, permit2};
use crate::base::{AssetId, Timestamp};

/// How a signed promise moves the token, as x402's scheme "exact" names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransferMethod {
    /// The token itself takes the payer's signature.
    Eip3009,
    /// Permit2 does, for any token that the payer lets it move.
    Permit2,
}

/// The terms of one transfer, as the payer signs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    pub method: TransferMethod,
    pub from: Address,
    pub to: Address,
    /// Base units of the token.
    pub value: U256,
    /// Unix seconds; usable strictly after this.
    pub valid_after: u64,
    /// Unix seconds; usable strictly before this. A Permit2 deadline is usable in its own second too.
    pub valid_before: u64,
    /// Of EIP-3009, the token's; of Permit2, a `uint256` of its own for the payer over all tokens.
    pub nonce: B256,
}

/// What moves: a token's `Transfer(from, to, value)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transfer {
    pub from: Address,
    pub to: Address,
    /// Base units of the token.
    pub value: U256,
}

/// An authorization as it came, with the bytes that sign it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAuthorization {
    pub terms: Authorization,
    pub signature: Vec<u8>,
    /// Of a payment by Permit2, perhaps.
    pub permit: Option<TokenPermit>,
}

/// The EIP-712 domain of a token contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenDomain {
    pub asset: AssetId,
    pub name: String,
    pub version: String,
}

sol! {
    struct TransferWithAuthorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }
}

impl Authorization {
    /// The transfer that the authorization stands for.
    #[must_use]
    pub const fn transfer(&self) -> Transfer {
        Transfer {
            from: self.from,
            to: self.to,
            value: self.value,
        }
    }

    /// The EIP-712 digest that the payer signs for the token of `domain`.
    #[must_use]
    pub fn digest(&self, domain: &TokenDomain) -> B256 {
        match self.method {
            TransferMethod::Eip3009 => self.eip3009_digest(domain),
            TransferMethod::Permit2 => permit2::digest(self, domain.asset),
        }
    }

    /// The key under which a payment of it in `asset` is counted.
    #[must_use]
    pub const fn key(&self, asset: AssetId) -> PaymentKey {
        let Self { from, nonce, .. } = *self;
        match self.method {
            TransferMethod::Eip3009 => PaymentKey::Authorization { asset, from, nonce },
            TransferMethod::Permit2 => PaymentKey::Permit2 {
                network: asset.network,
                owner: from,
                nonce,
            },
        }
    }

    fn eip3009_digest(&self, domain: &TokenDomain) -> B256 {
        let terms = TransferWithAuthorization {
            from: self.from,
            to: self.to,
            value: self.value,
            validAfter: U256::from(self.valid_after),
            validBefore: U256::from(self.valid_before),
            nonce: self.nonce,
        };
        terms.eip712_signing_hash(&Eip712Domain {
            name: Some(Cow::Owned(domain.name.clone())),
            version: Some(Cow::Owned(domain.version.clone())),
            chain_id: Some(U256::from(domain.asset.network.chain_id())),
            verifying_contract: Some(domain.asset.token),
            salt: None,
        })
    }

    /// When the authorization can no longer be used in a block.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_seconds(i64::try_from(self.valid_before).unwrap_or(i64::MAX))
    }

    /// When the authorization becomes usable.
    #[must_use]
    pub fn starts_at(&self) -> Timestamp {
        Timestamp::from_seconds(i64::try_from(self.valid_after).unwrap_or(i64::MAX))
    }
}

impl TransferMethod {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eip3009 => "eip3009",
            Self::Permit2 => "permit2",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Eip3009, Self::Permit2]
            .into_iter()
            .find(|method| method.as_str() == text)
    }
}
