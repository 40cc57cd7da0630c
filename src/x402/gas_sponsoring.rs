//! The "eip2612GasSponsoring" extension: a leave for Permit2 that comes with the payment, so that its
//! payer needs no gas.

use serde_json::{Map, Value, json};

use super::{AcceptedTerms, PaymentHeaderError, field::Field};
use crate::payment::{Authorization, PERMIT2, TokenPermit, TransferMethod};

/// The extension's key in `extensions`.
pub const GAS_SPONSORING: &str = "eip2612GasSponsoring";

/// Of the extension.
const VERSION: &str = "1";

/// What a `PaymentRequired` says under [`GAS_SPONSORING`] so that clients may send a leave.
#[must_use]
pub fn gas_sponsoring_offer() -> Value {
    let pattern = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let (address, number) = (pattern("^0x[a-fA-F0-9]{40}$"), pattern("^[0-9]+$"));
    json!({
        "info": {
            "description": "The settlement takes an EIP-2612 permit for Permit2 along.",
            "version": VERSION,
        },
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "from": address,
                "asset": address,
                "spender": address,
                "amount": number,
                "nonce": number,
                "deadline": number,
                "signature": pattern("^0x[a-fA-F0-9]+$"),
                "version": pattern("^[0-9]+(\\.[0-9]+)*$"),
            },
            "required": [
                "from", "asset", "spender", "amount", "nonce", "deadline", "signature", "version",
            ],
        },
    })
}

/// What a facilitator is told of a leave.
pub(super) fn told(permit: &TokenPermit, terms: &Authorization, token: &str) -> Map<String, Value> {
    let info = json!({
        "from": terms.from.to_checksum(None),
        "asset": token,
        "spender": PERMIT2.to_checksum(None),
        "amount": terms.value.to_string(),
        "nonce": permit.nonce.to_string(),
        "deadline": permit.deadline.to_string(),
        "signature": format!("0x{}", hex::encode(permit.signature)),
        "version": VERSION,
    });
    Map::from_iter([(GAS_SPONSORING.to_owned(), json!({ "info": info }))])
}

/// The leave that a payload carries, if it carries one. What clients send that know nothing of the
/// extension is the offer alone.
pub(super) fn permit(
    payload: &Field<'_>,
    terms: &Authorization,
    accepted: Option<AcceptedTerms>,
) -> Result<Option<TokenPermit>, PaymentHeaderError> {
    let info = payload
        .find("extensions")
        .and_then(|extensions| extensions.find(GAS_SPONSORING))
        .and_then(|extension| extension.find("info"))
        .filter(|info| info.find("signature").is_some());
    let Some(info) = info.filter(|_| terms.method == TransferMethod::Permit2) else {
        return Ok(None);
    };
    for (name, expected) in [
        ("from", Some(terms.from)),
        ("asset", accepted.map(|accepted| accepted.asset)),
        ("spender", Some(PERMIT2)),
    ] {
        let field = info.get(name)?;
        let address = field.address()?;
        if expected.is_some_and(|expected| expected != address) {
            return Err(field.bad("is not that of the payment"));
        }
    }
    let amount = info.get("amount")?;
    if amount.uint256()? != terms.value {
        return Err(amount.bad("is not exactly the payment's, as x402's proxy wants it"));
    }
    let signature = info.get("signature")?;
    let bytes = signature.bytes(65)?;
    Ok(Some(TokenPermit {
        nonce: info.get("nonce")?.uint256()?,
        deadline: info.get("deadline")?.seconds()?,
        signature: bytes
            .try_into()
            .map_err(|_| signature.bad("is not 65 bytes"))?,
    }))
}
