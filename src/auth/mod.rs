//! Who signed what: from the bytes of a request to the wallet that stands behind them.
//!
//! Owns the rules of docs/PROTOCOL.md section 1. In reading order:
//!
//! 1. [`json`]: strict JSON in which every value keeps its own bytes.
//! 2. `canonical`: one text for one value, in each form that signers use.
//! 3. `payload`: the distinct hashes of those texts.
//! 4. `message`: the texts that wallets sign.
//! 5. `signature`: EIP-191 digests, signing and recovery.
//! 6. `wallet_signature`: bytes that a contract wallet may have to judge.
//! 7. `session`: nonces that carry their own proof.
//! 8. `call`: a request as it arrived, and every text that its wallet may have signed for it.
//! 9. `verify`: which of them was signed, and what to answer when none was.
//!
//! Knows nothing of HTTP, databases, clocks or randomness, nor of what a call costs.

mod call;
mod canonical;
pub mod json;
mod message;
mod payload;
mod session;
mod signature;
#[cfg(test)]
mod tests;
mod verify;
mod wallet_signature;

pub use call::{PathBoundCall, ScopedCall, ScopedPayload};
pub use canonical::{Escape, Form, KeyOrder, canonical};
pub use message::{Caller, SponsorMessage, SponsorReference, accepted_paths};
pub use payload::{PayloadHash, payload_hashes};
pub use session::{Session, SessionError, SessionKey};
pub use signature::{Signature, SignatureError, address_of, eip191_digest};
pub use verify::{Candidates, Mismatch, RECOVERIES_MAX, Verified};
pub use wallet_signature::{WALLET_SIGNATURE_BYTES_MAX, WalletSignature};
