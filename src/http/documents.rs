//! The bodies of answers, and of the requests as the OpenAPI document shows them.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::amounts::{CreditsNumber, UsdNumber};

/// A session nonce for one wallet.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionDocument {
    /// Opaque. Goes into the signed message and the body of every call.
    pub(super) session_nonce: String,
    /// Seconds.
    pub(super) expires_in: i64,
    /// RFC 3339, UTC.
    pub(super) expires_at: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct BalanceDocument {
    pub(super) success: bool,
    pub(super) wallet_address: String,
    /// Includes what is held.
    pub(super) balance_credits: CreditsNumber,
    pub(super) held_credits: CreditsNumber,
    pub(super) available_credits: CreditsNumber,
    pub(super) balance_usd: String,
    /// When the first credits run out, RFC 3339; null when none do.
    pub(super) expiration: Option<String>,
    pub(super) expires_in_days: Option<i64>,
    /// In the order in which they are spent.
    pub(super) grants: Vec<GrantDocument>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct GrantDocument {
    /// `x402`, `on_chain`, `card`, `promotion` or `refund`.
    pub(super) source: &'static str,
    /// The lowest number is spent first.
    pub(super) priority: i64,
    pub(super) remaining_credits: CreditsNumber,
    pub(super) held_credits: CreditsNumber,
    /// RFC 3339; null when it does not run out.
    pub(super) expires_at: Option<String>,
}

/// A charged call.
#[derive(Serialize, ToSchema)]
pub(super) struct CallDocument<'a> {
    pub(super) success: bool,
    pub(super) response: ToolDocument<'a>,
    pub(super) charge_id: String,
    /// `captured`.
    pub(super) charge_status: &'static str,
    /// The price at the time of the hold.
    pub(super) price_credits: CreditsNumber,
    pub(super) charged_credits: CreditsNumber,
    /// Right after the charge.
    pub(super) balance_credits: CreditsNumber,
    pub(super) balance_usd: String,
    /// The source of the grant that paid first.
    pub(super) credit_source: &'static str,
}

/// What the tool answered.
#[derive(Serialize, ToSchema)]
pub(super) struct ToolDocument<'a> {
    pub(super) success: bool,
    /// The tool's own HTTP status.
    pub(super) status_code: u16,
    /// The tool's JSON as it gave it; a string when it gave something else.
    #[schema(value_type = Object)]
    pub(super) data: &'a RawValue,
}

/// A call that was paid for by itself.
#[derive(Serialize, ToSchema)]
pub(super) struct PaidCallDocument<'a> {
    pub(super) success: bool,
    pub(super) response: ToolDocument<'a>,
    pub(super) x402: PaymentDocument,
}

/// A call that ran: charged in credits, or paid for by itself.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the OpenAPI document")]
pub(super) enum AnyCallDocument<'a> {
    Charged(CallDocument<'a>),
    Paid(PaidCallDocument<'a>),
}

#[derive(Serialize, ToSchema)]
pub(super) struct PaymentDocument {
    /// The transaction that settled the payment.
    pub(super) transaction: String,
    /// CAIP-2.
    pub(super) network: String,
    pub(super) resource_url: String,
    pub(super) payment: TransferDocument,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TransferDocument {
    /// The token's symbol.
    pub(super) token: String,
    /// The token's contract.
    pub(super) asset: String,
    pub(super) amount_base_units: String,
    pub(super) amount_usd: UsdNumber,
    pub(super) payer_wallet_address: String,
    pub(super) pay_to: String,
}

/// Credits that were bought.
#[derive(Serialize, ToSchema)]
pub(super) struct PurchaseDocument {
    pub(super) success: bool,
    pub(super) purchase_id: String,
    /// `credited`.
    pub(super) status: &'static str,
    /// The wallet that was credited; left out when the same payment is sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) wallet_address: Option<String>,
    pub(super) credits_purchased: CreditsNumber,
    /// Left out when the same payment is sent again: the authorization is public by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) balance_credits: Option<CreditsNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) balance_usd: Option<String>,
    pub(super) transaction: String,
    pub(super) network: String,
}

/// A payment whose outcome is not known yet. It resolves by itself.
#[derive(Serialize, ToSchema)]
pub(super) struct SettlingDocument {
    pub(super) success: bool,
    /// `settling`.
    pub(super) status: &'static str,
    pub(super) purchase_id: String,
    /// Ask here until the status is final.
    pub(super) status_url: String,
    pub(super) detail: &'static str,
}

/// A purchase as its id shows it: no wallet, no balance.
#[derive(Serialize, ToSchema)]
pub(super) struct PurchaseStatusDocument {
    pub(super) success: bool,
    pub(super) purchase_id: String,
    /// `authorized`, `broadcast`, `confirmed`, `credited`, `refused`, `failed` or `expired`.
    pub(super) status: &'static str,
    pub(super) credits: CreditsNumber,
    /// Null until one is known.
    pub(super) transaction: Option<String>,
    pub(super) network: String,
    /// Why it was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct CatalogueDocument<'a> {
    /// SHA-256 of the price list in force, which every session nonce carries.
    pub(super) price_list_hash: String,
    pub(super) tools: Vec<ToolEntry<'a>>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ToolEntry<'a> {
    pub(super) slug: &'a str,
    pub(super) name: &'a str,
    pub(super) description: &'a str,
    pub(super) actions: Vec<ActionEntry<'a>>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ActionEntry<'a> {
    pub(super) slug: &'a str,
    pub(super) description: &'a str,
    pub(super) invoke_url: String,
    pub(super) price_credits: CreditsNumber,
    pub(super) price_usd: String,
    /// May also be paid call by call, over x402.
    pub(super) x402: bool,
    /// JSON Schema of the parameters.
    #[schema(value_type = Object)]
    pub(super) parameters: &'a serde_json::Value,
}

/// One tool with the hash of the price list in force.
#[derive(Serialize, ToSchema)]
pub(super) struct ToolPage<'a> {
    pub(super) price_list_hash: String,
    #[serde(flatten)]
    pub(super) tool: ToolEntry<'a>,
}

/// Body of `POST /api/external/auth/session`.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "read field by field, so that every problem gets its pointer"
)]
pub(super) struct SessionRequest {
    /// Lower case, upper case, or with an EIP-55 checksum.
    wallet_address: String,
}

/// Body of a signed read.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "read field by field, so that every problem gets its pointer"
)]
pub(super) struct SignedRequest {
    wallet_address: String,
    session_nonce: String,
    /// 1 to 128 visible ASCII characters.
    request_id: String,
    /// EIP-191 signature, 65 bytes in hexadecimal.
    signature: String,
}

/// Body of a signed call. A body without `session_nonce` and `signature` is taken as bare
/// parameters, to be paid over x402.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "read field by field, so that every problem gets its pointer"
)]
pub(super) struct SignedCallRequest {
    wallet_address: String,
    session_nonce: String,
    /// Names the call: the same signed message, sent again, returns the stored reply.
    request_id: String,
    signature: String,
    /// As the action's schema says.
    #[schema(value_type = Option<Object>)]
    parameters: (),
}

/// Body of `POST /api/external/credits/purchase`.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "read field by field, so that every problem gets its pointer"
)]
pub(super) struct PurchaseRequest {
    /// The wallet to be credited.
    wallet_address: String,
    /// A multiple of the operator's step. With `transaction_hash` it may be left out or any amount, and
    /// must be what the transfer is worth.
    credits: Option<f64>,
    /// `x402`.
    payment_method: Option<String>,
    /// The client's own label.
    request_id: Option<String>,
    /// Refused when the payment is another wallet's.
    payer_wallet_address: Option<String>,
    /// The payer's signature of the sponsor message, when it pays for another wallet.
    sponsor_signature: Option<String>,
    /// In place of a payment header: the transaction of a transfer to an address that this service is
    /// paid at. It is credited to its sender, or, with the sender's sponsor message, to another wallet.
    transaction_hash: Option<String>,
    /// CAIP-2: offers on this network only; the transaction's network.
    network: Option<String>,
}
