//! Contract wallets: does the code at an address take a signature as its own? (ERC-1271)

use alloy::{
    primitives::{Address, B256, Bytes, U64, fixed_bytes},
    sol_types::SolCall,
};
use serde_json::json;

use super::{
    ChainError, Network,
    bindings::ContractWallet,
    counterfactual::{Counterfactual, second_return},
    settlement::Call,
    token::is_revert,
};

/// What a wallet may take to say yes. Passkeys (P-256) without a precompile take the most.
const SIGNATURE_GAS_MAX: u64 = 400_000;

/// What a wallet answers for yes, as a word.
const YES: B256 = fixed_bytes!("1626ba7e00000000000000000000000000000000000000000000000000000000");

impl Network {
    /// Whether the code of `wallet`, as it is now, takes `signature` as its own of `digest`, when
    /// `asker` asks. An address without code takes none, unless the signature names a factory that
    /// may make the wallet (ERC-6492). What is true now may be false later.
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
        let wrapped = Counterfactual::read(signature);
        let shown = wrapped
            .as_ref()
            .map_or(signature, |wrapped| wrapped.signature.as_ref());
        let call = ContractWallet::isValidSignatureCall {
            hash: digest,
            signature: Bytes::copy_from_slice(shown),
        };
        let question = Call {
            to: wallet,
            data: call.abi_encode().into(),
            gas_max: SIGNATURE_GAS_MAX,
        };
        let made = wrapped.filter(|wrapped| self.makes_wallets(wrapped.factory));
        let Some(made) = made else {
            let word = self.ask(asker, &question).await?;
            return Ok(says_yes(&word));
        };
        // The wallet that the factory would make is asked where it would be.
        let answer = self.ask(asker, &made.then(wallet, question.data)).await?;
        Ok(second_return(&answer).is_some_and(|word| says_yes(&word)))
    }

    /// What a call returns; nothing, if it fails.
    async fn ask(&self, asker: Address, question: &Call) -> Result<Bytes, ChainError> {
        let transaction = &json!({
            "from": asker,
            "to": question.to,
            "data": question.data,
            "gas": U64::from(question.gas_max),
        });
        self.on_one_node(|node| async move {
            match node.rpc.call("eth_call", (transaction, "latest")).await {
                Err(ChainError::Rpc(refusal)) if is_revert(&refusal) => Ok(Bytes::new()),
                answer => answer,
            }
        })
        .await
    }
}

/// As tokens judge it: more than a word is read as its first.
fn says_yes(answer: &[u8]) -> bool {
    answer.get(..32) == Some(YES.as_slice())
}
