//! What the owner of `CreditsPurchase` sets after its deployment.

use alloy::{
    primitives::{Address, Bytes},
    sol,
    sol_types::SolCall,
};

use super::Contract;
use crate::chain::{ChainError, Network};

sol! {
    interface CreditsPurchase {
        function owner() external view returns (address);
        function treasury() external view returns (address);
        function isTokenAllowed(address token) external view returns (bool);
        function setTreasury(address treasury) external;
        function setToken(address token, bool allowed) external;
    }
}

/// A call that only the owner can make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerCall {
    pub contract: Address,
    /// As people write it.
    pub text: String,
    pub data: Bytes,
}

/// Who owns a deployed `CreditsPurchase`, and what the owner still has to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// The owner of today, who may be another than the one that decided the address.
    pub owner: Address,
    pub missing: Vec<OwnerCall>,
}

impl OwnerCall {
    fn new(contract: Address, text: String, call: &impl SolCall) -> Self {
        Self {
            contract,
            text,
            data: call.abi_encode().into(),
        }
    }

    fn treasury(contract: Address, treasury: Address) -> Self {
        let call = CreditsPurchase::setTreasuryCall { treasury };
        Self::new(contract, format!("setTreasury({treasury:#x})"), &call)
    }

    fn token(contract: Address, token: Address) -> Self {
        let call = CreditsPurchase::setTokenCall {
            token,
            allowed: true,
        };
        Self::new(contract, format!("setToken({token:#x}, true)"), &call)
    }

    /// What is to be set on a contract that nobody has deployed yet.
    #[must_use]
    pub fn all(owner: Address, treasury: Address, tokens: &[Address]) -> Vec<Self> {
        let contract = Contract::CreditsPurchase.address(owner);
        let tokens = tokens.iter().map(|token| Self::token(contract, *token));
        std::iter::once(Self::treasury(contract, treasury))
            .chain(tokens)
            .collect()
    }
}

impl Network {
    /// Who owns the `CreditsPurchase` that is deployed for `first_owner`, and what it lacks to send
    /// `tokens` to `treasury`.
    ///
    /// # Errors
    /// When no node answers, or the contract is not there.
    pub async fn ownership(
        &self,
        first_owner: Address,
        treasury: Address,
        tokens: &[Address],
    ) -> Result<Ownership, ChainError> {
        let contract = Contract::CreditsPurchase.address(first_owner);
        self.on_one_node(|node| async move {
            let owner = CreditsPurchase::ownerCall {};
            let owner = node.view(contract, &owner, None).await?;
            let mut missing = Vec::new();
            let call = CreditsPurchase::treasuryCall {};
            if node.view(contract, &call, None).await? != treasury {
                missing.push(OwnerCall::treasury(contract, treasury));
            }
            for token in tokens.iter().copied() {
                let call = CreditsPurchase::isTokenAllowedCall { token };
                if !node.view(contract, &call, None).await? {
                    missing.push(OwnerCall::token(contract, token));
                }
            }
            Ok(Ownership { owner, missing })
        })
        .await
    }
}
