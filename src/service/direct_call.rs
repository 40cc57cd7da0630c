//! Paying for one call, without credits.
//!
//! By default the tool runs first and its output is given out only after the payment settled; a
//! failed tool is not settled at all. An action with `settle_first` takes the payment first, and
//! turns it into credits of the payer if the tool then fails.

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{
    PaymentProblem, Reason, Service, Unavailable,
    call::{check_parameters, parameter_bytes},
    payment_check::{FirstLook, Recovered, match_terms},
    quote::{DIRECT_MARGIN_SECONDS, timeout_seconds},
    random_id,
};
use crate::{
    auth::json::Node,
    base::{PurchaseId, Slug},
    payment::PaymentState,
    store::{
        CallReply, DirectCall, DirectStage, FinishDirectCall, NewDirectCall, NewPayment, Payment,
        PaymentRefusal, PaymentWay, StoreError,
    },
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
            let quote = self.quote_of(tool, action, "PAYMENT-SIGNATURE header is required");
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
                let reason = reason.as_str().to_owned();
                let response = Box::new(SettleResponse::refused(network, Some(payer), &reason));
                let quote = Box::new(self.quote_of(tool, action, &reason));
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
        let recovered = self.recover_payer(payment)?;
        let known = self.store().payment_by_key(&recovered.key()).await;
        if let Some(known) = known.map_err(DirectError::from)? {
            return Ok(Taken::Known(Box::new(known)));
        }
        check_parameters(run.action, run.parameters).map_err(DirectError::Parameters)?;
        let offers = self.direct_offers(run.action);
        let valid_seconds_min = timeout_seconds(run.action) + DIRECT_MARGIN_SECONDS;
        match_terms(&recovered, &offers, self.now(), valid_seconds_min)?;
        let mut look = self.first_look(&recovered).await?;
        if let FirstLook::Unused { head } = look {
            look = self.check_funds(&recovered, head).await?;
        }
        let FirstLook::Unused { head } = look else {
            // An equal request may have been faster.
            let known = self.store().payment_by_key(&recovered.key()).await;
            if let Some(known) = known.map_err(DirectError::from)? {
                return Ok(Taken::Known(Box::new(known)));
            }
            // The money is here, but this request may be a stranger's who read it on the chain.
            return Err(DirectError::SettledElsewhere.into());
        };
        self.insert_direct(recovered, run, head).await
    }

    async fn insert_direct(
        &self,
        recovered: Recovered<'_>,
        run: &Run<'_>,
        since_block: u64,
    ) -> Result<Taken, Stop> {
        let id = PurchaseId::from_random(random_id().map_err(DirectError::Unavailable)?);
        let (asset, wallet, now) = (recovered.asset_id(), recovered.payer(), self.now());
        let SignedPayment {
            authorization: terms,
            signature,
            ..
        } = recovered.payment;
        let replay_until = terms
            .expires_at()
            .plus_seconds(self.settings().replay_seconds);
        let intent = NewPayment {
            id,
            way: PaymentWay::Direct,
            asset,
            terms,
            signature,
            credits: run.action.price(),
            wallet,
            label: None,
            since_block,
            now,
        };
        let call = NewDirectCall {
            tool: run.tool.slug().clone(),
            action: run.action.slug().clone(),
            settle_first: run.action.settle_first(),
            request_hash: run.request_hash,
            identified: run.identified,
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
            Err(PaymentRefusal::PayerBusy) => Err(Reason::PayerBusy.into()),
            Err(PaymentRefusal::PayerBarred) => Err(Reason::PayerBarred.into()),
            Err(PaymentRefusal::RepliesFull) => {
                Err(DirectError::Unavailable(Unavailable::RepliesFull).into())
            }
        }
    }

    async fn run_then_settle(
        &self,
        id: PurchaseId,
        run: &Run<'_>,
    ) -> Result<DirectAnswer, DirectError> {
        // The intent is stored. A crash while the tool runs gives the payment up at the next start.
        let reply = self.run_direct(id, run).await;
        self.store()
            .finish_direct_call(FinishDirectCall {
                payment: id,
                reply,
                now: self.now(),
            })
            .await?;
        self.conclude(id, run, false).await
    }

    async fn settle_then_run(
        &self,
        id: PurchaseId,
        run: &Run<'_>,
    ) -> Result<DirectAnswer, DirectError> {
        self.drive_detached(id);
        let wait = self.settings().settle_wait;
        let payment = self.wait_for(id, wait, PaymentState::is_settled).await?;
        if !payment.state.is_settled() && run.identified {
            self.run_when_settled(id, run);
        } else if payment.state == PaymentState::Confirmed {
            self.run_settled(id, run).await?;
        }
        self.conclude(id, run, false).await
    }

    /// Goes on waiting for a payment whose client was sent away, and runs the tool then.
    fn run_when_settled(&self, id: PurchaseId, run: &Run<'_>) {
        let (service, parameters) = (self.clone(), run.parameters.to_vec());
        let (tool, action) = (run.tool.slug().clone(), run.action.slug().clone());
        let (request_hash, identified) = (run.request_hash, run.identified);
        self.tasks().spawn(async move {
            let Some((tool, action)) = service.catalogue().lookup(&tool, &action) else {
                return;
            };
            let run = Run {
                tool,
                action,
                parameters: &parameters,
                request_hash,
                identified,
            };
            if let Err(error) = service.follow_and_run(id, &run).await {
                // The next start turns the payment into credits of its payer.
                tracing::warn!(payment = ?id, %error, "a paid call was not run");
            }
        });
    }

    async fn follow_and_run(&self, id: PurchaseId, run: &Run<'_>) -> Result<(), DirectError> {
        while !self.stopping() {
            self.drive(id).await;
            let wait = self.settings().settle_wait;
            let payment = self.wait_for(id, wait, PaymentState::is_settled).await?;
            if payment.state == PaymentState::Confirmed {
                return self.run_settled(id, run).await;
            }
            if payment.state.is_settled() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn run_settled(&self, id: PurchaseId, run: &Run<'_>) -> Result<(), DirectError> {
        if self.store().start_direct_call(id).await? {
            // Paid and running. A crash from here on makes the payment credits of its payer.
            let reply = self.run_direct(id, run).await;
            let finish = FinishDirectCall {
                payment: id,
                reply,
                now: self.now(),
            };
            self.store().finish_direct_call(finish).await?;
        }
        Ok(())
    }

    async fn run_direct(&self, id: PurchaseId, run: &Run<'_>) -> CallReply {
        // The id itself is the buyer's secret, so the tool is given its hash.
        let key = hex::encode(Sha256::digest(id.to_string()));
        self.run(run.tool, run.action, run.parameters, &key).await
    }

    /// The same authorization again. Once it settled, it is public: only who knows the
    /// `payment-identifier` too is the one who paid.
    async fn repeat_direct(
        &self,
        known: Payment,
        run: &Run<'_>,
    ) -> Result<DirectAnswer, DirectError> {
        let Payment { id, state, .. } = known;
        let call = match known.way {
            PaymentWay::Purchase => None,
            PaymentWay::Direct => self.store().direct_call(id).await?,
        };
        match call {
            Some(call)
                if run.identified && call.identified && call.request_hash == run.request_hash =>
            {
                if state == PaymentState::Confirmed {
                    // Paid for and perhaps not run: whoever was to run it may have failed to.
                    self.run_settled(id, run).await?;
                }
                self.conclude(id, run, true).await
            }
            _ => Err(DirectError::Replay { id, state }),
        }
    }

    /// What a call has come to, after waiting for its settlement as long as the operator allows.
    async fn conclude(
        &self,
        id: PurchaseId,
        run: &Run<'_>,
        replayed: bool,
    ) -> Result<DirectAnswer, DirectError> {
        let call = self.stored_direct(id).await?;
        if call.stage == DirectStage::Done {
            self.drive_detached(id);
            let wait = self.settings().settle_wait;
            let payment = self.wait_for(id, wait, PaymentState::is_settled).await?;
            if !payment.state.is_settled() && !run.identified {
                // Nobody can come back for the output, so the payment shall not pay for it.
                self.store()
                    .abandon_direct_calls(Some(id), self.now())
                    .await?;
            }
        }
        let call = self.stored_direct(id).await?;
        let payment = self
            .wait_for(id, std::time::Duration::ZERO, PaymentState::is_settled)
            .await?;
        let state = payment.state;
        match (call.stage, call.reply) {
            (DirectStage::Done, Some(reply)) if state == PaymentState::Credited => {
                Ok(self.finished(payment, reply, run, replayed))
            }
            (DirectStage::Failed | DirectStage::TimedOut, Some(reply)) => {
                Ok(self.finished(payment, reply, run, replayed))
            }
            (DirectStage::Done | DirectStage::Waiting, _)
                if matches!(
                    state,
                    PaymentState::Refused | PaymentState::Failed | PaymentState::Expired
                ) =>
            {
                Err(self.withheld(payment, run))
            }
            (DirectStage::Done, _) if state.is_settled() => {
                // The reply has outlived its time.
                Err(DirectError::Replay { id, state })
            }
            (DirectStage::Abandoned, _) if !replayed && state == PaymentState::Refused => {
                // It did not settle in time and was not broadcast: nothing is owed.
                Err(self.withheld(payment, run))
            }
            (DirectStage::Done, _) => Ok(DirectAnswer::Settling {
                payment: Box::new(payment),
                output_kept: true,
            }),
            (DirectStage::Waiting, _) if run.identified => Ok(DirectAnswer::Settling {
                payment: Box::new(payment),
                output_kept: true,
            }),
            (DirectStage::Waiting, _) => {
                self.store()
                    .abandon_direct_calls(Some(id), self.now())
                    .await?;
                Ok(DirectAnswer::Settling {
                    payment: Box::new(payment),
                    output_kept: false,
                })
            }
            (DirectStage::Abandoned, _) if !replayed && !state.is_settled() => {
                Ok(DirectAnswer::Settling {
                    payment: Box::new(payment),
                    output_kept: false,
                })
            }
            (DirectStage::Running, _) => Err(DirectError::InFlight { id, state }),
            (DirectStage::Abandoned | DirectStage::Failed | DirectStage::TimedOut, _) => {
                Err(DirectError::BrokenOff { id, state })
            }
        }
    }

    async fn stored_direct(&self, id: PurchaseId) -> Result<DirectCall, DirectError> {
        let call = self.store().direct_call(id).await?;
        Ok(call.ok_or(StoreError::Corrupt("direct_calls"))?)
    }

    fn finished(
        &self,
        payment: Payment,
        reply: CallReply,
        run: &Run<'_>,
        replayed: bool,
    ) -> DirectAnswer {
        let resource_url = self.invoke_url(run.tool.slug(), run.action.slug());
        DirectAnswer::Finished(Box::new(PaidCall {
            payment,
            reply,
            resource_url,
            replayed,
        }))
    }

    /// The payment will never come, so the output stays here.
    fn withheld(&self, payment: Payment, run: &Run<'_>) -> DirectError {
        let reason = payment.reason.unwrap_or_else(|| payment.state.to_string());
        let payer = Some(payment.terms.from);
        let response = Box::new(SettleResponse::refused(
            payment.asset.network,
            payer,
            &reason,
        ));
        let quote = Box::new(self.quote_of(run.tool, run.action, &reason));
        DirectError::Refused {
            reason,
            response,
            quote,
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
