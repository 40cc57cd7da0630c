//! What a wallet has.

use super::{
    Service, SessionProblem, Unavailable,
    call::{CallError, SignatureProblem},
};
use crate::{
    auth::{Caller, ScopedCall, ScopedPayload},
    store::Balance,
};

impl Service {
    /// The balance of the wallet that signed for it.
    ///
    /// # Errors
    /// When the session or the signature is not good, or the store cannot answer.
    pub async fn balance(&self, caller: Caller<'_>, signature: &str) -> Result<Balance, CallError> {
        let session = self.session(caller.session_nonce, caller.wallet)?;
        self.check_expiry(&session)?;
        let call = ScopedCall {
            caller,
            action: "balance",
            product: "-",
            payload: ScopedPayload::Empty,
        };
        Self::verify(&call.candidates(None), signature)?;
        Ok(self
            .store()
            .balance(caller.wallet)
            .await
            .map_err(Unavailable::from)?)
    }
}

impl From<SessionProblem> for CallError {
    fn from(problem: SessionProblem) -> Self {
        Self::Session(problem)
    }
}

impl From<SignatureProblem> for CallError {
    fn from(problem: SignatureProblem) -> Self {
        Self::Signature(problem)
    }
}

impl From<Unavailable> for CallError {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}
