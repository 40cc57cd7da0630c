//! What a payer may cost the relayers: they pay also for settlements that fail, and whoever has code,
//! or moves its balance away in time, can make one fail that would have succeeded.

use super::{
    PaymentProblem, Reason, Service, Unavailable,
    payment_check::{Recovered, Signer},
};
use crate::{
    chain::Network,
    payment::AuthorizationFact,
    store::{PayerRefusal, PayerRisk, Payment},
};

impl Service {
    /// What a settlement for this payer rests on, unless none may be sent for it now. The intent is
    /// stored only where the books still agree.
    pub(super) async fn payer_risk(
        &self,
        recovered: &Recovered<'_>,
    ) -> Result<PayerRisk, PaymentProblem> {
        let (network, terms) = (recovered.network, &recovered.payment.authorization);
        let by_code = match recovered.signer {
            Signer::Wallet { .. } => true,
            Signer::Key => network.has_code(terms.from).await?,
        };
        let record = self.store().payer_record(recovered.payer(), self.now());
        if let Some(refusal) = record.await?.refusal(by_code) {
            return Err(Reason::from(refusal).into());
        }
        let balance = network.balance_of(recovered.asset.token, terms.from);
        let mut risk = PayerRisk {
            by_code,
            balance: balance.await?,
            moved: Vec::new(),
        };
        if risk.balance < terms.value {
            return Err(Reason::InsufficientFunds.into());
        }
        let (payer, asset) = (recovered.payer(), recovered.asset_id());
        let promised = self.store().promised(payer, asset).await?;
        for (id, _) in &promised {
            if risk.covers(terms.value, &promised) {
                break;
            }
            let payment = self.store().payment(*id).await?;
            if let Some(payment) = payment
                && self.has_moved(network, &payment).await?
            {
                risk.moved.push(*id);
            }
        }
        if risk.covers(terms.value, &promised) {
            Ok(risk)
        } else {
            Err(Reason::InsufficientFunds.into())
        }
    }

    /// Whether a block has used an open payment's authorization, however new: its payer's balance is
    /// without the money, and the books do not have it yet.
    async fn has_moved(&self, network: &Network, payment: &Payment) -> Result<bool, Unavailable> {
        let Some(authorization) = &payment.authorization else {
            return Ok(false);
        };
        let fact = self.look(network, payment, authorization).await?;
        Ok(!matches!(fact, AuthorizationFact::Unused { .. }))
    }
}

impl From<PayerRefusal> for Reason {
    fn from(refusal: PayerRefusal) -> Self {
        match refusal {
            PayerRefusal::Busy => Self::PayerBusy,
            PayerRefusal::Barred => Self::PayerBarred,
            PayerRefusal::SettlementsFailed => Self::SettlementsFailed,
            PayerRefusal::FundsPromised => Self::InsufficientFunds,
        }
    }
}
