//! Buying credits.

use alloy::primitives::B256;
use thiserror::Error;

use super::{
    PaymentProblem, QuoteError, Reason, Service, Unavailable,
    payment_check::{FirstLook, Recovered, Signer, match_terms, worth},
    quote::PAYMENT_MISSING,
    random_id,
};
use crate::{
    auth::{SponsorMessage, SponsorReference, WalletSignature, eip191_digest},
    base::{AgentAddress, Credits, NetworkId, PurchaseId},
    payment::{Booked, Inclusion, PaymentState, PaymentWay},
    store::{NewPayment, PayerRisk, Payment, PaymentRefusal},
    x402::{PaymentRequired, SettleResponse, SignedPayment},
};

/// A purchase as the request says it.
#[derive(Clone, Debug)]
pub struct BuyRequest {
    /// The wallet to be credited.
    pub wallet: AgentAddress,
    pub credits: Credits,
    /// The client's own name for the purchase.
    pub label: Option<String>,
    pub payer: Option<AgentAddress>,
    pub sponsor_signature: Option<WalletSignature>,
    pub network: Option<NetworkId>,
    pub payment: Option<SignedPayment>,
}

/// A payment as its buyer may see it. The authorization is public once it settled, so nothing here
/// is private to the buyer but `balance`, which only the request that settled it gets.
#[derive(Clone)]
pub struct Purchase {
    pub payment: Payment,
    /// The wallet's balance, for the first to ask.
    pub balance: Option<Credits>,
}

/// What became of a purchase.
#[derive(Clone)]
pub enum BuyAnswer {
    Credited(Purchase),
    /// Not known yet: the state is durable and resolves by itself.
    Settling(Payment),
}

/// Why nothing was bought.
#[derive(Debug, Error)]
pub enum BuyError {
    #[error(transparent)]
    Quote(#[from] QuoteError),
    /// No payment came with the request.
    #[error("a payment is required")]
    PaymentRequired(Box<PaymentRequired>),
    /// Refused before anything was broadcast.
    #[error("the payment is refused: {reason}")]
    Refused {
        reason: String,
        response: Box<SettleResponse>,
        quote: Box<PaymentRequired>,
    },
    /// The authorization belongs to a direct call.
    #[error("the authorization belongs to {id}")]
    Replay { id: PurchaseId, state: PaymentState },
    /// The authorization was settled on the chain already, and cannot be credited as asked.
    #[error("the authorization is settled already")]
    Settled,
    /// The transfer is in a block before any whose transfers are taken here.
    #[error("the transfer is older than what is taken here")]
    TooOld,
    /// The claimed transfer is counted for another wallet.
    #[error("the transfer belongs to {id}")]
    Claimed { id: PurchaseId, state: PaymentState },
    /// The money is here, and an operator has to say whose it is.
    #[error("the transfer is in suspense")]
    InSuspense,
    /// The claimed transaction waits for its block.
    #[error("the transaction is not mined yet")]
    Pending,
    /// There is no network to claim on.
    #[error("no network is configured")]
    NothingIsSold,
    #[error(transparent)]
    Unavailable(Unavailable),
}

impl Service {
    /// Buys credits: quotes without a payment, and with one sees it through as far as it can be
    /// within the operator's patience.
    ///
    /// # Errors
    /// As [`BuyError`] says; nothing was broadcast then.
    pub async fn buy(&self, mut request: BuyRequest) -> Result<BuyAnswer, BuyError> {
        let Some(payment) = request.payment.take() else {
            self.check_quote(&request)?;
            return Err(BuyError::PaymentRequired(Box::new(
                self.quote_for(&request, PAYMENT_MISSING),
            )));
        };
        let (network, payer) = (payment.network, payment.authorization.from);
        match self.take_payment(&request, payment).await {
            Ok(Taken::New(id)) => {
                self.drive_detached(id);
                self.outcome(id, true, &request).await
            }
            Ok(Taken::Arrived(id)) => {
                self.drive_detached(id);
                self.outcome(id, false, &request).await
            }
            Ok(Taken::Known(payment)) => self.repeat(*payment, &request).await,
            Err(PaymentProblem::Settled) => Err(BuyError::Settled),
            Err(PaymentProblem::TooOld) => Err(BuyError::TooOld),
            Err(PaymentProblem::Unavailable(unavailable)) => {
                Err(BuyError::Unavailable(unavailable))
            }
            Err(PaymentProblem::Refused(reason)) => {
                // Whoever paid other terms than this body gets is told the amount before the rest.
                self.check_quote(&request)?;
                let quote = self.quote_for(&request, &reason.told());
                let reason = reason.as_str().to_owned();
                let response = SettleResponse::refused(network, Some(payer), &reason);
                Err(BuyError::Refused {
                    reason,
                    response: Box::new(response),
                    quote: Box::new(quote),
                })
            }
        }
    }

    fn check_quote(&self, request: &BuyRequest) -> Result<(), QuoteError> {
        if let Some(id) = request.network
            && self.network(id).is_none()
        {
            return Err(QuoteError::UnknownNetwork(id));
        }
        self.check_amount(request.credits)
    }

    pub(super) fn quote_for(&self, request: &BuyRequest, error: &str) -> PaymentRequired {
        self.purchase_quote(request.wallet, request.credits, request.network, error)
    }

    /// From the shape of a payment to its stored intent.
    async fn take_payment(
        &self,
        request: &BuyRequest,
        payment: SignedPayment,
    ) -> Result<Taken, PaymentProblem> {
        if let Some(known) = self.known_payment(&payment).await? {
            return Ok(Taken::Known(Box::new(known)));
        }
        let recovered = self.recover_payer(payment).await?;
        if let Some(known) = self.store().payment_by_key(&recovered.key()).await? {
            return Ok(Taken::Known(Box::new(known)));
        }
        let mut look = self.first_look(&recovered).await?;
        if let FirstLook::Unused { since_block, .. } = look {
            look = match self.check_purchase(request, &recovered, since_block).await {
                Ok(look) => look,
                Err(problem) => {
                    // The very same payment may have been sent, and settled, meanwhile.
                    let known = self.store().payment_by_key(&recovered.key()).await?;
                    return known
                        .map(|known| Taken::Known(Box::new(known)))
                        .ok_or(problem);
                }
            };
        }
        match look {
            FirstLook::Paid { since_block, at } => match self.counted(&recovered, at).await? {
                Some(known) => Ok(known),
                None if at.block < self.first_taken_block(recovered.network).await? => {
                    Err(PaymentProblem::TooOld)
                }
                None => self.insert_arrived(request, recovered, since_block).await,
            },
            FirstLook::Unused { since_block, risk } => {
                self.insert_purchase(request, recovered, request.credits, since_block, risk)
                    .await
            }
        }
    }

    /// Everything that an unused authorization must be to buy what was asked for.
    async fn check_purchase(
        &self,
        request: &BuyRequest,
        recovered: &Recovered<'_>,
        since_block: u64,
    ) -> Result<FirstLook, PaymentProblem> {
        self.check_sponsor(request, recovered).await?;
        if self.check_quote(request).is_err() {
            return Err(Reason::AmountMismatch.into());
        }
        let offers = self.purchase_offers(request.credits, request.network);
        match_terms(recovered, &offers, self.now(), 0)?;
        self.check_funds(recovered, since_block).await
    }

    /// Whoever pays for another wallet must say so, for this very authorization.
    async fn check_sponsor(
        &self,
        request: &BuyRequest,
        recovered: &Recovered<'_>,
    ) -> Result<(), PaymentProblem> {
        let payer = recovered.payer();
        if request.payer.is_some_and(|named| named != payer) {
            return Err(Reason::PayerMismatch.into());
        }
        if payer == request.wallet {
            return Ok(());
        }
        let signature = request
            .sponsor_signature
            .as_ref()
            .ok_or(Reason::SponsorSignatureMissing)?;
        let nonce: B256 = recovered.payment.authorization.nonce;
        let message = SponsorMessage {
            payer,
            recipient: request.wallet,
            credits: request.credits,
            reference: SponsorReference::Nonce(nonce),
        };
        let by_key = signature
            .key()
            .is_some_and(|signature| message.candidates().verify(&signature).is_ok());
        let signed = by_key
            || match recovered.signer {
                Signer::Key => false,
                Signer::Wallet { .. } => {
                    let digest = eip191_digest(&message.to_string()).into();
                    let (network, asker) = (recovered.network, recovered.asset.token);
                    let takes =
                        network.wallet_takes(payer.address(), digest, signature.bytes(), asker);
                    takes.await.map_err(Unavailable::WalletSilent)?
                }
            };
        if signed {
            Ok(())
        } else {
            Err(Reason::SponsorSignatureInvalid.into())
        }
    }

    /// The money is here: its amount counts, not the terms of today. And since it is here, no
    /// refusal may ask for it again.
    async fn insert_arrived(
        &self,
        request: &BuyRequest,
        recovered: Recovered<'_>,
        since_block: u64,
    ) -> Result<Taken, PaymentProblem> {
        let credits = self
            .arrived_credits(request, &recovered)
            .ok_or(PaymentProblem::Settled)?;
        match self.check_sponsor(request, &recovered).await {
            Err(PaymentProblem::Refused(_)) => return Err(PaymentProblem::Settled),
            checked => checked?,
        }
        if recovered.payer() != request.wallet && credits != request.credits {
            return Err(PaymentProblem::Settled);
        }
        let taken = self
            .insert_purchase(request, recovered, credits, since_block, None)
            .await;
        match taken {
            Ok(Taken::New(id)) => Ok(Taken::Arrived(id)),
            Err(PaymentProblem::Refused(_)) => Err(PaymentProblem::Settled),
            taken => taken,
        }
    }

    /// The payment that the transfers of this one are counted for, if all of them are. Only what the
    /// watcher or a claim found without the authorization can be this one.
    async fn counted(
        &self,
        recovered: &Recovered<'_>,
        at: Inclusion,
    ) -> Result<Option<Taken>, PaymentProblem> {
        let terms = &recovered.payment.authorization;
        let keys = recovered
            .network
            .transfer_keys(recovered.asset_id(), terms, at)
            .await?;
        let mut plain = None;
        for key in &keys {
            match self.store().payment_by_key(key).await? {
                None => return Ok(None),
                Some(known) if known.authorization.is_none() => plain = Some(known),
                Some(_) => {}
            }
        }
        match plain {
            Some(known) => Ok(Some(Taken::Known(Box::new(known)))),
            None if keys.is_empty() => Ok(None),
            None => Err(PaymentProblem::Settled),
        }
    }

    /// What was asked for, if this is its price; otherwise what the amount is worth. The two differ
    /// where a base unit of the token is worth more than a unit of credits.
    fn arrived_credits(&self, request: &BuyRequest, recovered: &Recovered<'_>) -> Option<Credits> {
        let (asset, terms) = (recovered.asset, &recovered.payment.authorization);
        let asked = self.check_amount(request.credits).is_ok()
            && asset.price(request.credits) == Some(terms.value);
        if asked {
            return Some(request.credits);
        }
        worth(asset, terms)
    }

    async fn insert_purchase(
        &self,
        request: &BuyRequest,
        recovered: Recovered<'_>,
        credits: Credits,
        since_block: u64,
        risk: Option<PayerRisk>,
    ) -> Result<Taken, PaymentProblem> {
        let id = PurchaseId::from_random(random_id()?);
        let asset = recovered.asset_id();
        let authorization = recovered.authorization();
        let intent = NewPayment {
            id,
            way: PaymentWay::Purchase,
            asset,
            authorization,
            credits,
            wallet: request.wallet,
            label: request.label.clone(),
            since_block,
            risk,
            now: self.now(),
        };
        match self.store().insert_payment(intent, None).await? {
            // Stored. A crash from here on is found by the next start among the open payments.
            Ok(()) => Ok(Taken::New(id)),
            Err(PaymentRefusal::Known(known)) => Ok(Taken::Known(known)),
            Err(PaymentRefusal::Payer(refusal)) => Err(Reason::from(refusal).into()),
            Err(PaymentRefusal::RepliesFull) => Err(Unavailable::RepliesFull.into()),
        }
    }

    /// The same authorization again: the first purchase answers.
    async fn repeat(&self, known: Payment, request: &BuyRequest) -> Result<BuyAnswer, BuyError> {
        if known.way == PaymentWay::Direct {
            return self.repeat_of_direct(known).await;
        }
        if known.state == PaymentState::Refused {
            // Nothing was broadcast for it and the authorization may still be good.
            let reopened = self.store().reopen_payment(known.id, self.now()).await;
            reopened.map_err(|error| BuyError::Unavailable(error.into()))?;
        }
        self.drive_detached(known.id);
        self.outcome(known.id, false, request).await
    }

    /// An authorization that was meant for a direct call buys nothing here, unless the call was given
    /// up and the money came all the same.
    pub(super) async fn repeat_of_direct(&self, known: Payment) -> Result<BuyAnswer, BuyError> {
        let id = known.id;
        if known.state == PaymentState::Refused {
            self.advance(id).await.map_err(BuyError::Unavailable)?;
        }
        let payment = self.purchase(id).await.map_err(BuyError::Unavailable)?;
        match payment {
            Some(payment)
                if known.state == PaymentState::Refused
                    && payment.state == PaymentState::Credited =>
            {
                let balance = None;
                Ok(BuyAnswer::Credited(Purchase { payment, balance }))
            }
            _ => Err(BuyError::Replay {
                id,
                state: known.state,
            }),
        }
    }

    pub(super) async fn outcome(
        &self,
        id: PurchaseId,
        first: bool,
        request: &BuyRequest,
    ) -> Result<BuyAnswer, BuyError> {
        let payment = self
            .wait_for(id, self.settings().settle_wait, PaymentState::is_settled)
            .await
            .map_err(BuyError::Unavailable)?;
        match payment.state {
            PaymentState::Credited if payment.booked == Some(Booked::Suspense) => {
                Err(BuyError::InSuspense)
            }
            PaymentState::Credited => {
                let balance = if first {
                    Some(self.total(payment.wallet).await?)
                } else {
                    None
                };
                Ok(BuyAnswer::Credited(Purchase { payment, balance }))
            }
            PaymentState::Authorized | PaymentState::Broadcast | PaymentState::Confirmed => {
                Ok(BuyAnswer::Settling(payment))
            }
            PaymentState::Refused | PaymentState::Failed | PaymentState::Expired => {
                self.check_quote(request)?;
                let reason = payment.reason.unwrap_or_else(|| payment.state.to_string());
                let response = SettleResponse::refused(
                    payment.asset.network,
                    Some(payment.transfer.from),
                    &reason,
                );
                let quote = self.quote_for(request, &reason);
                Err(BuyError::Refused {
                    reason,
                    response: Box::new(response),
                    quote: Box::new(quote),
                })
            }
        }
    }

    async fn total(&self, wallet: AgentAddress) -> Result<Credits, BuyError> {
        let balance = self.store().balance(wallet).await;
        Ok(balance
            .map_err(|error| BuyError::Unavailable(error.into()))?
            .total)
    }

    /// A payment by its id, which is a secret of whoever bought.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn purchase(&self, id: PurchaseId) -> Result<Option<Payment>, Unavailable> {
        Ok(self.store().payment(id).await?)
    }
}

/// A payment that has its intent in the books.
enum Taken {
    New(PurchaseId),
    /// New here, but settled on the chain before: whoever read it there may have sent it.
    Arrived(PurchaseId),
    Known(Box<Payment>),
}
