//! The account that pays the gas of settlements, and what it signs.

use std::fmt;

use alloy::{
    consensus::{SignableTransaction, TxEip1559},
    eips::eip2718::Encodable2718,
    primitives::{Address, B256, TxKind, U256},
    signers::{SignerSync, local::PrivateKeySigner},
};

use super::{ChainError, Fees, Network, token::settlement_call};
use crate::{base::NetworkId, payment::Authorization};

/// A transaction ready to be broadcast. Its bytes may be sent any number of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    /// EIP-2718 bytes.
    pub raw: Vec<u8>,
    pub hash: B256,
}

/// The next account nonce of the relayer, as the chain sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountNonces {
    /// After the newest block.
    pub latest: u64,
    /// After what the node holds in its pool as well.
    pub pending: u64,
}

pub(super) struct Relayer {
    signer: PrivateKeySigner,
    network: NetworkId,
}

impl Relayer {
    /// `None` when the bytes are no private key.
    pub(super) fn new(key: &[u8; 32], network: NetworkId) -> Option<Self> {
        let signer = PrivateKeySigner::from_slice(key).ok()?;
        Some(Self { signer, network })
    }

    fn sign(&self, transaction: TxEip1559) -> SignedTransaction {
        let signature = self
            .signer
            .sign_hash_sync(&transaction.signature_hash())
            .expect("a valid key signs any digest");
        let signed = transaction.into_signed(signature);
        SignedTransaction {
            raw: signed.encoded_2718(),
            hash: *signed.hash(),
        }
    }
}

impl Network {
    #[must_use]
    pub fn relayer_address(&self) -> Address {
        self.inner().relayer.signer.address()
    }

    /// # Errors
    /// When no node answers.
    pub async fn relayer_nonces(&self) -> Result<AccountNonces, ChainError> {
        let relayer = self.relayer_address();
        self.on_one_node(|node| async move {
            Ok(AccountNonces {
                latest: node.account_nonce(relayer, "latest").await?,
                pending: node.account_nonce(relayer, "pending").await?,
            })
        })
        .await
    }

    /// What the relayer holds to pay gas with, in wei.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn relayer_balance(&self) -> Result<U256, ChainError> {
        let relayer = self.relayer_address();
        self.on_one_node(|node| async move { node.gas_balance(relayer).await })
            .await
    }

    /// Signs a settlement. Asks nobody and waits for nothing, and gives the same bytes for the same
    /// arguments, so it may run inside the transaction that reserves `account_nonce`.
    #[must_use]
    pub fn sign_settlement(
        &self,
        token: Address,
        terms: &Authorization,
        signature: &[u8],
        account_nonce: u64,
        fees: Fees,
        gas_limit: u64,
    ) -> SignedTransaction {
        let relayer = &self.inner().relayer;
        relayer.sign(TxEip1559 {
            chain_id: relayer.network.chain_id(),
            nonce: account_nonce,
            gas_limit,
            max_fee_per_gas: fees.max_fee_per_gas,
            max_priority_fee_per_gas: fees.max_priority_fee_per_gas,
            to: TxKind::Call(token),
            value: U256::ZERO,
            access_list: alloy::eips::eip2930::AccessList::default(),
            input: settlement_call(terms, signature),
        })
    }
}

impl fmt::Debug for Relayer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Relayer({:#x})", self.signer.address())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use alloy::{
        consensus::{Transaction, TxEnvelope},
        eips::eip2718::Decodable2718,
        primitives::keccak256,
    };
    use zeroize::Zeroizing;

    use super::*;
    use crate::{chain::NetworkSettings, payment::Confirmations};

    fn network() -> Network {
        Network::new(NetworkSettings {
            id: NetworkId::from_chain_id(84532),
            rpc_urls: vec!["http://127.0.0.1:1".parse().unwrap()],
            confirmations: Confirmations::Blocks(NonZeroU64::MIN),
            pay_to: Address::repeat_byte(3),
            assets: Vec::new(),
            relayer_key: Zeroizing::new([0x11; 32]),
        })
        .unwrap()
    }

    #[test]
    fn a_settlement_is_signed_for_its_chain_nonce_and_fees() {
        let network = network();
        let terms = Authorization {
            from: Address::repeat_byte(2),
            to: Address::repeat_byte(3),
            value: U256::from(500),
            valid_after: 7,
            valid_before: 9,
            nonce: B256::repeat_byte(4),
        };
        let fees = Fees {
            max_fee_per_gas: 30,
            max_priority_fee_per_gas: 2,
        };
        let token = Address::repeat_byte(1);
        let sign = || network.sign_settlement(token, &terms, &[0; 65], 5, fees, 100_000);
        let signed = sign();
        assert_eq!(signed, sign());
        assert_eq!(signed.hash, keccak256(&signed.raw));

        let read = TxEnvelope::decode_2718(&mut signed.raw.as_slice()).unwrap();
        let digest = read.signature_hash();
        let recovered = read.signature().recover_address_from_prehash(&digest);
        assert_eq!(recovered.unwrap(), network.relayer_address());
        assert_eq!(
            (read.chain_id(), read.nonce(), read.gas_limit(), read.to()),
            (Some(84532), 5, 100_000, Some(token))
        );
        assert_eq!(
            (read.max_fee_per_gas(), read.max_priority_fee_per_gas()),
            (30, Some(2))
        );
        assert_eq!(read.input(), &settlement_call(&terms, &[0; 65]));
    }
}
