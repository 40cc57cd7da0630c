//! Paying for one call, without credits.
//!
//! By default the tool runs first and its output is given out only after the payment settled; a
//! failed tool is not settled at all. An action with `settle_first` takes the payment first, and
//! turns it into credits of the payer if the tool then fails. [`runs`] holds both orders, [`outcome`]
//! what a call has come to.

mod outcome;
mod runs;

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{
    PaymentProblem, Reason, Service, Unavailable,
    call::{check_parameters, parameter_bytes},
    payment_check::{FirstLook, Recovered, match_terms},
    quote::{DIRECT_MARGIN_SECONDS, PAYMENT_MISSING, timeout_seconds},
    random_id,
};
use crate::{
    auth::json::Node,
    base::{PurchaseId, Slug, Timestamp},
    payment::{Authorization, PaymentState, PaymentWay},
    store::{CallReply, NewDirectCall, NewPayment, PayerRisk, Payment, PaymentRefusal},
    upstream::{Action, FieldError, Tool},
    x402::{PaymentRequired, SettleResponse, SignedPayment},
};

/// A call as the request says it.
#[derive(Clone, Debug)]
pub struct DirectRequest<'a> {
    pub product: &'a str,
    pub action: &'a str,
    pub parameters: Option<&'a Node<'a>>,
    pub payment: Option<SignedPayment>,
}

/// A call that was paid for.
#[derive(Clone)]
pub struct PaidCall {
    pub payment: Payment,
    pub reply: CallReply,
    pub resource_url: String,
    /// The answer was stored by an earlier request with the same payment.
    pub replayed: bool,
}

/// What became of a call.
#[derive(Clone)]
pub enum DirectAnswer {
    /// The tool answered, or failed: the reply tells.
    Finished(Box<PaidCall>),
    /// The payment is not settled yet: the output waits for it, if its payer can come back for it.
    Settling {
        payment: Box<Payment>,
        output_kept: bool,
    },
}

/// Why a call did not run, or gives no output.
#[derive(Debug, Error)]
pub enum DirectError {
    #[error("there is no such tool or action")]
    ToolNotFound,
    #[error("the action takes credits only")]
    CreditsOnly,
    #[error("a payment is required")]
    PaymentRequired(Box<PaymentRequired>),
    #[error("the parameters do not match the schema")]
    Parameters(Vec<FieldError>),
    #[error("the payment is refused: {reason}")]
    Refused {
        reason: String,
        response: Box<SettleResponse>,
        quote: Box<PaymentRequired>,
    },
    /// The authorization was used already, for another call or a purchase.
    #[error("the authorization belongs to {id}")]
    Replay { id: PurchaseId, state: PaymentState },
    /// This very call is running.
    #[error("the call that {id} pays for is running")]
    InFlight { id: PurchaseId, state: PaymentState },
    /// This very call was broken off. A payment that arrived became credits of its payer.
    #[error("the call that {id} pays for was broken off")]
    BrokenOff { id: PurchaseId, state: PaymentState },
    /// The authorization was settled by somebody else before it came here.
    #[error("the authorization is settled already")]
    SettledElsewhere,
    #[error(transparent)]
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for DirectError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Why a payment was not taken: a reason to be phrased with a fresh quote, or an error as it is.
enum Stop {
    Refused(Reason),
    Error(DirectError),
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

impl From<DirectError> for Stop {
    fn from(error: DirectError) -> Self {
        Self::Error(error)
    }
}

impl From<PaymentProblem> for Stop {
    fn from(problem: PaymentProblem) -> Self {
        match problem {
            PaymentProblem::Refused(reason) => Self::Refused(reason),
            PaymentProblem::Settled | PaymentProblem::TooOld => {
                Self::Error(DirectError::SettledElsewhere)
            }
            PaymentProblem::Unavailable(unavailable) => {
                Self::Error(DirectError::Unavailable(unavailable))
            }
        }
    }
}

/// A payment that has its intent in the books.
enum Taken {
    New(PurchaseId),
    Known(Box<Payment>),
}

/// A call that may run: its action, what is sent to it, and what a repeat must show.
struct Run<'a> {
    tool: &'a Tool,
    action: &'a Action,
    parameters: &'a [u8],
    request_hash: [u8; 32],
    /// The payer named the payment, so it can come back for the output.
    identified: bool,
}

impl Service {
    /// Runs a call that is paid for by itself.
    ///
    /// # Errors
    /// As [`DirectError`] says.
    pub async fn direct_call(
        &self,
        mut request: DirectRequest<'_>,
    ) -> Result<DirectAnswer, DirectError> {
        let (tool, action) = self.direct_action(&request)?;
        let Some(payment) = request.payment.take() else {
            let quote = self.quote_of(tool, action, PAYMENT_MISSING);
            return Err(DirectError::PaymentRequired(Box::new(quote)));
        };
        let (network, payer) = (payment.network, payment.authorization.from);
        let parameters = parameter_bytes(request.parameters);
        let identifier = payment.payment_identifier.as_deref();
        let run = Run {
            tool,
            action,
            parameters,
            request_hash: request_hash(tool, action, identifier, parameters),
            identified: identifier.is_some(),
        };
        match self.take_direct_payment(payment, &run).await {
            Ok(Taken::Known(payment)) => self.repeat_direct(*payment, &run).await,
            Ok(Taken::New(id)) if action.settle_first() => self.settle_then_run(id, &run).await,
            Ok(Taken::New(id)) => self.run_then_settle(id, &run).await,
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::Refused(reason)) => {
                let quote = Box::new(self.quote_of(tool, action, &reason.told()));
                let reason = reason.as_str().to_owned();
                let response = Box::new(SettleResponse::refused(network, Some(payer), &reason));
                Err(DirectError::Refused {
                    reason,
                    response,
                    quote,
                })
            }
        }
    }

    fn direct_action(&self, request: &DirectRequest<'_>) -> Result<(&Tool, &Action), DirectError> {
        let slug = |text: &str| text.parse::<Slug>().map_err(|_| DirectError::ToolNotFound);
        let (tool, action) = self
            .catalogue()
            .lookup(&slug(request.product)?, &slug(request.action)?)
            .ok_or(DirectError::ToolNotFound)?;
        if self.takes_x402(action) {
            Ok((tool, action))
        } else {
            Err(DirectError::CreditsOnly)
        }
    }

    /// From the shape of a payment to its stored intent.
    async fn take_direct_payment(
        &self,
        payment: SignedPayment,
        run: &Run<'_>,
    ) -> Result<Taken, Stop> {
        if let Some(known) = self
            .known_payment(&payment)
            .await
            .map_err(DirectError::Unavailable)?
        {
            return Ok(Taken::Known(Box::new(known)));
        }
        let recovered = self.recover_payer(payment).await?;
        let known = self.store().payment_by_key(&recovered.key()).await;
        if let Some(known) = known.map_err(DirectError::from)? {
            return Ok(Taken::Known(Box::new(known)));
        }
        check_parameters(run.action, run.parameters).map_err(DirectError::Parameters)?;
        let offers = self.direct_offers(run.action);
        let valid_seconds_min = timeout_seconds(run.action) + DIRECT_MARGIN_SECONDS;
        let mut look = self.first_look(&recovered).await?;
        if let FirstLook::Unused { since_block, .. } = look {
            let matched = match_terms(&recovered, &offers, self.now(), valid_seconds_min);
            let checked = match matched {
                Ok(()) => self.check_funds(&recovered, since_block).await,
                Err(reason) => Err(reason.into()),
            };
            look = match checked {
                Ok(look) => look,
                Err(problem) => {
                    return self.equal_request(&recovered).await?.ok_or(problem.into());
                }
            };
        }
        let FirstLook::Unused { since_block, risk } = look else {
            // The money is here, but this request may be a stranger's who read it on the chain.
            let settled = || DirectError::SettledElsewhere.into();
            return self.equal_request(&recovered).await?.ok_or_else(settled);
        };
        self.insert_direct(recovered, run, since_block, risk).await
    }

    /// The very same payment may have been sent, and settled, meanwhile.
    async fn equal_request(&self, recovered: &Recovered<'_>) -> Result<Option<Taken>, Stop> {
        let known = self.store().payment_by_key(&recovered.key()).await;
        let known = known.map_err(DirectError::from)?;
        Ok(known.map(|known| Taken::Known(Box::new(known))))
    }

    /// When a call that is not at its end was surely broken off: long after its tool had to answer,
    /// and, where the payment goes first, after its authorization has run out.
    fn direct_deadline(&self, action: &Action, terms: &Authorization) -> Timestamp {
        let start = if action.settle_first() {
            terms.expires_at()
        } else {
            self.now()
        };
        let wait_ms = i64::try_from(self.settings().settle_wait.as_millis()).unwrap_or(i64::MAX);
        let seconds = timeout_seconds(action) + DIRECT_MARGIN_SECONDS;
        start
            .plus_millis(wait_ms)
            .plus_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    async fn insert_direct(
        &self,
        recovered: Recovered<'_>,
        run: &Run<'_>,
        since_block: u64,
        risk: Option<PayerRisk>,
    ) -> Result<Taken, Stop> {
        let id = PurchaseId::from_random(random_id().map_err(DirectError::Unavailable)?);
        let (asset, wallet, now) = (recovered.asset_id(), recovered.payer(), self.now());
        let authorization = recovered.authorization();
        let terms = &authorization.terms;
        let replay_until = terms
            .expires_at()
            .plus_seconds(self.settings().replay_seconds);
        let deadline = self.direct_deadline(run.action, terms);
        let intent = NewPayment {
            id,
            way: PaymentWay::Direct,
            asset,
            authorization,
            credits: run.action.price(),
            wallet,
            label: None,
            since_block,
            risk,
            now,
        };
        let call = NewDirectCall {
            tool: run.tool.slug().clone(),
            action: run.action.slug().clone(),
            settle_first: run.action.settle_first(),
            request_hash: run.request_hash,
            identified: run.identified,
            deadline,
            replay_until,
        };
        match self
            .store()
            .insert_payment(intent, Some(call))
            .await
            .map_err(DirectError::from)?
        {
            Ok(()) => Ok(Taken::New(id)),
            Err(PaymentRefusal::Known(known)) => Ok(Taken::Known(known)),
            Err(PaymentRefusal::Payer(refusal)) => Err(Reason::from(refusal).into()),
            Err(PaymentRefusal::RepliesFull) => {
                Err(DirectError::Unavailable(Unavailable::RepliesFull).into())
            }
        }
    }
}

/// What a repeat must be the same in: tool, action, parameters and the payer's own identifier.
fn request_hash(
    tool: &Tool,
    action: &Action,
    identifier: Option<&str>,
    parameters: &[u8],
) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [
        tool.slug().as_str(),
        action.slug().as_str(),
        identifier.unwrap_or_default(),
    ] {
        hash.update(part.as_bytes());
        hash.update(b"\n");
    }
    hash.update(parameters);
    hash.finalize().into()
}
