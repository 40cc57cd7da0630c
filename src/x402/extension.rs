//! The "payment-identifier" extension: a client's own name for one payment.

use serde_json::{Value, json};

use super::{PaymentHeaderError, field::Field};

/// The extension's key in `extensions`.
pub const PAYMENT_IDENTIFIER: &str = "payment-identifier";

const ID_CHARS_MIN: usize = 16;
const ID_CHARS_MAX: usize = 128;

/// What a `PaymentRequired` says under [`PAYMENT_IDENTIFIER`] so that clients may send one.
#[must_use]
pub fn payment_identifier_offer() -> Value {
    json!({
        "info": { "required": false },
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "required": { "type": "boolean" },
                "id": {
                    "type": "string",
                    "minLength": ID_CHARS_MIN,
                    "maxLength": ID_CHARS_MAX,
                    "pattern": "^[a-zA-Z0-9_-]+$",
                },
            },
            "required": ["required"],
        },
    })
}

/// The identifier that a payload carries, if it carries one.
pub(super) fn payment_identifier(
    payload: &Field<'_>,
) -> Result<Option<String>, PaymentHeaderError> {
    let id = payload
        .find("extensions")
        .and_then(|extensions| extensions.find(PAYMENT_IDENTIFIER))
        .and_then(|extension| extension.find("info"))
        .and_then(|info| info.find("id"));
    let Some(id) = id else {
        return Ok(None);
    };
    let text = id.text()?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !(ID_CHARS_MIN..=ID_CHARS_MAX).contains(&text.len()) || !text.bytes().all(allowed) {
        return Err(id.bad("must be 16 to 128 letters, digits, '-' or '_'"));
    }
    Ok(Some(text.to_owned()))
}
