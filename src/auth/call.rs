//! A request as it arrived, and every text that its wallet may have signed for it.
//!
//! A client chooses among four paths and up to six forms of canonical JSON. So a call becomes a
//! list of texts, likeliest first. Must never know which of them was signed.

use super::{
    canonical::Form,
    json::Node,
    message::{Caller, SponsorMessage, accepted_paths},
    payload::{PayloadHash, payload_hashes},
    verify::{Candidates, Verified},
};

/// A call to one action of one tool, as the request says it.
#[derive(Clone, Copy, Debug)]
pub struct PathBoundCall<'a> {
    pub caller: Caller<'a>,
    pub product: &'a str,
    pub action: &'a str,
    /// The `parameters` of the body.
    pub parameters: Option<&'a Node<'a>>,
}

/// A read, or an older tool call, as the request says it.
#[derive(Clone, Copy, Debug)]
pub struct ScopedCall<'a> {
    pub caller: Caller<'a>,
    pub action: &'a str,
    /// `-` where there is none.
    pub product: &'a str,
    pub payload: ScopedPayload<'a>,
}

/// What the last line of a scoped message holds.
#[derive(Clone, Copy, Debug)]
pub enum ScopedPayload<'a> {
    /// Nothing.
    Empty,
    /// The hash of the `parameters` of the body.
    Parameters(Option<&'a Node<'a>>),
}

impl<'a> PathBoundCall<'a> {
    /// The texts of this call. `preferred` is the form in which this session signed before.
    #[must_use]
    pub fn candidates(&self, preferred: Option<Form>) -> Candidates<'a> {
        let paths = accepted_paths(self.product, self.action);
        let hashes = payload_hashes(self.parameters, preferred);
        let mut ranked = Vec::with_capacity(paths.len() * hashes.len());
        for (path_rank, path) in paths.iter().enumerate() {
            for (hash_rank, payload) in hashes.iter().enumerate() {
                ranked.push((path_rank + hash_rank, path, payload));
            }
        }
        // The unusual path in the unusual form comes last: what the bound cuts off must be rare.
        // The sort is stable, so among equals the preferred path goes first.
        ranked.sort_by_key(|(rank, ..)| *rank);
        let list = ranked
            .into_iter()
            .map(|(_, path, payload)| {
                Verified::new(self.caller.path_bound(path, &payload.1), Some(*payload))
            })
            .collect();
        Candidates {
            wallet: self.caller.wallet,
            list,
            paths: paths.into(),
            hashes,
            parameters: self.parameters,
        }
    }
}

impl<'a> ScopedCall<'a> {
    /// The texts of this call. `preferred` is the form in which this session signed before.
    #[must_use]
    pub fn candidates(&self, preferred: Option<Form>) -> Candidates<'a> {
        let text =
            |payload: Option<&PayloadHash>| self.caller.scoped(self.action, self.product, payload);
        let (parameters, hashes, list) = match self.payload {
            ScopedPayload::Empty => (None, Vec::new(), vec![Verified::new(text(None), None)]),
            ScopedPayload::Parameters(parameters) => {
                let hashes = payload_hashes(parameters, preferred);
                let texts = hashes
                    .iter()
                    .map(|payload| Verified::new(text(Some(&payload.1)), Some(*payload)));
                let list = texts.collect();
                (parameters, hashes, list)
            }
        };
        Candidates {
            wallet: self.caller.wallet,
            list,
            paths: Vec::new(),
            hashes,
            parameters,
        }
    }
}

impl SponsorMessage {
    /// The one text of a sponsor's consent, to be signed by the payer.
    #[must_use]
    pub fn candidates(&self) -> Candidates<'static> {
        Candidates {
            wallet: self.payer,
            list: vec![Verified::new(self.to_string(), None)],
            paths: Vec::new(),
            hashes: Vec::new(),
            parameters: None,
        }
    }
}
