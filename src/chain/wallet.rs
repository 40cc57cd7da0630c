//! Contract wallets: does the code at an address take a signature as its own? (ERC-1271)

use alloy::{
    primitives::{Address, B256, Bytes, U64, fixed_bytes},
    sol_types::SolCall,
};
use serde_json::json;

use super::{ChainError, Network, bindings::ContractWallet, token::is_revert};

/// What a wallet may take to say yes. Passkeys (P-256) without a precompile take the most.
const SIGNATURE_GAS_MAX: u64 = 400_000;

/// What a wallet answers for yes, as a word.
const YES: B256 = fixed_bytes!("1626ba7e00000000000000000000000000000000000000000000000000000000");

impl Network {
    /// Whether the code of `wallet`, as it is now, takes `signature` as its own of `digest`, when
    /// `asker` asks. An address without code takes none. What is true now may be false later.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn wallet_takes(
        &self,
        wallet: Address,
        digest: B256,
        signature: &[u8],
        asker: Address,
    ) -> Result<bool, ChainError> {
        let call = ContractWallet::isValidSignatureCall {
            hash: digest,
            signature: Bytes::copy_from_slice(signature),
        };
        let transaction = &json!({
            "from": asker,
            "to": wallet,
            "data": Bytes::from(call.abi_encode()),
            "gas": U64::from(SIGNATURE_GAS_MAX),
        });
        self.on_one_node(|node| async move {
            let answer: Result<Bytes, ChainError> =
                node.rpc.call("eth_call", (transaction, "latest")).await;
            match answer {
                // As tokens judge it: more than a word is read as its first.
                Ok(word) => Ok(word.get(..32) == Some(YES.as_slice())),
                Err(ChainError::Rpc(refusal)) if is_revert(&refusal) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }
}
