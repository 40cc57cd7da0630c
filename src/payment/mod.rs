//! The states of a payment and what moves it: facts in, next step out.
//!
//! Owns the signed authorization (EIP-3009 or Permit2), the one key under which a payment is counted, and the
//! decision of what to do with it. The chain is the judge: a payment is credited or given up only
//! on facts read from it. Knows nothing of RPC, databases, clocks or wire formats.

mod authorization;
mod booking;
mod confirmations;
mod fact;
mod key;
mod permit2;
mod policy;
mod recheck;
mod refund;
mod state;
mod step;

pub use authorization::{
    Authorization, SignedAuthorization, TokenDomain, Transfer, TransferMethod,
};
pub use booking::{Booked, Booking, DirectStage, PaymentWay, booking};
pub use confirmations::Confirmations;
pub use fact::{AuthorizationFact, Inclusion};
pub use key::PaymentKey;
pub use permit2::{PERMIT2, PERMIT2_PROXY};
pub use policy::{Disposal, PlainTransfers, TransferPolicy};
pub use recheck::{Recheck, recheck};
pub use refund::{
    RefundFact, RefundRecheck, RefundState, RefundStep, VoidReason, next_refund_step,
    recheck_refund, refund_amount,
};
pub use state::PaymentState;
pub use step::{Failure, Step, next_step};
