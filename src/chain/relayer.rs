//! The account that pays the gas of settlements, and what it signs.

use std::fmt;

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::eip2718::{Decodable2718, Encodable2718},
    primitives::{Address, B256, TxKind, U64, U256},
    signers::{SignerSync, local::PrivateKeySigner},
};
use serde_json::json;

use super::{
    ChainError, Fees, Network,
    token::{SETTLEMENT_GAS_MAX, settlement_call},
};
use crate::{base::NetworkId, payment::Authorization};

/// A transaction ready to be broadcast. Its bytes may be sent any number of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    /// EIP-2718 bytes.
    pub raw: Vec<u8>,
    pub hash: B256,
}

/// A stored transaction, read from its bytes: what its fees are, and what it is with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTransaction(TxEip1559);

impl StoredTransaction {
    /// `None` when the bytes are no transaction of this relayer's kind.
    #[must_use]
    pub fn read(raw: &[u8]) -> Option<Self> {
        let mut rest = raw;
        let signed = TxEnvelope::decode_2718(&mut rest).ok()?;
        let transaction = signed.as_eip1559()?.tx().clone();
        rest.is_empty().then_some(Self(transaction))
    }

    #[must_use]
    pub const fn fees(&self) -> Fees {
        Fees {
            max_fee_per_gas: self.0.max_fee_per_gas,
            max_priority_fee_per_gas: self.0.max_priority_fee_per_gas,
        }
    }

    #[must_use]
    pub const fn gas_limit(&self) -> u64 {
        self.0.gas_limit
    }
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

    /// An account's next nonce after the newest block. What nodes hold in their pools is left out:
    /// it may never be mined, and then whatever was built on it waits for ever.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn next_nonce(&self, account: Address) -> Result<u64, ChainError> {
        self.on_one_node(|node| async move { node.next_nonce(account).await })
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

    /// Makes sure that the relayer can pay for a transaction at its highest price.
    ///
    /// # Errors
    /// [`ChainError::RelayerShort`] when it cannot; another error when no node answers.
    pub async fn check_relayer_balance(
        &self,
        fees: Fees,
        gas_limit: u64,
    ) -> Result<(), ChainError> {
        let needed = U256::from(fees.max_fee_per_gas) * U256::from(gas_limit);
        let balance = self.relayer_balance().await?;
        if balance < needed {
            return Err(ChainError::RelayerShort {
                network: self.id(),
                relayer: self.relayer_address(),
                balance,
                needed,
            });
        }
        Ok(())
    }

    /// The same transaction at other fees. Whichever of the two is mined, the other never is: they
    /// have one account nonce. `None` when the fees are more than the operator allows, or contradict
    /// themselves.
    #[must_use]
    pub fn sign_again(&self, stored: &StoredTransaction, fees: Fees) -> Option<SignedTransaction> {
        let sound = fees.max_priority_fee_per_gas <= fees.max_fee_per_gas
            && fees.max_fee_per_gas <= self.max_fee_per_gas();
        sound.then(|| {
            self.inner().relayer.sign(TxEip1559 {
                max_fee_per_gas: fees.max_fee_per_gas,
                max_priority_fee_per_gas: fees.max_priority_fee_per_gas,
                ..stored.0.clone()
            })
        })
    }

    /// What a transaction that only uses an account nonce up takes in gas, a margin included.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn filler_gas(&self) -> Result<u64, ChainError> {
        let relayer = self.relayer_address();
        let transaction = &json!({ "from": relayer, "to": relayer, "value": U64::ZERO });
        let estimate = self.on_one_node(|node| async move {
            node.rpc
                .call("eth_estimateGas", (transaction, "latest"))
                .await
        });
        let gas: U64 = estimate.await?;
        let gas: u64 = gas.to();
        Ok(gas.saturating_add(gas / 4).min(SETTLEMENT_GAS_MAX))
    }

    /// Signs a transaction that moves nothing, for an account nonce that others wait for.
    #[must_use]
    pub fn sign_filler(&self, account_nonce: u64, fees: Fees, gas_limit: u64) -> SignedTransaction {
        let relayer = &self.inner().relayer;
        relayer.sign(TxEip1559 {
            chain_id: relayer.network.chain_id(),
            nonce: account_nonce,
            gas_limit,
            max_fee_per_gas: fees.max_fee_per_gas,
            max_priority_fee_per_gas: fees.max_priority_fee_per_gas,
            to: TxKind::Call(self.relayer_address()),
            ..TxEip1559::default()
        })
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

    use alloy::{consensus::Transaction, primitives::keccak256};
    use zeroize::Zeroizing;

    use super::*;
    use crate::{chain::NetworkSettings, payment::Confirmations};

    fn network() -> Network {
        Network::new(NetworkSettings {
            id: NetworkId::from_chain_id(84532),
            rpc_urls: vec!["http://127.0.0.1:1".parse().unwrap()],
            confirmations: Confirmations::Blocks(NonZeroU64::MIN),
            reorg_blocks_max: 64,
            pay_to: Address::repeat_byte(3),
            assets: Vec::new(),
            relayer_key: Zeroizing::new([0x11; 32]),
            max_fee_per_gas: 100,
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

        let stored = StoredTransaction::read(&signed.raw).unwrap();
        assert_eq!((stored.fees(), stored.gas_limit()), (fees, 100_000));
        let at = |max_fee_per_gas, max_priority_fee_per_gas| {
            let fees = Fees {
                max_fee_per_gas,
                max_priority_fee_per_gas,
            };
            network.sign_again(&stored, fees)
        };
        assert_eq!(at(30, 2), Some(signed.clone()));
        let again = at(100, 40).unwrap();
        assert_ne!(again.hash, signed.hash);
        let again = TxEnvelope::decode_2718(&mut again.raw.as_slice()).unwrap();
        assert_eq!(
            (again.nonce(), again.gas_limit(), again.to(), again.input()),
            (read.nonce(), read.gas_limit(), read.to(), read.input())
        );
        assert_eq!(
            (again.max_fee_per_gas(), again.max_priority_fee_per_gas()),
            (100, Some(40))
        );
        assert_eq!(at(101, 40), None, "beyond the cap");
        assert_eq!(at(30, 31), None, "never valid");

        for broken in [
            &signed.raw[1..],
            &[signed.raw.as_slice(), &[0]].concat(),
            &[],
        ] {
            assert_eq!(StoredTransaction::read(broken), None);
        }
    }
}
