//! Session nonces: issued without a write, verified without a read.
//!
//! A nonce carries its expiry and the hash of the price list in force, under a MAC that binds both
//! to one wallet. It proves nothing about who asked for it: every later call is signed. Knows no
//! clock: whether a session has expired is the caller's question, asked after a stored reply was
//! looked for.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::base::{AgentAddress, Timestamp};

const PREFIX: &str = "s-";
const VERSION: u8 = 1;
const MAC_DOMAIN: &[u8] = b"counterfoil session nonce v1\0";
const ID_DOMAIN: &[u8] = b"counterfoil session key id v1\0";

/// Version, expiry in seconds (big endian), salt, hash of the price list.
const FIELDS: usize = 1 + 8 + 8 + 32;
const MAC: usize = 32;
const BYTES: usize = FIELDS + MAC;

/// The server's secret under which sessions are issued. Wiped when dropped.
pub struct SessionKey(Zeroizing<[u8; 32]>);

/// What a verified nonce says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whole seconds.
    pub expires_at: Timestamp,
    /// SHA-256 of the price list that was in force when the session began.
    pub price_list: [u8; 32],
}

/// Why a text is not a session nonce of this wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SessionError {
    #[error("is not a session nonce: send it as this service gave it")]
    Malformed,
    #[error("is a session nonce of another version of this service; ask for a new one")]
    Version,
    #[error("was not issued to this wallet by this service; ask for a new one")]
    NotIssued,
}

impl SessionKey {
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// A public name of the key: 16 hexadecimal digits that tell nothing about it.
    #[must_use]
    pub fn id(&self) -> String {
        let hash = Sha256::new()
            .chain_update(ID_DOMAIN)
            .chain_update(self.0.as_slice())
            .finalize();
        hex::encode(&hash[..8])
    }

    /// A nonce for `wallet`. `expires_at` is rounded down to seconds; `salt` is random, so that
    /// sessions begun in the same second differ.
    #[must_use]
    pub fn issue(
        &self,
        wallet: AgentAddress,
        expires_at: Timestamp,
        price_list: [u8; 32],
        salt: [u8; 8],
    ) -> String {
        let mut nonce = Vec::with_capacity(BYTES);
        nonce.push(VERSION);
        nonce.extend(expires_at.seconds().to_be_bytes());
        nonce.extend(salt);
        nonce.extend(price_list);
        let mac = self.mac(wallet, &nonce).finalize().into_bytes();
        nonce.extend_from_slice(&mac);
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(nonce))
    }

    /// What `nonce` says, if this key issued it to `wallet`. Does not look at the expiry.
    ///
    /// # Errors
    /// [`SessionError`]; all of them are `EXTERNAL_SIGNATURE_SESSION_NONCE_INVALID` on the wire.
    pub fn verify(&self, nonce: &str, wallet: AgentAddress) -> Result<Session, SessionError> {
        let text = nonce.strip_prefix(PREFIX).ok_or(SessionError::Malformed)?;
        let mut bytes = [0; BYTES];
        // 81 bytes are 108 characters without a bit to spare, so a nonce has one spelling.
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(BYTES) => {}
            Ok(_) | Err(_) => return Err(SessionError::Malformed),
        }
        let (fields, mac) = bytes.split_at(FIELDS);
        let (&version, rest) = fields.split_first().ok_or(SessionError::Malformed)?;
        if version != VERSION {
            return Err(SessionError::Version);
        }
        // Compares in constant time.
        self.mac(wallet, fields)
            .verify_slice(mac)
            .map_err(|_| SessionError::NotIssued)?;
        let (expiry, rest) = rest.split_first_chunk().ok_or(SessionError::Malformed)?;
        let price_list = rest.last_chunk().ok_or(SessionError::Malformed)?;
        Ok(Session {
            expires_at: Timestamp::from_seconds(i64::from_be_bytes(*expiry)),
            price_list: *price_list,
        })
    }

    /// All that goes in has a fixed length, so no two inputs run together.
    fn mac(&self, wallet: AgentAddress, fields: &[u8]) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(self.0.as_slice())
            .expect("HMAC takes a key of any length (RFC 2104)")
            .chain_update(MAC_DOMAIN)
            .chain_update(wallet.address())
            .chain_update(fields)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SessionKey({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 32] = [0x5e; 32];

    fn wallet(bytes: [u8; 20]) -> AgentAddress {
        AgentAddress::new(bytes.into())
    }

    fn issued() -> String {
        let expires_at = Timestamp::from_millis(1_700_000_000_999);
        SessionKey::new(KEY).issue(wallet([1; 20]), expires_at, [2; 32], [3; 8])
    }

    #[test]
    fn a_nonce_says_what_was_put_in() {
        let session = SessionKey::new(KEY).verify(&issued(), wallet([1; 20]));
        let expected = Session {
            expires_at: Timestamp::from_seconds(1_700_000_000),
            price_list: [2; 32],
        };
        assert_eq!(session, Ok(expected));
        assert_eq!(issued().len(), 110);
    }

    #[test]
    fn malformed_and_foreign_nonces_are_told_apart() {
        let nonce = issued();
        let other_version = {
            let mut bytes = URL_SAFE_NO_PAD.decode(&nonce[2..]).unwrap();
            bytes[0] = 2;
            format!("s-{}", URL_SAFE_NO_PAD.encode(bytes))
        };
        let key = SessionKey::new(KEY);
        for (text, error) in [
            ("", SessionError::Malformed),
            ("s-", SessionError::Malformed),
            (
                "s-dfe4a839a23ccab7c6528f20e8ccdfc4",
                SessionError::Malformed,
            ),
            (&nonce[2..], SessionError::Malformed),
            (&nonce[..109], SessionError::Malformed),
            (&format!("{nonce}A"), SessionError::Malformed),
            (&format!("{nonce}AA"), SessionError::Malformed),
            (&format!("{nonce}=="), SessionError::Malformed),
            (&format!("{nonce}\n"), SessionError::Malformed),
            (
                &format!("s-{}", "A".repeat(1 << 20)),
                SessionError::Malformed,
            ),
            (&other_version, SessionError::Version),
        ] {
            assert_eq!(key.verify(text, wallet([1; 20])), Err(error), "{text:.120}");
        }
        let other_key = SessionKey::new([0x5f; 32]);
        assert_eq!(
            other_key.verify(&nonce, wallet([1; 20])),
            Err(SessionError::NotIssued)
        );
    }

    #[test]
    fn a_change_of_any_bit_is_refused() {
        let key = SessionKey::new(KEY);
        let bytes = URL_SAFE_NO_PAD.decode(&issued()[2..]).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let nonce = format!("s-{}", URL_SAFE_NO_PAD.encode(changed));
            assert!(key.verify(&nonce, wallet([1; 20])).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_change_of_any_character_is_refused() {
        let key = SessionKey::new(KEY);
        let nonce = issued();
        for position in 0..nonce.len() {
            for replacement in (0_u8..0x80).map(char::from) {
                let mut changed = nonce.clone();
                changed.replace_range(position..=position, &replacement.to_string());
                let verified = key.verify(&changed, wallet([1; 20]));
                assert_eq!(verified.is_ok(), changed == nonce, "{changed}");
            }
        }
    }

    #[test]
    fn the_key_hides() {
        let key = SessionKey::new(KEY);
        assert_eq!(format!("{key:?}"), format!("SessionKey({})", key.id()));
        assert_eq!(key.id().len(), 16);
        assert!(!key.id().contains("5e5e"));
        assert_ne!(key.id(), SessionKey::new([0x5f; 32]).id());
    }

    proptest! {
        #[test]
        fn only_its_own_wallet_may_use_a_nonce(
            owner: [u8; 20], other: [u8; 20], seconds: u32, price_list: [u8; 32], salt: [u8; 8],
        ) {
            let key = SessionKey::new(KEY);
            let expires_at = Timestamp::from_seconds(seconds.into());
            let nonce = key.issue(wallet(owner), expires_at, price_list, salt);
            prop_assert_eq!(
                key.verify(&nonce, wallet(owner)),
                Ok(Session { expires_at, price_list })
            );
            prop_assume!(owner != other);
            prop_assert_eq!(key.verify(&nonce, wallet(other)), Err(SessionError::NotIssued));
        }

        #[test]
        fn arbitrary_texts_never_panic(text: String) {
            prop_assert!(SessionKey::new(KEY).verify(&text, wallet([1; 20])).is_err());
        }
    }
}
