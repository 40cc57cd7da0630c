//! The contracts of `contracts/`: their code, and where CREATE2 puts them.
//!
//! Owns the artifacts that are checked in, and the addresses that follow from them. The code and the
//! owner decide an address and nothing else does, so one owner has one address on every chain.

mod owner;

use std::sync::OnceLock;

use alloy::{
    primitives::{Address, B256, Bytes, address, hex, keccak256},
    sol_types::SolValue,
};
use serde::Deserialize;

use super::{ChainError, Network};

pub use owner::{OwnerCall, Ownership};

/// The deterministic deployment proxy: the same everywhere, since nobody has its key
/// (<https://github.com/Arachnid/deterministic-deployment-proxy>). It takes 32 bytes of salt and
/// creation code, and passes both to CREATE2.
pub const DEPLOYMENT_PROXY: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");

const DEPLOYMENT_PROXY_CODE: [u8; 69] = hex!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

const SALT: B256 = B256::ZERO;

/// A contract of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    /// Sells credits on chain.
    CreditsPurchase,
    /// Keeps the heads of the log.
    CheckpointAnchor,
}

/// What stands at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeFound {
    Nothing,
    Expected,
    Other,
}

/// What `contracts/scripts/build.mjs` writes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    bytecode: Bytes,
    deployed_bytecode: Bytes,
}

impl Contract {
    pub const ALL: [Self; 2] = [Self::CreditsPurchase, Self::CheckpointAnchor];

    /// As the command line has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreditsPurchase => "credits-purchase",
            Self::CheckpointAnchor => "checkpoint-anchor",
        }
    }

    /// Where CREATE2 puts it, on every chain.
    #[must_use]
    pub fn address(self, owner: Address) -> Address {
        DEPLOYMENT_PROXY.create2(SALT, keccak256(self.creation(owner)))
    }

    /// The call data of the deployment proxy that creates it.
    #[must_use]
    pub fn deployment(self, owner: Address) -> Bytes {
        [SALT.as_slice(), &self.creation(owner)].concat().into()
    }

    fn creation(self, owner: Address) -> Vec<u8> {
        [&self.artifact().bytecode, owner.abi_encode().as_slice()].concat()
    }

    fn artifact(self) -> &'static Artifact {
        static PURCHASE: OnceLock<Artifact> = OnceLock::new();
        static ANCHOR: OnceLock<Artifact> = OnceLock::new();
        let (kept, text) = match self {
            Self::CreditsPurchase => (
                &PURCHASE,
                include_str!("../../../contracts/artifacts/CreditsPurchase.json"),
            ),
            Self::CheckpointAnchor => (
                &ANCHOR,
                include_str!("../../../contracts/artifacts/CheckpointAnchor.json"),
            ),
        };
        kept.get_or_init(|| serde_json::from_str(text).expect("a test reads what is built in"))
    }
}

impl Network {
    /// What stands where `contract` belongs.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn contract_found(
        &self,
        contract: Contract,
        owner: Address,
    ) -> Result<CodeFound, ChainError> {
        let code = self.code(contract.address(owner)).await?;
        Ok(compare(&code, &contract.artifact().deployed_bytecode))
    }

    /// What stands where the deployment proxy belongs.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn deployment_proxy_found(&self) -> Result<CodeFound, ChainError> {
        let code = self.code(DEPLOYMENT_PROXY).await?;
        Ok(compare(&code, &DEPLOYMENT_PROXY_CODE))
    }

    /// Whether an account has code: a contract, or a key's account that delegated to one (EIP-7702).
    ///
    /// # Errors
    /// When no node answers.
    pub async fn has_code(&self, account: Address) -> Result<bool, ChainError> {
        Ok(!self.code(account).await?.is_empty())
    }

    async fn code(&self, account: Address) -> Result<Bytes, ChainError> {
        self.on_one_node(
            |node| async move { node.rpc.call("eth_getCode", (account, "latest")).await },
        )
        .await
    }
}

fn compare(found: &[u8], expected: &[u8]) -> CodeFound {
    if found.is_empty() {
        CodeFound::Nothing
    } else if found == expected {
        CodeFound::Expected
    } else {
        CodeFound::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_and_the_code_decide_the_address() {
        let owner = Address::repeat_byte(1);
        let [purchase, anchor] = Contract::ALL.map(|contract| contract.address(owner));
        assert_ne!(purchase, anchor);
        assert_ne!(
            purchase,
            Contract::CreditsPurchase.address(Address::repeat_byte(2))
        );
        // Computed by another program. A new version of a contract stands elsewhere, and its users have
        // to be told.
        assert_eq!(
            [purchase, anchor],
            [
                address!("86ef2df43cbab0a23bf254be7190a777442291ec"),
                address!("ec4a463e83830dec7abe60b9a8de61f77382768f"),
            ]
        );
        for contract in Contract::ALL {
            let code = &contract.artifact().deployed_bytecode;
            assert!(!code.is_empty());
            assert_eq!(compare(code, code), CodeFound::Expected);
            let deployment = contract.deployment(owner);
            assert_eq!(deployment[..32], [0; 32]);
            assert_eq!(deployment[deployment.len() - 20..], *owner);
        }
    }

    #[test]
    fn other_code_is_not_ours() {
        assert_eq!(compare(&[], &[1]), CodeFound::Nothing);
        assert_eq!(compare(&[1], &[1]), CodeFound::Expected);
        assert_eq!(compare(&[1, 0], &[1]), CodeFound::Other);
        // An account that was delegated (EIP-7702) is no contract of ours.
        assert_eq!(compare(&hex!("ef0100"), &[1]), CodeFound::Other);
    }
}
