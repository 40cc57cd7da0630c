//! Accounts, postings, grants and charges: decisions as values.
//!
//! Owns what may happen to money in the books: which grants a hold takes from, what expires, and
//! that every movement has two sides. It decides; the store writes. Knows nothing of SQL, HTTP,
//! chains or clocks.

mod account;
mod charge;
mod grant;
mod hold;
mod posting;
mod refund;
mod reversal;

pub use account::Account;
pub use charge::ChargeStatus;
pub use grant::{Grant, GrantId, GrantSource};
pub use hold::{Allocation, InsufficientCredits, allocate};
pub use posting::{Posting, PostingError, PostingReason};
pub use refund::unspent;
pub use reversal::{Reversal, Standing, recover, reverse};
