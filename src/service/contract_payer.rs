//! Payers that are contracts (ERC-1271). Their word is code: it may cost gas, and it may be another
//! one when the settlement is mined than when it was asked. So they are taken only when no key
//! signed, one at a time, and never again after a settlement that failed.

use std::time::Duration;

use tokio::{sync::SemaphorePermit, time::timeout};

use super::{PaymentProblem, Reason, Service, Unavailable, payment_check::Signer};
use crate::{
    chain::{Asset, Network},
    payment::{PERMIT2, TransferMethod},
    x402::SignedPayment,
};

/// Wallets whose code is asked at one time.
pub(super) const AT_ONCE: usize = 8;
const PATIENCE: Duration = Duration::from_secs(2);

impl Service {
    /// Asks the code of `from` whether it signed. The one question to a node that a signature
    /// nobody's key made can cost; it is not asked for money that goes elsewhere.
    pub(super) async fn ask_wallet(
        &self,
        network: &Network,
        asset: &Asset,
        payment: &SignedPayment,
    ) -> Result<Signer<'_>, PaymentProblem> {
        let terms = &payment.authorization;
        if !self.is_pay_to(network.id(), terms.to) {
            return Err(Reason::InvalidSignature.into());
        }
        let place = self.wallet_check().await?;
        let digest = terms.digest(&network.domain(asset));
        let asker = match terms.method {
            TransferMethod::Eip3009 => asset.token,
            TransferMethod::Permit2 => PERMIT2,
        };
        let takes = network.wallet_takes(terms.from, digest, &payment.signature, asker);
        if takes.await.map_err(Unavailable::WalletSilent)? {
            Ok(Signer::Wallet { _place: place })
        } else {
            Err(Reason::InvalidSignature.into())
        }
    }

    pub(super) async fn wallet_check(&self) -> Result<SemaphorePermit<'_>, Unavailable> {
        match timeout(PATIENCE, self.0.wallet_checks.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(Unavailable::WalletChecksBusy),
        }
    }
}
