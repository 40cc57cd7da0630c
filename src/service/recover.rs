//! What a start does before the first request, and the workers ever after.

use std::sync::Arc;

use alloy::primitives::B256;
use thiserror::Error;
use tokio::task::JoinSet;

use super::{
    Service, Unavailable, locked,
    settle::{Progress, waits},
};
use crate::{
    base::{AgentAddress, NetworkId, PurchaseId},
    chain::{Asset, ChainError, DomainError, Network, Recipients},
};

/// Payments and transactions that one round of the reconciler takes.
const ROUND_MAX: u32 = 200;
/// Payments that are looked at side by side.
const AT_ONCE: usize = 8;
/// Steps of one payment in one round.
const STEPS_MAX: u32 = 8;
/// Commands of one sweep.
const SWEEPS_MAX: u32 = 200;

/// Why the service must not start. Each message tells the operator what to do.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("{0}")]
    WrongChain(ChainError),
    /// Domain separators, as EIP-712 computes them.
    #[error(
        "network {network}: the asset {} at {} has the DOMAIN_SEPARATOR {found}; its configured \
         eip712_name {:?} and eip712_version {:?} give {configured}: no payment in it could succeed",
        .asset.symbol, .asset.token, .asset.eip712_name, .asset.eip712_version
    )]
    WrongDomain {
        network: NetworkId,
        asset: Box<Asset>,
        configured: B256,
        found: B256,
    },
    #[error(
        "keys.directory holds another session key (id {found}) than this database was written with \
         (id {stored}): restore the key, or point database.url at the database that it belongs to"
    )]
    OtherKey { found: String, stored: String },
    #[error("the database cannot be used: {0}")]
    Unavailable(#[from] Unavailable),
}

impl Service {
    /// Makes the books ready: keys, price list and payTo addresses on record, chains checked, and
    /// what a crash left behind resolved. Must be the only process on the database.
    ///
    /// # Errors
    /// When serving would be wrong.
    pub async fn start(&self) -> Result<(), StartError> {
        self.pin_session_key().await?;
        self.keep_price_list().await?;
        for network in self.networks() {
            self.keep_recipients(network).await?;
            match network.verify_chain_id().await {
                Ok(()) => {
                    check_domains(network).await?;
                    if let Err(error) = self.begin_watch(network).await {
                        tracing::warn!(network = %network.id(), %error, "watching begins later");
                    }
                }
                Err(error @ ChainError::WrongChain { .. }) => {
                    return Err(StartError::WrongChain(error));
                }
                // Spending goes on without the chain; every use of the node checks its chain first.
                Err(error) => tracing::warn!(network = %network.id(), %error, "no node answers"),
            }
        }
        let voided = self.store().void_orphans(None, self.now()).await;
        let voided = voided.map_err(Unavailable::from)?;
        let abandoned = self.store().abandon_direct_calls(self.now()).await;
        let abandoned = abandoned.map_err(Unavailable::from)?;
        if !voided.is_empty() || abandoned > 0 {
            tracing::warn!(
                voided = voided.len(),
                abandoned,
                "calls of a dead process are undone"
            );
        }
        Ok(())
    }

    async fn pin_session_key(&self) -> Result<(), StartError> {
        let found = self.0.parts.session_key.id();
        let stored = self
            .store()
            .pin_key("session", found.clone(), self.now())
            .await;
        let stored = stored.map_err(Unavailable::from)?;
        if stored != found {
            return Err(StartError::OtherKey { found, stored });
        }
        Ok(())
    }

    /// Whom the network's transfers are for, now and ever before.
    async fn keep_recipients(&self, network: &Network) -> Result<(), Unavailable> {
        let (id, now) = (network.id(), self.now());
        let chain_id = id.chain_id();
        let pay_to = AgentAddress::new(network.pay_to());
        let former = self.store().keep_pay_to(chain_id, None, now).await?;
        let pay_tos = self
            .store()
            .keep_pay_to(chain_id, Some(pay_to), now)
            .await?;
        self.warn_if_late(id, &former, Some(pay_to)).await?;
        let watch = self.settings().watch.get(&id);
        let contract = watch.and_then(|watch| watch.purchase_contract);
        let contract = contract.map(AgentAddress::new);
        let keep = |contract| self.store().keep_purchase_contract(chain_id, contract, now);
        let former = keep(None).await?;
        let contracts = keep(contract).await?;
        self.warn_if_late(id, &former, contract).await?;
        let recipients = Recipients {
            pay_tos: pay_tos.into_iter().map(AgentAddress::address).collect(),
            purchase_contracts: contracts.into_iter().map(AgentAddress::address).collect(),
        };
        locked(&self.0.recipients).insert(id, Arc::new(recipients));
        Ok(())
    }

    /// Blocks that are read already are not read again for an address that is new in the configuration.
    async fn warn_if_late(
        &self,
        network: NetworkId,
        former: &[AgentAddress],
        address: Option<AgentAddress>,
    ) -> Result<(), Unavailable> {
        let new = address.filter(|address| !former.contains(address));
        if let Some(address) = new
            && let Some(cursor) = self.store().watch_cursor(network).await?
        {
            tracing::warn!(%network, %address, from_block = cursor.next, "an address that is new in the configuration is watched from here on; what came to it before is credited on a claim by its transaction_hash");
        }
        Ok(())
    }

    async fn keep_price_list(&self) -> Result<(), Unavailable> {
        let list = self.catalogue().price_list();
        let kept = self
            .store()
            .keep_price_list(*list.hash(), list.text().to_owned(), self.now());
        Ok(kept.await?)
    }

    /// One round over everything that the chain has still to decide.
    ///
    /// # Errors
    /// When the store cannot answer. A node that does not answer is logged, and asked again in the
    /// next round.
    pub async fn reconcile(&self) -> Result<(), Unavailable> {
        for network in self.networks() {
            self.tend_all(network, ROUND_MAX).await?;
        }
        let after = *locked(&self.0.reconciled);
        let open = self
            .store()
            .open_payments(after, self.now(), ROUND_MAX)
            .await?;
        // The next round goes on from here, so that stuck payments never hide the others.
        *locked(&self.0.reconciled) = open.last().copied();
        for some in open.chunks(AT_ONCE) {
            let mut looks = JoinSet::new();
            for &id in some {
                let service = self.clone();
                looks.spawn(async move { service.look_at(id).await });
            }
            looks.join_all().await;
        }
        self.reconcile_refunds().await
    }

    /// A few steps of one payment, unless a task drives it.
    async fn look_at(&self, id: PurchaseId) {
        if locked(&self.0.driven).contains(&id) {
            return;
        }
        for _ in 0..STEPS_MAX {
            match self.advance(id).await {
                Ok(Progress::Moved) if !self.stopping() => {}
                Ok(_) => return,
                Err(error) => return waits(id, &error),
            }
        }
    }

    /// Voids holds whose deadline is over, expires grants and drops replies whose time is over.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn sweep(&self) -> Result<(), Unavailable> {
        let now = self.now();
        let voided = self.store().void_orphans(Some(now), now).await?;
        if !voided.is_empty() {
            tracing::warn!(voided = voided.len(), "holds outlived their deadline");
        }
        let abandoned = self.store().abandon_overdue_calls(now).await?;
        if abandoned > 0 {
            tracing::warn!(abandoned, "paid calls outlived their deadline");
        }
        for _ in 0..SWEEPS_MAX {
            if !self.store().sweep(now).await? {
                break;
            }
        }
        Ok(())
    }
}

/// Makes sure that payments in each asset are signed for what the token checks.
async fn check_domains(network: &Network) -> Result<(), StartError> {
    for asset in network.assets() {
        match network.check_domain(asset).await {
            Ok(()) => {}
            Err(DomainError::Mismatch { configured, found }) => {
                return Err(StartError::WrongDomain {
                    network: network.id(),
                    asset: Box::new(asset.clone()),
                    configured,
                    found,
                });
            }
            Err(DomainError::Chain(error)) => {
                tracing::warn!(network = %network.id(), asset = asset.symbol, %error, "the token's domain is not checked");
            }
        }
    }
    Ok(())
}
