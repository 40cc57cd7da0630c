//! Why a step of the demo did not hold.

use std::fmt::Debug;

use thiserror::Error;

use crate::{chain::ChainError, client::ClientError};

#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The step shows something else than it claims.
    #[error("{0}")]
    Claim(String),
    #[error("the service does not answer: {0}")]
    Wire(#[from] reqwest::Error),
    #[error("the chain does not answer: {0}")]
    Chain(#[from] ChainError),
    #[error("the client failed: {0}")]
    Client(#[from] ClientError),
}

/// What is claimed of one value.
#[expect(
    clippy::needless_pass_by_value,
    reason = "most are small, and references hide the claim"
)]
pub(super) fn claim<T: PartialEq + Debug>(what: &str, got: T, expected: T) -> Result<(), Failure> {
    if got == expected {
        return Ok(());
    }
    Err(Failure::Claim(format!(
        "{what}: expected {expected:?}, got {got:?}"
    )))
}

pub(super) fn broken(what: impl Into<String>) -> Failure {
    Failure::Claim(what.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_does_not_hold_says_both_sides() {
        assert!(claim("the balance", 95, 95).is_ok());
        let failure = claim("the balance", 90, 95).unwrap_err();
        assert_eq!(failure.to_string(), "the balance: expected 95, got 90");
    }
}
