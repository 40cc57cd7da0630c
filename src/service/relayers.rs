//! The accounts that pay gas: which of them settles next, and which hold too little.

use std::{collections::HashMap, sync::atomic::Ordering};

use alloy::primitives::{Address, U256, utils::format_ether};

use super::{Service, Unavailable, locked};
use crate::{
    base::NetworkId,
    chain::{ChainError, Network, Relayer, SETTLEMENT_GAS_TYPICAL, cost_gwei},
    store::StoredSettlement,
};

const WEI_PER_GWEI: u64 = 1_000_000_000;

/// What was last seen of a relayer's gas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gas {
    /// In wei.
    balance: U256,
    /// Less than the operator wants it to hold.
    low: bool,
    /// Too little for one settlement: asked after the others.
    short: bool,
}

impl Service {
    /// A network's relayers in the order in which they are to be asked: those last that were short of
    /// gas, and first those with the fewest open transactions. Equals take turns.
    pub(super) async fn relayers<'a>(
        &self,
        network: &'a Network,
    ) -> Result<Vec<&'a Relayer>, Unavailable> {
        let busy = self.store().busy_relayers(network.id().chain_id()).await?;
        let open: HashMap<Address, u32> =
            busy.iter().map(|busy| (busy.relayer, busy.open)).collect();
        let mut relayers: Vec<&Relayer> = network.relayers().iter().collect();
        if relayers.len() > 1 {
            let turn = self.0.turn.fetch_add(1, Ordering::Relaxed) % relayers.len();
            relayers.rotate_left(turn);
        }
        let gas = locked(&self.0.gas);
        let of = |relayer: &Relayer| gas.get(&(network.id(), relayer.address()));
        relayers.sort_by_key(|relayer| {
            let short = of(relayer).is_some_and(|gas| gas.short);
            (short, open.get(&relayer.address()).copied().unwrap_or(0))
        });
        Ok(relayers)
    }

    /// Remembers whether a relayer could pay for a settlement.
    pub(super) fn note_gas(&self, network: NetworkId, relayer: Address, stored: &StoredSettlement) {
        let short = match stored {
            StoredSettlement::Signed(_) => false,
            StoredSettlement::Short { .. } => true,
            StoredSettlement::Moved => return,
        };
        let mut gas = locked(&self.0.gas);
        gas.entry((network, relayer)).or_default().short = short;
    }

    /// Makes sure that an account can pay for a transaction at its highest price, and for the open
    /// ones that come before it.
    pub(super) async fn check_gas(
        &self,
        network: &Network,
        relayer: Address,
        account_nonce: u64,
        cost_gwei: u64,
    ) -> Result<(), Unavailable> {
        let funds = network.gas_funds(relayer).await?;
        let before = funds.next_nonce..account_nonce;
        let chain_id = network.id().chain_id();
        let committed = self.store().committed_gwei(chain_id, relayer, before);
        let needed_gwei = committed.await?.saturating_add(cost_gwei);
        if funds.balance_gwei < needed_gwei {
            return Err(Unavailable::ShortOfGas {
                network: network.id(),
                relayers: vec![relayer],
                needed_gwei,
            });
        }
        Ok(())
    }

    /// One look at what the relayers hold.
    ///
    /// # Errors
    /// When the store cannot answer. A node that does not answer is logged.
    pub async fn watch_gas(&self) -> Result<(), Unavailable> {
        for network in self.networks() {
            if let Err(error) = self.watch_gas_of(network).await {
                tracing::debug!(network = %network.id(), %error, "nobody says what the relayers hold");
            }
            let busy = self.store().busy_relayers(network.id().chain_id()).await?;
            for relayer in network.relayers() {
                let address = relayer.address();
                let busy = busy.iter().find(|busy| busy.relayer == address);
                let open = busy.map_or(0, |busy| busy.open);
                let labels = labels(network.id(), address);
                metrics::gauge!("relayer_open_transactions", &labels).set(open);
            }
        }
        Ok(())
    }

    async fn watch_gas_of(&self, network: &Network) -> Result<(), ChainError> {
        let fee = match network.gas_price().await {
            Ok(price) => price.fees.max_fee_per_gas,
            Err(ChainError::GasTooDear { cap, .. }) => cap,
            Err(error) => return Err(error),
        };
        let settlement =
            U256::from(cost_gwei(fee, SETTLEMENT_GAS_TYPICAL)) * U256::from(WEI_PER_GWEI);
        let wanted = settlement * U256::from(network.low_settlements());
        for relayer in network.relayers() {
            let address = relayer.address();
            let balance = network.gas_balance(address).await?;
            let low = balance < wanted;
            let labels = labels(network.id(), address);
            metrics::gauge!("relayer_balance_wei", &labels).set(f64::from(balance));
            metrics::gauge!("relayer_low_gas", &labels).set(f64::from(u8::from(low)));
            let seen = Gas {
                balance,
                low,
                short: balance < settlement,
            };
            let before = locked(&self.0.gas).insert((network.id(), address), seen);
            if low && !before.is_some_and(|before| before.low) {
                tracing::warn!("{}", warning(network, address, balance));
            }
        }
        Ok(())
    }

    /// What an operator has to see to soon, though the service serves: each a sentence.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let gas = locked(&self.0.gas);
        let mut warnings = Vec::new();
        for network in self.networks() {
            for relayer in network.relayers() {
                let address = relayer.address();
                if let Some(seen) = gas.get(&(network.id(), address))
                    && seen.low
                {
                    warnings.push(warning(network, address, seen.balance));
                }
            }
        }
        warnings
    }
}

fn warning(network: &Network, relayer: Address, balance: U256) -> String {
    format!(
        "the relayer {relayer:#x} on {} holds {} of the gas token, less than {} settlements may cost \
         at the present price: send it gas",
        network.id(),
        format_ether(balance),
        network.low_settlements(),
    )
}

fn labels(network: NetworkId, relayer: Address) -> [(&'static str, String); 2] {
    [
        ("network", network.to_string()),
        ("relayer", format!("{relayer:#x}")),
    ]
}
