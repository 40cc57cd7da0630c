//! A sponsor's consent to a claim: each is looked at once, and few of them for one request.

use super::{ClaimRequest, PaymentProblem, Reason, Service, Unavailable};
use crate::{
    auth::{SponsorMessage, SponsorReference, WalletSignature, eip191_digest},
    base::{AgentAddress, Credits},
    chain::{Arrival, Network},
};

/// Consents that one claim may have looked at: its transaction may hold any number of transfers.
const CONSENTS_MAX: usize = 4;

/// What was found about the consents that one claim may stand for.
#[derive(Default)]
pub(super) struct Consents(Vec<Consent>);

struct Consent {
    payer: AgentAddress,
    credits: Credits,
    given: bool,
}

impl Consents {
    fn get(&self, payer: AgentAddress, credits: Credits) -> Option<bool> {
        let mut known = self.0.iter();
        let known = known.find(|known| known.payer == payer && known.credits == credits);
        known.map(|known| known.given)
    }
}

impl Service {
    /// Whoever paid for another wallet must say so, for this transaction and this amount.
    pub(super) async fn check_consent(
        &self,
        request: &ClaimRequest,
        network: &Network,
        arrival: &Arrival,
        credits: Credits,
        consents: &mut Consents,
    ) -> Result<(), PaymentProblem> {
        let Some(signature) = &request.sponsor_signature else {
            let missing = request.payer.map(|_| Reason::SponsorSignatureMissing);
            return Err(missing.unwrap_or(Reason::PayerMismatch).into());
        };
        let payer = AgentAddress::new(arrival.transfer.from);
        let given = match consents.get(payer, credits) {
            Some(given) => given,
            None if consents.0.len() >= CONSENTS_MAX => false,
            None => {
                let message = SponsorMessage {
                    payer,
                    recipient: request.wallet,
                    credits,
                    reference: SponsorReference::Transaction(request.transaction),
                };
                // A contract's code is asked only where the request names it.
                let named = (request.payer == Some(payer)).then_some(network);
                let given = self.is_given(&message, signature, named, arrival).await?;
                consents.0.push(Consent {
                    payer,
                    credits,
                    given,
                });
                given
            }
        };
        if given {
            Ok(())
        } else {
            Err(Reason::SponsorSignatureInvalid.into())
        }
    }

    async fn is_given(
        &self,
        message: &SponsorMessage,
        signature: &WalletSignature,
        named: Option<&Network>,
        arrival: &Arrival,
    ) -> Result<bool, PaymentProblem> {
        let key = signature.key();
        if key.is_some_and(|signature| message.candidates().verify(&signature).is_ok()) {
            return Ok(true);
        }
        let Some(network) = named else {
            return Ok(false);
        };
        let _place = self.wallet_check().await?;
        let digest = eip191_digest(&message.to_string()).into();
        let (bytes, asker) = (signature.bytes(), arrival.asset.token);
        let takes = network.wallet_takes(message.payer.address(), digest, bytes, asker);
        Ok(takes.await.map_err(Unavailable::WalletSilent)?)
    }
}
