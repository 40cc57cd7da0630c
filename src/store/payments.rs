//! What the store is asked and answers about payments.

use std::fmt;

use alloy::primitives::{Address, B256};

use super::{PayerRefusal, PayerRisk};
use crate::{
    base::{AgentAddress, AssetId, Credits, PurchaseId, RefundId, Timestamp},
    payment::{
        Booked, Inclusion, PaymentKey, PaymentState, PaymentWay, SignedAuthorization, Transfer,
    },
};

/// A payment as it stands.
#[derive(Clone)]
pub struct Payment {
    pub id: PurchaseId,
    pub way: PaymentWay,
    pub state: PaymentState,
    pub asset: AssetId,
    pub transfer: Transfer,
    /// `None` for a transfer that its payer sent without one.
    pub authorization: Option<SignedAuthorization>,
    /// Of the authorization that the transfer was or is to be made under.
    pub nonce: Option<B256>,
    /// The transfer's position among its transaction's logs, where no authorization names it.
    pub log_position: Option<u32>,
    pub credits: Credits,
    /// The wallet that is credited.
    pub wallet: AgentAddress,
    pub since_block: u64,
    /// The transaction that paid, or, until it is known, the last one that was sent for it.
    pub transaction: Option<B256>,
    /// The block that holds it, by number and hash, once it was credited.
    pub block: Option<(u64, B256)>,
    /// Its money is for suspense, since nobody can be told to have sent it.
    pub unattributed: bool,
    /// Where a credited payment's money went.
    pub booked: Option<Booked>,
    /// How often the chain dropped it after it had counted.
    pub reversals: u32,
    pub reason: Option<String>,
    /// When its state or its transaction changed last.
    pub updated_at: Timestamp,
}

/// The intent of a payment, stored before any external act.
#[derive(Clone)]
pub struct NewPayment {
    pub id: PurchaseId,
    pub way: PaymentWay,
    pub asset: AssetId,
    pub authorization: SignedAuthorization,
    pub credits: Credits,
    pub wallet: AgentAddress,
    pub label: Option<String>,
    pub since_block: u64,
    /// `None` when the money is here already, so that no settlement is sent.
    pub risk: Option<PayerRisk>,
    pub now: Timestamp,
}

/// Why an intent was not stored.
#[derive(Clone)]
pub enum PaymentRefusal {
    /// The authorization belongs to this payment already.
    Known(Box<Payment>),
    /// Nothing more is settled for the payer now.
    Payer(PayerRefusal),
    /// The quota of stored replies is used up.
    RepliesFull,
}

/// A relayer's transaction, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    pub raw: Vec<u8>,
    pub hash: B256,
    /// The most that its gas may cost, in gwei.
    pub cost_gwei: u64,
}

/// What a transaction is signed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It settles a payment.
    Payment(PurchaseId),
    /// It pays a refund.
    Refund(RefundId),
}

/// See [`super::Store::store_settlement`].
pub struct StoreSettlement {
    pub purpose: Purpose,
    pub chain_id: u64,
    pub relayer: Address,
    /// The relayer's next account nonce after the newest block.
    pub chain_nonce: u64,
    /// What the relayer holds after that block, in gwei.
    pub balance_gwei: u64,
    /// Signs the settlement with the account nonce it is given. Pure computation: it runs inside the
    /// transaction that reserves the nonce.
    pub sign: Box<dyn Fn(u64) -> SignedTransaction + Send + Sync>,
    pub now: Timestamp,
}

/// What became of a settlement that was to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredSettlement {
    /// To be broadcast; what it is for may have had it already.
    Signed(SignedTransaction),
    /// What it is for may not be settled any more.
    Moved,
    /// The relayer does not hold what its open transactions and this one may cost together, in gwei.
    /// Nothing was signed that anyone could send.
    Short { needed_gwei: u64 },
}

/// A relayer that has open transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusyRelayer {
    pub relayer: Address,
    pub open: u32,
}

/// Bytes to take the place of those of an open transaction: the same at other fees.
#[derive(Clone, Debug)]
pub struct ReplaceTransaction {
    pub open: OpenTransaction,
    pub signed: SignedTransaction,
    pub now: Timestamp,
}

/// A transaction for an account nonce that the chain waits for and no open transaction has.
#[derive(Clone, Debug)]
pub struct FillNonce {
    pub chain_id: u64,
    pub relayer: Address,
    pub account_nonce: u64,
    /// Moves nothing.
    pub filler: SignedTransaction,
    pub now: Timestamp,
}

/// A confirmed transfer to be booked.
#[derive(Clone, Debug)]
pub struct CreditPayment {
    pub payment: PurchaseId,
    /// Where it is on the chain.
    pub at: Inclusion,
    /// The transfers there that may be this payment's, where its own key does not name one: it is
    /// booked for the first that is not counted for another payment, or not at all.
    pub transfers: Vec<PaymentKey>,
    pub now: Timestamp,
}

/// A payment to be given up, if it is still in one of the states it may be given up from.
#[derive(Clone, Debug)]
pub struct GiveUp {
    pub payment: PurchaseId,
    /// `Refused`, `Failed` or `Expired`.
    pub state: PaymentState,
    pub reason: &'static str,
    pub now: Timestamp,
}

/// A relayer transaction that may still be mined.
#[derive(Clone, Debug)]
pub struct OpenTransaction {
    pub chain_id: u64,
    pub relayer: Address,
    pub account_nonce: u64,
    /// None when it only uses its account nonce up.
    pub purpose: Option<Purpose>,
    /// The bytes that were signed last.
    pub signed: SignedTransaction,
    pub signed_at: Timestamp,
    pub created_at: Timestamp,
}

impl NewPayment {
    #[must_use]
    pub fn key(&self) -> PaymentKey {
        self.authorization.terms.key(self.asset)
    }
}

impl fmt::Debug for StoreSettlement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StoreSettlement")
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}
