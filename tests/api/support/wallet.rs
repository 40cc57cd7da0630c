//! Who calls and pays. Messages are written out from the protocol, not taken from the code that is
//! tested.

use alloy::{
    primitives::{Address, B256, U256, uint},
    signers::{SignerSync, local::PrivateKeySigner},
};
use counterfoil::auth::{json, payload_hashes};
use serde_json::Value;

/// A wallet that nobody else has.
#[derive(Clone)]
pub(crate) struct Wallet(pub(crate) PrivateKeySigner);

impl Wallet {
    pub(crate) fn random() -> Self {
        Self(PrivateKeySigner::random())
    }

    pub(crate) fn address(&self) -> Address {
        self.0.address()
    }

    /// As the service writes it.
    pub(crate) fn name(&self) -> String {
        format!("{:#x}", self.0.address())
    }

    /// Signs a text as `personal_sign` does (EIP-191).
    pub(crate) fn sign(&self, message: &str) -> String {
        let signature = self.0.sign_message_sync(message.as_bytes()).unwrap();
        format!("0x{}", hex::encode(signature.as_bytes()))
    }

    pub(crate) fn sign_digest(&self, digest: B256) -> Vec<u8> {
        self.0.sign_hash_sync(&digest).unwrap().as_bytes().to_vec()
    }

    fn head(&self, session: &str, request_id: &str) -> String {
        let wallet = self.name();
        format!("agentpmt-external\nwallet:{wallet}\nsession:{session}\nrequest:{request_id}")
    }

    /// The message of a call to one action.
    pub(crate) fn path_bound(
        &self,
        session: &str,
        request_id: &str,
        path: &str,
        payload: &str,
    ) -> String {
        let head = self.head(session, request_id);
        format!("{head}\nmethod:POST\npath:{path}\npayload:{payload}")
    }

    /// The message of a read, or of an older tool call.
    pub(crate) fn scoped(
        &self,
        session: &str,
        request_id: &str,
        (action, product): (&str, &str),
        payload: &str,
    ) -> String {
        let head = self.head(session, request_id);
        format!("{head}\naction:{action}\nproduct:{product}\npayload:{payload}")
    }

    /// Signs that it pays `credits` for another wallet.
    pub(crate) fn sponsor(&self, recipient: &Self, credits: u64, nonce: B256) -> String {
        let (payer, recipient) = (self.name(), recipient.name());
        self.sign(&format!(
            "agentpmt-external-sponsor\npayer:{payer}\nrecipient:{recipient}\n\
             credits:{credits}\nnonce:{nonce:#x}"
        ))
    }
}

/// The hash of parameters in the form of the reference signer.
pub(crate) fn payload_hash(parameters: &Value) -> String {
    payload_hash_of(&parameters.to_string())
}

/// The same of a text, whose numbers count as they stand.
pub(crate) fn payload_hash_of(parameters: &str) -> String {
    let node = json::parse(parameters.as_bytes()).unwrap();
    hex::encode(payload_hashes(Some(&node), None)[0].1)
}

/// The order of secp256k1 (SEC 2, section 2.4.1).
const ORDER: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);

/// The twin of a signature that recovers the same signer, with its `s` in the upper half.
pub(crate) fn malleated(signature: &[u8]) -> Vec<u8> {
    let mut twin = signature.to_vec();
    let s = ORDER - U256::from_be_slice(&signature[32..64]);
    twin[32..64].copy_from_slice(&s.to_be_bytes::<32>());
    twin[64] = 27 + 28 - signature[64];
    twin
}
