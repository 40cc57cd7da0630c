//! Calls that are signed: spending credits, and reading what is left.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Balance, CallReply, Client, ClientError,
    body::{Parameters, signed_body},
    deliver::{Delivered, Failure},
    random_request_id,
    session::is_nonce,
    signed_path,
    transport::{Outgoing, Reply},
};
use crate::{auth::Caller, base::RequestId};

/// Under what a call is signed. The same wallet, session, request id and parameters are the same
/// call, however often it is made: it is charged once.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// The caller's own name for the call; random unless given.
    pub request_id: Option<RequestId>,
    /// The nonce of a session that this wallet opened; the client's own unless given.
    pub session_nonce: Option<String>,
}

impl Client {
    /// Calls a tool and pays with credits.
    ///
    /// The call is signed once. What is lost on the way is sent again with the same signature, so
    /// it is charged once at most.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when nothing was charged, [`ClientError::CallUnknown`] when that
    /// is not known, and whatever keeps a call from being made.
    pub async fn call(
        &self,
        tool: &str,
        action: &str,
        parameters: &(impl Serialize + ?Sized),
    ) -> Result<CallReply, ClientError> {
        self.call_with(tool, action, parameters, &CallOptions::default())
            .await
    }

    /// [`Client::call`] under a session and request id of the caller's choice.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_with(
        &self,
        tool: &str,
        action: &str,
        parameters: &(impl Serialize + ?Sized),
        options: &CallOptions,
    ) -> Result<CallReply, ClientError> {
        let path = signed_path(tool, action)?;
        let parameters = Parameters::of(parameters)?;
        let request_id = match &options.request_id {
            Some(id) => id.clone(),
            None => random_request_id()?,
        };
        let pinned = options.session_nonce.as_deref();
        let (session, outcome) = self
            .in_session(pinned, &request_id, |caller| {
                let message = caller.path_bound(&path, &parameters.hash);
                (format!("/api{path}"), message, Some(&*parameters.json))
            })
            .await?;
        let unknown = |cause| ClientError::CallUnknown {
            session_nonce: session,
            request_id,
            cause: Box::new(cause),
        };
        match outcome {
            Ok(Delivered { reply, .. }) if reply.status == 200 => {
                let replayed = reply.header("idempotent-replayed") == Some("true");
                CallReply::read(&reply.body, replayed)
            }
            Ok(Delivered { reply, .. }) if leaves_open(&reply) => Err(unknown(reply.into_error())),
            Ok(Delivered { reply, .. }) => Err(reply.into_error()),
            Err(failure) if failure.uncertain => Err(unknown(failure.cause)),
            Err(failure) => Err(failure.cause),
        }
    }

    /// What the wallet has.
    ///
    /// # Errors
    /// When the service refuses or cannot be reached.
    pub async fn balance(&self) -> Result<Balance, ClientError> {
        let request_id = random_request_id()?;
        let (_, outcome) = self
            .in_session(None, &request_id, |caller| {
                let path = "/api/external/credits/balance".to_owned();
                (path, caller.scoped("balance", "-", None), None)
            })
            .await?;
        match outcome {
            Ok(Delivered { reply, .. }) => Balance::read(&reply.into_success()?),
            Err(failure) => Err(failure.cause),
        }
    }

    /// Signs a request under a session and delivers it. Gives the session's nonce back. `write`
    /// says the path, the message to sign and the parameters.
    ///
    /// A session that the service does not take is replaced once, and the request is signed again,
    /// but only if no earlier request can have been acted on.
    async fn in_session<'p>(
        &self,
        pinned: Option<&str>,
        request_id: &RequestId,
        write: impl Fn(&Caller<'_>) -> (String, String, Option<&'p RawValue>),
    ) -> Result<(String, Result<Delivered, Failure>), ClientError> {
        let wallet = self.wallet()?;
        let mut may_renew = pinned.is_none();
        loop {
            let session = match pinned {
                Some(nonce) if is_nonce(nonce) => nonce.to_owned(),
                Some(_) => return Err(ClientError::SessionNonce),
                None => self.open_session().await?,
            };
            let caller = Caller {
                wallet: wallet.address(),
                session_nonce: &session,
                request_id,
            };
            let (path, message, parameters) = write(&caller);
            let body = signed_body(wallet, caller, &message, parameters);
            let outcome = self.deliver(&Outgoing::post(path, body)).await;
            match &outcome {
                Ok(delivered) if may_renew && !delivered.uncertain => {
                    let problem = delivered.reply.problem();
                    if !problem.is_some_and(|problem| problem.is_of_session()) {
                        return Ok((session, outcome));
                    }
                }
                _ => return Ok((session, outcome)),
            }
            may_renew = false;
            self.forget_session(&session).await;
        }
    }
}

/// Whether an answer says nothing of the charge, but came from where one may have been made.
fn leaves_open(reply: &Reply) -> bool {
    let told = |problem: super::Problem| problem.rest.contains_key("charge_status");
    reply.status >= 500 && !reply.problem().is_some_and(told)
}
