//! The accounts that pay the gas of settlements, and what they sign.

use std::{fmt, sync::Arc};

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::eip2718::{Decodable2718, Encodable2718},
    primitives::{Address, B256, TxKind, U64, U256},
    signers::{SignerSync, local::PrivateKeySigner},
};
use serde_json::json;

use super::{
    ChainError, Fees, Network,
    settlement::{Call, SETTLEMENT_GAS_MAX},
};
use crate::base::NetworkId;

const WEI_PER_GWEI: u128 = 1_000_000_000;

/// A transaction ready to be broadcast. Its bytes may be sent any number of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    /// EIP-2718 bytes.
    pub raw: Vec<u8>,
    pub hash: B256,
    /// The most that its gas may cost its account, in gwei, rounded up.
    pub cost_gwei: u64,
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

/// An account that signs transactions and pays their gas. Cheap to clone.
#[derive(Clone)]
pub struct Relayer(Arc<Inner>);

struct Inner {
    signer: PrivateKeySigner,
    network: NetworkId,
    /// The most that is offered for a unit of gas, in wei.
    max_fee_per_gas: u128,
}

impl Relayer {
    /// `None` when the bytes are no private key.
    pub(super) fn new(key: &[u8; 32], network: NetworkId, max_fee_per_gas: u128) -> Option<Self> {
        let signer = PrivateKeySigner::from_slice(key).ok()?;
        Some(Self(Arc::new(Inner {
            signer,
            network,
            max_fee_per_gas,
        })))
    }

    #[must_use]
    pub fn address(&self) -> Address {
        self.0.signer.address()
    }

    fn sign(&self, transaction: TxEip1559) -> SignedTransaction {
        let signature = self
            .0
            .signer
            .sign_hash_sync(&transaction.signature_hash())
            .expect("a valid key signs any digest");
        let cost_gwei = cost_gwei(transaction.max_fee_per_gas, transaction.gas_limit);
        let signed = transaction.into_signed(signature);
        SignedTransaction {
            raw: signed.encoded_2718(),
            hash: *signed.hash(),
            cost_gwei,
        }
    }

    /// The same transaction at other fees. Whichever of the two is mined, the other never is: they
    /// have one account nonce. `None` when the fees are more than the operator allows, or contradict
    /// themselves.
    #[must_use]
    pub fn sign_again(&self, stored: &StoredTransaction, fees: Fees) -> Option<SignedTransaction> {
        let sound = fees.max_priority_fee_per_gas <= fees.max_fee_per_gas
            && fees.max_fee_per_gas <= self.0.max_fee_per_gas;
        sound.then(|| {
            self.sign(TxEip1559 {
                max_fee_per_gas: fees.max_fee_per_gas,
                max_priority_fee_per_gas: fees.max_priority_fee_per_gas,
                ..stored.0.clone()
            })
        })
    }

    /// Signs a transaction that moves nothing, for an account nonce that others wait for.
    #[must_use]
    pub fn sign_filler(&self, account_nonce: u64, fees: Fees, gas_limit: u64) -> SignedTransaction {
        self.sign(TxEip1559 {
            chain_id: self.0.network.chain_id(),
            nonce: account_nonce,
            gas_limit,
            max_fee_per_gas: fees.max_fee_per_gas,
            max_priority_fee_per_gas: fees.max_priority_fee_per_gas,
            to: TxKind::Call(self.address()),
            ..TxEip1559::default()
        })
    }

    /// Signs a call of a contract. Asks nobody and waits for
    /// nothing, and gives the same bytes for the same arguments, so it may run inside the transaction
    /// that reserves `account_nonce`.
    #[must_use]
    pub fn sign_call(
        &self,
        call: &Call,
        account_nonce: u64,
        fees: Fees,
        gas_limit: u64,
    ) -> SignedTransaction {
        self.sign(TxEip1559 {
            chain_id: self.0.network.chain_id(),
            nonce: account_nonce,
            gas_limit,
            max_fee_per_gas: fees.max_fee_per_gas,
            max_priority_fee_per_gas: fees.max_priority_fee_per_gas,
            to: TxKind::Call(call.to),
            value: U256::ZERO,
            access_list: alloy::eips::eip2930::AccessList::default(),
            input: call.data.clone(),
        })
    }
}

/// What gas costs at most, in gwei, rounded up.
#[must_use]
pub fn cost_gwei(fee_per_gas: u128, gas: u64) -> u64 {
    let wei = fee_per_gas.saturating_mul(u128::from(gas));
    u64::try_from(wei.div_ceil(WEI_PER_GWEI)).unwrap_or(u64::MAX)
}

/// What an account has to pay gas with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GasFunds {
    /// The account's next nonce after the newest block.
    pub next_nonce: u64,
    /// In gwei, rounded down.
    pub balance_gwei: u64,
}

impl Network {
    /// The accounts that settle payments, in the order of the configuration.
    #[must_use]
    pub fn relayers(&self) -> &[Relayer] {
        &self.inner().relayers
    }

    /// The account that refunds are paid from.
    #[must_use]
    pub fn float(&self) -> Option<&Relayer> {
        self.inner().float.as_ref()
    }

    /// The configured account that has this address, whatever it signs.
    #[must_use]
    pub fn relayer(&self, address: Address) -> Option<&Relayer> {
        let mut relayers = self.relayers().iter().chain(self.float());
        relayers.find(|relayer| relayer.address() == address)
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

    /// What an account holds to pay gas with, in wei.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn gas_balance(&self, account: Address) -> Result<U256, ChainError> {
        self.on_one_node(|node| async move { node.gas_balance(account).await })
            .await
    }

    /// What an account has to pay gas with, read from one node. The nonce is read first: a
    /// transaction that is mined between the two reads is then counted twice rather than not at all.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn gas_funds(&self, account: Address) -> Result<GasFunds, ChainError> {
        self.on_one_node(|node| async move {
            let next_nonce = node.next_nonce(account).await?;
            let wei = node.gas_balance(account).await?;
            Ok(GasFunds {
                next_nonce,
                balance_gwei: (wei / U256::from(WEI_PER_GWEI)).saturating_to(),
            })
        })
        .await
    }

    /// What a transaction that only uses an account nonce up takes in gas, a margin included.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn filler_gas(&self, account: Address) -> Result<u64, ChainError> {
        let transaction = &json!({ "from": account, "to": account, "value": U64::ZERO });
        let estimate = self.on_one_node(|node| async move {
            node.rpc
                .call("eth_estimateGas", (transaction, "latest"))
                .await
        });
        let gas: U64 = estimate.await?;
        let gas: u64 = gas.to();
        Ok(gas.saturating_add(gas / 4).min(SETTLEMENT_GAS_MAX))
    }
}

impl fmt::Debug for Relayer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Relayer({:#x})", self.address())
    }
}

#[cfg(test)]
mod tests {
    use alloy::{consensus::Transaction, primitives::keccak256};

    use super::*;
    use crate::{
        chain::testing,
        payment::{Authorization, TransferMethod},
    };

    #[test]
    fn a_settlement_is_signed_for_its_chain_nonce_and_fees() {
        let network = testing::network(&[]);
        let relayer = &network.relayers()[0];
        let terms = Authorization {
            method: TransferMethod::Eip3009,
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
        let call = network.settlement(token, &terms, &[0; 65]);
        let sign = || relayer.sign_call(&call, 5, fees, 100_000);
        let signed = sign();
        assert_eq!(signed, sign());
        assert_eq!(signed.hash, keccak256(&signed.raw));

        let read = TxEnvelope::decode_2718(&mut signed.raw.as_slice()).unwrap();
        let digest = read.signature_hash();
        let recovered = read.signature().recover_address_from_prehash(&digest);
        assert_eq!(recovered.unwrap(), relayer.address());
        assert_eq!(
            (read.chain_id(), read.nonce(), read.gas_limit(), read.to()),
            (Some(84532), 5, 100_000, Some(token))
        );
        assert_eq!(
            (read.max_fee_per_gas(), read.max_priority_fee_per_gas()),
            (30, Some(2))
        );
        assert_eq!(read.input(), &call.data);
        assert_eq!(signed.cost_gwei, 1, "3,000,000 wei, rounded up");

        let stored = StoredTransaction::read(&signed.raw).unwrap();
        assert_eq!((stored.fees(), stored.gas_limit()), (fees, 100_000));
        let at = |max_fee_per_gas, max_priority_fee_per_gas| {
            let fees = Fees {
                max_fee_per_gas,
                max_priority_fee_per_gas,
            };
            relayer.sign_again(&stored, fees)
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
