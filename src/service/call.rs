//! Spending credits: check, hold, run the tool, capture or void.

use thiserror::Error;

use super::{Service, SessionProblem, Unavailable, random_id};
use crate::{
    auth::{
        Caller, Candidates, Form, Mismatch, PathBoundCall, ScopedCall, ScopedPayload, Session,
        Signature, SignatureError, Verified, json::Node,
    },
    base::{ChargeId, Credits, Slug},
    ledger::ChargeStatus,
    store::{FinishCall, HoldRefusal, NewHold, StoredCall},
    upstream::{Action, FieldError, Target, Tool},
};

/// How much longer than its tool a hold may live before any server may void it.
const HOLD_MARGIN_SECONDS: i64 = 30;

/// What the signed message names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding<'a> {
    /// The path with the tool and this action.
    Path { action: &'a str },
    /// The tool; the action is its only one, or the one that `parameters.action` names.
    Scope,
}

/// A call as the request says it.
#[derive(Clone, Copy, Debug)]
pub struct SignedCall<'a> {
    pub caller: Caller<'a>,
    pub signature: &'a str,
    pub product: &'a str,
    pub binding: Binding<'a>,
    pub parameters: Option<&'a Node<'a>>,
}

/// A call that ended, now or earlier.
#[derive(Clone, Debug)]
pub struct CallAnswer {
    pub call: StoredCall,
    /// The answer was stored by an earlier request with the same signed message.
    pub replayed: bool,
}

/// What is wrong with a signature.
#[derive(Debug)]
pub enum SignatureProblem {
    Malformed {
        problem: SignatureError,
        expected_message: String,
    },
    Mismatch(Box<Mismatch>),
}

/// Why a call did not run, in the order of the checks.
#[derive(Debug, Error)]
pub enum CallError {
    #[error("the session is not good for this call: {0:?}")]
    Session(SessionProblem),
    /// The request id belongs to a call with another message.
    #[error("the request id is taken by {charge}")]
    Replay {
        charge: ChargeId,
        status: ChargeStatus,
    },
    #[error("the call {charge} is running")]
    InFlight { charge: ChargeId },
    /// The hold of this very call was voided by a crash.
    #[error("the call {charge} was broken off and not charged")]
    BrokenOff { charge: ChargeId },
    #[error("there is no such tool or action")]
    ToolNotFound,
    #[error("the product has several actions and parameters.action names none of them")]
    ActionNotNamed,
    #[error("the parameters do not match the schema")]
    Parameters(Vec<FieldError>),
    #[error("the signature is not good for this call")]
    Signature(SignatureProblem),
    #[error("the price of {price} credits is above the available {available}")]
    Insufficient {
        price: Credits,
        available: Credits,
        tool: Slug,
        action: Slug,
    },
    #[error(transparent)]
    Unavailable(Unavailable),
}

impl<'a> SignedCall<'a> {
    fn candidates(&self, preferred: Option<Form>) -> Candidates<'a> {
        let Self {
            caller,
            product,
            parameters,
            ..
        } = *self;
        match self.binding {
            Binding::Path { action } => PathBoundCall {
                caller,
                product,
                action,
                parameters,
            }
            .candidates(preferred),
            Binding::Scope => {
                let payload = ScopedPayload::Parameters(parameters);
                ScopedCall {
                    caller,
                    action: "invoke",
                    product,
                    payload,
                }
                .candidates(preferred)
            }
        }
    }

    /// The client's own bytes of the parameters.
    fn parameter_bytes(&self) -> &'a [u8] {
        parameter_bytes(self.parameters)
    }
}

/// Absent and null parameters are an empty object.
pub(super) fn parameter_bytes<'a>(parameters: Option<&Node<'a>>) -> &'a [u8] {
    match parameters {
        Some(node) if !node.is_null() => node.raw().as_bytes(),
        _ => b"{}",
    }
}

/// Checks the client's own bytes against the action's schema.
pub(super) fn check_parameters(action: &Action, bytes: &[u8]) -> Result<(), Vec<FieldError>> {
    let value = serde_json::from_slice(bytes).map_err(|error| {
        vec![FieldError {
            pointer: String::new(),
            reason: error.to_string(),
        }]
    })?;
    action.check(&value)
}

impl Service {
    /// Runs a signed call, once, however often it is sent.
    ///
    /// # Errors
    /// As [`CallError`] says; nothing is charged then.
    pub async fn call(&self, call: SignedCall<'_>) -> Result<CallAnswer, CallError> {
        let caller = call.caller;
        let session = self.session(caller.session_nonce, caller.wallet)?;
        let candidates = call.candidates(self.form_of(caller.session_nonce));
        let stored = self
            .store()
            .call(caller.wallet, caller.session_nonce, caller.request_id);
        if let Some(stored) = stored.await.map_err(Unavailable::from)? {
            return Self::replay(&candidates, call.signature, stored);
        }
        self.check_expiry(&session)?;
        let (tool, action) = self.find(call.product, call.binding, call.parameters)?;
        check_parameters(action, call.parameter_bytes()).map_err(CallError::Parameters)?;
        let verified = Self::verify(&candidates, call.signature)?;
        self.remember_form(caller.session_nonce, &verified);
        self.check_price(&session, tool.slug(), action.slug(), action.price())
            .await??;

        let hold = self.new_hold(&call, &session, verified, (tool, action))?;
        match self
            .hold_and_run(hold, tool, action, call.parameter_bytes())
            .await?
        {
            Ok(call) => {
                metrics::counter!("charges_total", "status" => call.status.as_str()).increment(1);
                let replayed = false;
                Ok(CallAnswer { call, replayed })
            }
            Err(HoldRefusal::Taken(stored)) => Self::replay(&candidates, call.signature, *stored),
            Err(HoldRefusal::Insufficient { available }) => Err(CallError::Insufficient {
                price: action.price(),
                available,
                tool: tool.slug().clone(),
                action: action.slug().clone(),
            }),
            Err(HoldRefusal::RepliesFull) => Err(Unavailable::RepliesFull.into()),
        }
    }

    async fn hold_and_run(
        &self,
        hold: NewHold,
        tool: &Tool,
        action: &Action,
        parameters: &[u8],
    ) -> Result<Result<StoredCall, HoldRefusal>, Unavailable> {
        let charge = hold.charge;
        if matches!(tool.target(), Target::Echo) {
            // Nothing outside is touched, so hold and capture are one commit.
            let reply = self
                .run(tool, action, parameters, &charge.to_string())
                .await;
            return Ok(self.store().debit(hold, reply).await?);
        }
        if let Err(refusal) = self.store().hold(hold).await? {
            return Ok(Err(refusal));
        }
        // Held. A crash from here on leaves a held charge, which the next start voids: the tool
        // may have run, but nobody was given its result.
        let reply = self
            .run(tool, action, parameters, &charge.to_string())
            .await;
        let finish = FinishCall {
            charge,
            reply,
            now: self.now(),
        };
        Ok(Ok(self.store().finish(finish).await?))
    }

    /// Answers a call whose request id is taken: the same is told the same, another is refused.
    fn replay(
        candidates: &Candidates<'_>,
        signature: &str,
        stored: StoredCall,
    ) -> Result<CallAnswer, CallError> {
        let parsed = parse_signature(candidates, signature)?;
        let same_bytes = parsed.to_bytes().as_slice() == stored.signature;
        if !(same_bytes && candidates.contains(&stored.message)) {
            let verified = Self::verify(candidates, signature)?;
            if verified.message != stored.message {
                let StoredCall { charge, status, .. } = stored;
                return Err(CallError::Replay { charge, status });
            }
        }
        match (stored.status, &stored.reply) {
            (ChargeStatus::Held, _) => Err(CallError::InFlight {
                charge: stored.charge,
            }),
            (_, None) => Err(CallError::BrokenOff {
                charge: stored.charge,
            }),
            (_, Some(_)) => Ok(CallAnswer {
                call: stored,
                replayed: true,
            }),
        }
    }

    fn find(
        &self,
        product: &str,
        binding: Binding<'_>,
        parameters: Option<&Node<'_>>,
    ) -> Result<(&Tool, &Action), CallError> {
        let slug: Slug = product.parse().map_err(|_| CallError::ToolNotFound)?;
        let tool = self
            .catalogue()
            .tool(&slug)
            .ok_or(CallError::ToolNotFound)?;
        let named = match binding {
            Binding::Path { action } => action,
            Binding::Scope => {
                if let Some(action) = tool.only_action() {
                    return Ok((tool, action));
                }
                let named = parameters.and_then(|parameters| parameters.get("action"));
                named
                    .and_then(Node::as_str)
                    .ok_or(CallError::ActionNotNamed)?
            }
        };
        let slug: Slug = named.parse().map_err(|_| CallError::ToolNotFound)?;
        let action = tool.action(&slug).ok_or(CallError::ToolNotFound)?;
        Ok((tool, action))
    }

    /// The only action of a product, or the one that `parameters.action` names.
    ///
    /// # Errors
    /// When there is no such product or action.
    pub fn only_or_named_action(
        &self,
        product: &str,
        parameters: Option<&Node<'_>>,
    ) -> Result<Slug, CallError> {
        let (_, action) = self.find(product, Binding::Scope, parameters)?;
        Ok(action.slug().clone())
    }

    pub(super) fn verify(
        candidates: &Candidates<'_>,
        signature: &str,
    ) -> Result<Verified, SignatureProblem> {
        let signature = parse_signature(candidates, signature)?;
        candidates
            .verify(&signature)
            .map_err(SignatureProblem::Mismatch)
    }

    fn new_hold(
        &self,
        call: &SignedCall<'_>,
        session: &Session,
        verified: Verified,
        (tool, action): (&Tool, &Action),
    ) -> Result<NewHold, CallError> {
        let now = self.now();
        let signature: Signature =
            call.signature
                .parse()
                .map_err(|problem| SignatureProblem::Malformed {
                    problem,
                    expected_message: verified.message.clone(),
                })?;
        let timeout_ms = i64::try_from(action.timeout().as_millis()).unwrap_or(i64::MAX);
        let deadline = now
            .plus_millis(timeout_ms)
            .plus_seconds(HOLD_MARGIN_SECONDS);
        Ok(NewHold {
            charge: ChargeId::from_random(random_id()?),
            wallet: call.caller.wallet,
            session: call.caller.session_nonce.to_owned(),
            request_id: call.caller.request_id.clone(),
            tool: tool.slug().clone(),
            action: action.slug().clone(),
            price: action.price(),
            price_list: session.price_list,
            message: verified.message,
            signature: signature.to_bytes(),
            payload_hash: verified.payload.map_or([0; 32], |(_, hash)| hash),
            deadline,
            replay_until: session
                .expires_at
                .plus_seconds(self.settings().replay_seconds),
            now,
        })
    }

    fn form_of(&self, session_nonce: &str) -> Option<Form> {
        super::locked(&self.0.forms).get(session_nonce).copied()
    }

    fn remember_form(&self, session_nonce: &str, verified: &Verified) {
        if let Some((form, _)) = verified.payload {
            super::locked(&self.0.forms).put(session_nonce.to_owned(), form);
        }
    }
}

fn parse_signature(
    candidates: &Candidates<'_>,
    signature: &str,
) -> Result<Signature, SignatureProblem> {
    signature
        .parse()
        .map_err(|problem| SignatureProblem::Malformed {
            problem,
            expected_message: candidates.expected_message().to_owned(),
        })
}
