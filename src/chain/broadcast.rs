//! Sends a signed transaction, and reads what nodes say of it.

use alloy::primitives::{B256, Bytes};

use super::{ChainError, Network, RpcRefusal};

/// What became of an attempt to broadcast. Only the chain knows whether the transaction takes
/// effect; this says only what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broadcast {
    /// A node took it.
    Accepted,
    /// A node holds these very bytes already.
    AlreadyKnown,
    /// The account nonce is used up: by this transaction or by another one.
    NonceTooLow,
    /// Every node that was asked refused it for a reason that is understood.
    Rejected { cause: Rejection, reason: String },
    /// It may have been broadcast or not.
    Unknown { reason: String },
}

/// What a node has against a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Its fees are too low: for the next block, for the node, or beside one with its account nonce.
    Fees,
    /// Its account does not hold what it may cost.
    Funds,
    /// It will never be taken as it is.
    Invalid,
}

impl Network {
    /// Sends raw bytes until a node has them. May be repeated with the same bytes at any time.
    pub async fn broadcast(&self, raw: &[u8]) -> Broadcast {
        let raw = Bytes::copy_from_slice(raw);
        let mut outcome = None;
        let mut not_sent = None;
        for (_, node) in self.nodes() {
            if let Err(error) = node.check_chain().await {
                not_sent = Some(error);
                continue;
            }
            let sent = node.rpc.call("eth_sendRawTransaction", (&raw,)).await;
            match read(sent) {
                settled @ (Broadcast::Accepted
                | Broadcast::AlreadyKnown
                | Broadcast::NonceTooLow) => return settled,
                // A node that may have it outweighs one that refused it.
                unknown @ Broadcast::Unknown { .. } => outcome = Some(unknown),
                rejected @ Broadcast::Rejected { .. } => {
                    outcome.get_or_insert(rejected);
                }
            }
        }
        outcome.unwrap_or_else(|| Broadcast::Unknown {
            reason: not_sent.map_or_else(String::new, |error| error.to_string()),
        })
    }
}

fn read(sent: Result<B256, ChainError>) -> Broadcast {
    match sent {
        Ok(_) => Broadcast::Accepted,
        Err(ChainError::Rpc(refusal)) => classify(&refusal),
        Err(error) => Broadcast::Unknown {
            reason: error.to_string(),
        },
    }
}

const ALREADY_KNOWN: [&str; 4] = [
    "already known",
    "alreadyknown",
    "known transaction",
    "already imported",
];
const NONCE_TOO_LOW: [&str; 2] = ["nonce too low", "oldnonce"];
const FUNDS: [&str; 2] = ["insufficient funds", "insufficientfunds"];
const FEES: [&str; 7] = [
    "underpriced",
    "less than block base fee",
    "below minimum",
    "below configured minimum",
    "fee too low",
    "feetoolow",
    "gas price too low",
];
const INVALID: [&str; 3] = [
    "intrinsic gas too low",
    "exceeds block gas limit",
    "invalid chain id",
];

/// Nodes share no codes for these, only words. What is not understood is `Unknown`.
fn classify(refusal: &RpcRefusal) -> Broadcast {
    let message = refusal.message.to_ascii_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    if says(&ALREADY_KNOWN) {
        return Broadcast::AlreadyKnown;
    }
    if says(&NONCE_TOO_LOW) {
        return Broadcast::NonceTooLow;
    }
    let reason = refusal.message.clone();
    let causes = [
        (FUNDS.as_slice(), Rejection::Funds),
        (FEES.as_slice(), Rejection::Fees),
        (INVALID.as_slice(), Rejection::Invalid),
    ];
    match causes.into_iter().find(|(phrases, _)| says(phrases)) {
        Some((_, cause)) => Broadcast::Rejected { cause, reason },
        None => Broadcast::Unknown { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_words_of_several_nodes() {
        let read = |message: &str| {
            classify(&RpcRefusal {
                node: "node:1".into(),
                code: -32000,
                message: message.into(),
                data: None,
            })
        };
        for message in [
            "already known",
            "AlreadyKnown",
            "Known transaction",
            "transaction already imported",
        ] {
            assert_eq!(read(message), Broadcast::AlreadyKnown, "{message}");
        }
        for message in ["nonce too low: next nonce 5, tx nonce 4", "OldNonce"] {
            assert_eq!(read(message), Broadcast::NonceTooLow, "{message}");
        }
        for (message, cause) in [
            (
                "insufficient funds for gas * price + value",
                Rejection::Funds,
            ),
            (
                "Insufficient funds for gas * price + value",
                Rejection::Funds,
            ),
            ("replacement transaction underpriced", Rejection::Fees),
            ("max fee per gas less than block base fee", Rejection::Fees),
            (
                "transaction gas price below minimum: gas tip cap 1",
                Rejection::Fees,
            ),
            ("FeeTooLow, MaxFeePerGas too low.", Rejection::Fees),
            ("intrinsic gas too low", Rejection::Invalid),
        ] {
            let reason = message.to_owned();
            assert_eq!(read(message), Broadcast::Rejected { cause, reason });
        }
        for message in ["", "internal error", "rate limited", "txpool is full"] {
            let reason = message.to_owned();
            assert_eq!(read(message), Broadcast::Unknown { reason });
        }
    }
}
