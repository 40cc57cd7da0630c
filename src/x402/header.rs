//! JSON documents carried in HTTP headers as base64.

use base64::{
    DecodeError, Engine,
    engine::general_purpose::{STANDARD, STANDARD_PAD_INDIFFERENT, URL_SAFE_PAD_INDIFFERENT},
};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::PaymentHeaderError;

/// The largest header value this service sends. Node refuses responses whose headers exceed 16 KiB
/// together.
pub const HEADER_BYTES_MAX: usize = 8 * 1024;

const JSON_ERROR_CHARS_MAX: usize = 200;

/// A document that does not fit a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("The document needs {bytes} bytes as a header; at most {HEADER_BYTES_MAX} are sent.")]
pub struct HeaderTooLarge {
    pub bytes: usize,
}

/// Writes a document as x402's HTTP transport wants it: JSON in standard, padded base64.
///
/// # Errors
/// When the value is larger than [`HEADER_BYTES_MAX`].
///
/// # Panics
/// When `value` cannot be written as JSON; every document of this module can.
pub fn encode_header<T: Serialize>(value: &T) -> Result<String, HeaderTooLarge> {
    let json = serde_json::to_vec(value).expect("documents have string keys");
    let header = STANDARD.encode(json);
    if header.len() > HEADER_BYTES_MAX {
        return Err(HeaderTooLarge {
            bytes: header.len(),
        });
    }
    Ok(header)
}

/// Reads a document from a header: base64 or base64url, padded or not.
///
/// # Errors
/// When the value is larger than `bytes_max`, is not base64, or is not the JSON that `T` wants.
pub fn decode_header<T: DeserializeOwned>(
    header: &str,
    bytes_max: usize,
) -> Result<T, PaymentHeaderError> {
    if header.len() > bytes_max {
        return Err(PaymentHeaderError::TooLarge { bytes_max });
    }
    let json = decode_base64(header.trim_ascii()).map_err(|_| PaymentHeaderError::NotBase64)?;
    serde_json::from_slice(&json).map_err(|error| PaymentHeaderError::NotJson {
        reason: error
            .to_string()
            .chars()
            .take(JSON_ERROR_CHARS_MAX)
            .collect(),
    })
}

fn decode_base64(text: &str) -> Result<Vec<u8>, DecodeError> {
    if text.contains(['-', '_']) {
        URL_SAFE_PAD_INDIFFERENT.decode(text)
    } else {
        STANDARD_PAD_INDIFFERENT.decode(text)
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn writes_standard_padded_base64() {
        assert_eq!(
            encode_header(&json!({"a": "??>"})).unwrap(),
            "eyJhIjoiPz8+In0="
        );
    }

    #[test]
    fn refuses_to_send_more_than_a_header_holds() {
        let fits = "x".repeat(HEADER_BYTES_MAX / 4 * 3 - 2);
        assert_eq!(encode_header(&fits).unwrap().len(), HEADER_BYTES_MAX);
        let over = format!("{fits}x");
        assert_eq!(
            encode_header(&over),
            Err(HeaderTooLarge {
                bytes: HEADER_BYTES_MAX + 4
            })
        );
    }

    #[test]
    fn reads_every_base64_that_clients_send() {
        // Both alphabets differ for this text, and it needs padding.
        let document = json!({"a": "??>~"});
        let json = document.to_string();
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
            let header = engine.encode(&json);
            assert_eq!(
                decode_header::<Value>(&header, 64).unwrap(),
                document,
                "{header}"
            );
        }
    }

    #[test]
    fn refuses_what_is_not_a_document() {
        let decode = |header: &str| decode_header::<Value>(header, 64).unwrap_err();
        assert_eq!(decode("{}"), PaymentHeaderError::NotBase64);
        assert_eq!(decode("eyJh+-=="), PaymentHeaderError::NotBase64);
        assert_eq!(
            decode(&"e30=".repeat(17)),
            PaymentHeaderError::TooLarge { bytes_max: 64 }
        );
        for text in ["", "hello", "{\"a\":"] {
            assert!(matches!(
                decode(&STANDARD.encode(text)),
                PaymentHeaderError::NotJson { .. }
            ));
        }
    }
}
