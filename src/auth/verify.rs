//! Which of a call's possible texts did its wallet sign, if any?
//!
//! A signature does not say which text it is over, so recovery goes down a request's list of
//! texts, under a bound. A refusal carries what the client needs to correct itself. Must never
//! know how the list came about.

use thiserror::Error;

use super::{
    canonical::{Form, sorted},
    json::Node,
    payload::PayloadHash,
    signature::{Signature, eip191_digest},
};
use crate::base::AgentAddress;

/// The most signature recoveries that one request may cost.
pub const RECOVERIES_MAX: usize = 16;

/// Everything that a wallet may have signed for one request, likeliest first. Never empty.
#[derive(Clone, Debug)]
pub struct Candidates<'a> {
    pub(super) wallet: AgentAddress,
    pub(super) list: Vec<Verified>,
    pub(super) paths: Vec<String>,
    pub(super) hashes: Vec<(Form, PayloadHash)>,
    /// Where the hashes come from.
    pub(super) parameters: Option<&'a Node<'a>>,
}

/// The text that a wallet signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub message: String,
    /// The payload's hash and the first form that gives it; `None` where the message has none.
    pub payload: Option<(Form, PayloadHash)>,
}

/// The signature is another wallet's, or over another text. Names as in docs/PROTOCOL.md section 2.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("was not made by {expected_wallet} over the message that this request calls for")]
pub struct Mismatch {
    /// The preferred text for this request.
    pub expected_message: String,
    pub expected_wallet: AgentAddress,
    /// Whose signature it would be, were it over the expected message.
    pub recovered_wallet_for_expected_message: Option<AgentAddress>,
    /// Preferred first; empty unless the message is bound to a path.
    pub accepted_paths: Vec<String>,
    /// Likeliest first; empty where the message has no payload.
    pub accepted_payload_hashes: Vec<PayloadHash>,
    /// The keys of the parameters in the order of the first hash's form.
    pub payload_canonical_top_level_keys: Vec<String>,
}

impl Candidates<'_> {
    /// The preferred text, which an error tells the client to sign.
    #[must_use]
    pub fn expected_message(&self) -> &str {
        &self.list[0].message
    }

    /// Whether `message`, which was verified and stored earlier, is a text of this request.
    ///
    /// Looks beyond the texts that [`Candidates::verify`] tries: their order may have changed since.
    #[must_use]
    pub fn contains(&self, message: &str) -> bool {
        self.list
            .iter()
            .any(|candidate| candidate.message == message)
    }

    /// The text that the wallet signed. Costs at most [`RECOVERIES_MAX`] recoveries.
    ///
    /// # Errors
    /// [`Mismatch`] when the signature recovers to the wallet for none of the texts tried.
    pub fn verify(&self, signature: &Signature) -> Result<Verified, Box<Mismatch>> {
        let mut first = None;
        for (position, candidate) in self.list.iter().take(RECOVERIES_MAX).enumerate() {
            let recovered = signature.recover(eip191_digest(&candidate.message));
            if recovered == Some(self.wallet) {
                return Ok(candidate.clone());
            }
            if position == 0 {
                first = recovered;
            }
        }
        Err(Box::new(Mismatch {
            expected_message: self.expected_message().to_owned(),
            expected_wallet: self.wallet,
            recovered_wallet_for_expected_message: first,
            accepted_paths: self.paths.clone(),
            accepted_payload_hashes: self.hashes.iter().map(|(_, hash)| *hash).collect(),
            payload_canonical_top_level_keys: self.top_level_keys(),
        }))
    }

    /// No longer than the request that they come from.
    fn top_level_keys(&self) -> Vec<String> {
        let (Some((form, _)), Some(members)) = (
            self.hashes.first(),
            self.parameters.and_then(Node::as_object),
        ) else {
            return Vec::new();
        };
        let members = sorted(members, form.order).into_iter();
        members.map(|member| member.name().to_owned()).collect()
    }
}

impl Verified {
    pub(super) const fn new(message: String, payload: Option<(Form, PayloadHash)>) -> Self {
        Self { message, payload }
    }
}
