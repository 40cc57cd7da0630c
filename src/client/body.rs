//! The bodies of signed requests.

use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{ClientError, Wallet};
use crate::auth::{Caller, Form, PayloadHash, canonical, json};

/// A call's parameters as canonical JSON. What is signed is what is sent, byte for byte.
#[derive(Clone, Debug)]
pub(super) struct Parameters {
    pub(super) json: Box<RawValue>,
    pub(super) hash: PayloadHash,
}

/// A body that proves who is asking. The signature is over `message`.
#[derive(Serialize)]
struct SignedBody<'a> {
    wallet_address: String,
    session_nonce: &'a str,
    request_id: &'a str,
    signature: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
}

impl Parameters {
    /// `null` stands for no parameters, as it does for the service.
    pub(super) fn of(parameters: &(impl Serialize + ?Sized)) -> Result<Self, ClientError> {
        let text = serde_json::to_string(parameters)
            .map_err(|error| ClientError::ParametersUnwritable(error.to_string()))?;
        let node = json::parse(text.as_bytes()).map_err(ClientError::Parameters)?;
        let canonical = if node.is_null() {
            "{}".to_owned()
        } else {
            // The form of the reference signer, which a service tries first.
            canonical(&node, Form::PYTHON)
        };
        let hash = Sha256::digest(&canonical).into();
        let json = RawValue::from_string(canonical).expect("canonical JSON is JSON");
        Ok(Self { json, hash })
    }
}

pub(super) fn signed_body(
    wallet: &Wallet,
    caller: Caller<'_>,
    message: &str,
    parameters: Option<&RawValue>,
) -> Vec<u8> {
    encode(&SignedBody {
        wallet_address: caller.wallet.to_string(),
        session_nonce: caller.session_nonce,
        request_id: caller.request_id.as_str(),
        signature: wallet.sign_message(message).to_string(),
        parameters,
    })
}

/// Writes a body of this module's own making.
pub(super) fn encode(body: &(impl Serialize + ?Sized)) -> Vec<u8> {
    serde_json::to_vec(body).expect("bodies are structs of texts and JSON")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_sent_as_they_are_signed() {
        let raw = RawValue::from_string("{ \"b\": 1.0, \"a\": \"é\", \"c\": 1e3 }".into()).unwrap();
        let parameters = Parameters::of(&raw).unwrap();
        assert_eq!(parameters.json.get(), r#"{"a":"\u00e9","b":1.0,"c":1e3}"#);
        let hash: PayloadHash = Sha256::digest(parameters.json.get()).into();
        assert_eq!(parameters.hash, hash);
    }

    #[test]
    fn no_parameters_are_an_empty_object() {
        assert_eq!(Parameters::of(&json!(null)).unwrap().json.get(), "{}");
        assert_eq!(Parameters::of(&json!({})).unwrap().json.get(), "{}");
    }

    #[test]
    fn what_a_service_would_refuse_is_not_signed() {
        for text in [r#"{"a":1,"a":2}"#, "1e999", r#"["\ud800"]"#] {
            let raw = RawValue::from_string(text.into()).unwrap();
            let error = Parameters::of(&raw).unwrap_err();
            assert!(
                matches!(error, ClientError::Parameters(_)),
                "{text}: {error}"
            );
        }
    }
}
