//! Wallet signatures: EIP-191 `personal_sign` over secp256k1, and recovery of their signer.
//!
//! Recovery is the dearest step of a spend, so the hot path uses the C library libsecp256k1 where
//! the feature of that name is on. k256 signs, stands in where C is not wanted, and checks the
//! other in a test.

use std::{fmt, str::FromStr};

use alloy::primitives::Address;
use k256::ecdsa::{RecoveryId, SigningKey, VerifyingKey};
use sha3::{Digest, Keccak256};
use thiserror::Error;

use crate::base::AgentAddress;

/// Added to the recovery id in the last byte, by a convention as old as Bitcoin's.
const V_OFFSET: u8 = 27;

/// A recoverable signature with `s` in the lower half of the order (EIP-2).
///
/// Two spellings of one signature (prefix, case of digits, `v` of 0/1 or 27/28) are equal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature {
    /// `r‖s`, both within the order and not zero.
    compact: [u8; 64],
    y_is_odd: bool,
}

/// Why a text is not a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    #[error("is not 65 bytes in hexadecimal: r, s and v, 130 digits with or without 0x")]
    Length,
    #[error("has a character that is not a hexadecimal digit")]
    NotHexadecimal,
    #[error("ends in a v that is not 27, 28, 0 or 1")]
    RecoveryByte,
    #[error("has an r or s that is zero or not below the order of secp256k1")]
    OutOfRange,
    #[error("has an s in the upper half of the order; send its twin in the lower half (EIP-2)")]
    HighS,
}

impl Signature {
    /// Signs a digest, deterministically (RFC 6979).
    ///
    /// # Panics
    /// On a digest for which RFC 6979 leads to an r or s of zero: nobody can find one.
    #[must_use]
    pub fn sign(key: &SigningKey, digest: [u8; 32]) -> Self {
        let (signature, recovery_id) = key
            .sign_prehash_recoverable(&digest)
            .expect("an r or s of zero has a probability of 2^-255");
        // k256 normalises s. That R's x lies above the order, which v cannot say, has a
        // probability of 2^-128.
        Self {
            compact: signature.to_bytes().into(),
            y_is_odd: recovery_id.is_y_odd(),
        }
    }

    /// Reads `r‖s‖v`.
    ///
    /// # Errors
    /// [`SignatureError`] but for the two about the text.
    pub fn from_bytes(bytes: [u8; 65]) -> Result<Self, SignatureError> {
        let [compact @ .., v] = bytes;
        let y_is_odd = match v {
            0 | V_OFFSET => false,
            1 | 28 => true,
            _ => return Err(SignatureError::RecoveryByte),
        };
        let signature =
            k256::ecdsa::Signature::from_slice(&compact).map_err(|_| SignatureError::OutOfRange)?;
        if signature.normalize_s().is_some() {
            return Err(SignatureError::HighS);
        }
        Ok(Self { compact, y_is_odd })
    }

    /// `r‖s‖v` with `v` 27 or 28.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 65] {
        let mut bytes = [V_OFFSET + u8::from(self.y_is_odd); 65];
        bytes[..64].copy_from_slice(&self.compact);
        bytes
    }

    /// The address whose key signed `digest`, if any key can have.
    #[cfg(feature = "libsecp256k1")]
    #[must_use]
    pub fn recover(&self, digest: [u8; 32]) -> Option<AgentAddress> {
        use secp256k1::{
            Message, SECP256K1,
            ecdsa::{RecoverableSignature, RecoveryId},
        };

        let recovery_id = RecoveryId::from_u8_masked(self.y_is_odd.into());
        let signature = RecoverableSignature::from_compact(&self.compact, recovery_id).ok()?;
        let key = SECP256K1
            .recover_ecdsa(Message::from_digest(digest), &signature)
            .ok()?;
        Some(address_of_point(&key.serialize_uncompressed()))
    }

    /// The address whose key signed `digest`, if any key can have.
    #[cfg(not(feature = "libsecp256k1"))]
    #[must_use]
    pub fn recover(&self, digest: [u8; 32]) -> Option<AgentAddress> {
        self.recover_portable(digest)
    }

    /// The same as [`Signature::recover`] in Rust alone, at about four times the cost.
    #[must_use]
    pub fn recover_portable(&self, digest: [u8; 32]) -> Option<AgentAddress> {
        let signature = k256::ecdsa::Signature::from_slice(&self.compact).ok()?;
        let recovery_id = RecoveryId::new(self.y_is_odd, false);
        let key = VerifyingKey::recover_from_prehash(&digest, &signature, recovery_id).ok()?;
        Some(address_of(&key))
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut bytes = [0; 65];
        hex::decode_to_slice(digits, &mut bytes).map_err(|error| match error {
            hex::FromHexError::InvalidHexCharacter { .. } => SignatureError::NotHexadecimal,
            hex::FromHexError::OddLength | hex::FromHexError::InvalidStringLength => {
                SignatureError::Length
            }
        })?;
        Self::from_bytes(bytes)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "0x{}", hex::encode(self.to_bytes()))
    }
}

impl fmt::Debug for Signature {
    /// Hides most of it: whoever holds a call's signature can fetch its stored reply.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "0x{}…", hex::encode(&self.compact[..4]))
    }
}

/// The digest that a wallet signs for a message (EIP-191, version 0x45).
#[must_use]
pub fn eip191_digest(message: &str) -> [u8; 32] {
    Keccak256::new()
        .chain_update("\x19Ethereum Signed Message:\n")
        .chain_update(message.len().to_string())
        .chain_update(message)
        .finalize()
        .into()
}

/// The address of a public key: the last 20 bytes of its Keccak-256.
#[must_use]
pub fn address_of(key: &VerifyingKey) -> AgentAddress {
    address_of_point(key.to_encoded_point(false).as_bytes())
}

/// Takes the point uncompressed, as SEC 1 writes it: a tag byte, x and y.
fn address_of_point(point: &[u8]) -> AgentAddress {
    let hash = Keccak256::digest(&point[1..]);
    AgentAddress::new(Address::from_slice(&hash[12..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The order of secp256k1, and half of it rounded down (SEC 2, section 2.4.1).
    const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    const HALF: &str = "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0";
    const HALF_PLUS_1: &str = "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a1";
    const ONE: &str = "0000000000000000000000000000000000000000000000000000000000000001";
    const ZERO: &str = "0000000000000000000000000000000000000000000000000000000000000000";

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_bytes(&[byte; 32].into()).unwrap()
    }

    #[test]
    fn known_digest_and_address() {
        // The example of web3.js's `eth.accounts.sign` documentation.
        assert_eq!(
            hex::encode(eip191_digest("Some data")),
            "1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655"
        );
        // Key 1: the address of the curve's generator.
        let mut one = [0; 32];
        one[31] = 1;
        let generator = SigningKey::from_bytes(&one.into()).unwrap();
        assert_eq!(
            address_of(generator.verifying_key()).to_string(),
            "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"
        );
    }

    #[test]
    fn the_length_of_a_message_is_in_bytes() {
        let by_hand = Keccak256::digest("\x19Ethereum Signed Message:\n2é");
        assert_eq!(eip191_digest("é"), <[u8; 32]>::from(by_hand));
    }

    #[test]
    fn every_spelling_is_one_signature() {
        let signature = Signature::sign(&key(7), [9; 32]);
        let text = signature.to_string();
        assert_eq!((text.len(), &text[..2]), (132, "0x"));
        let mut low_v = signature.to_bytes();
        low_v[64] -= V_OFFSET;
        for spelling in [
            text.clone(),
            text[2..].to_owned(),
            format!("0x{}", text[2..].to_uppercase()),
            hex::encode(low_v),
        ] {
            assert_eq!(spelling.parse(), Ok(signature), "{spelling}");
        }
        assert_eq!(format!("{signature:?}"), format!("{}…", &text[..10]));
    }

    #[test]
    fn each_fault_has_its_name() {
        use SignatureError::{HighS, Length, NotHexadecimal, OutOfRange, RecoveryByte};
        for (text, error) in [
            (String::new(), Length),
            (String::from("0x"), Length),
            (format!("{ONE}{ONE}"), Length),
            (format!("{ONE}{ONE}1"), Length),
            (format!("0x{ONE}{ONE}1b00"), Length),
            (format!("0X{ONE}{ONE}1b"), Length),
            (format!("{ONE}{}zz1b", &ONE[2..]), NotHexadecimal),
            (format!("0x0x{ONE}{}1b", &ONE[2..]), NotHexadecimal),
            (format!("{ONE}{ONE}02"), RecoveryByte),
            (format!("{ONE}{ONE}1a"), RecoveryByte),
            (format!("{ONE}{ONE}1d"), RecoveryByte),
            (format!("{ONE}{ONE}25"), RecoveryByte),
            (format!("{ZERO}{ONE}1b"), OutOfRange),
            (format!("{ONE}{ZERO}1b"), OutOfRange),
            (format!("{ORDER}{ONE}1b"), OutOfRange),
            (format!("{ONE}{ORDER}1b"), OutOfRange),
            (format!("{ONE}{HALF_PLUS_1}1b"), HighS),
        ] {
            assert_eq!(text.parse::<Signature>(), Err(error), "{text}");
        }
        assert!(format!("{ONE}{HALF}1c").parse::<Signature>().is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_signer_is_recovered(secret in 1..u8::MAX, digest: [u8; 32]) {
            let signature = Signature::sign(&key(secret), digest);
            prop_assert_eq!(Signature::from_bytes(signature.to_bytes()), Ok(signature));
            let signer = Some(address_of(key(secret).verifying_key()));
            prop_assert_eq!(signature.recover(digest), signer);
            prop_assert_eq!(signature.recover_portable(digest), signer);
            let twin = Signature { y_is_odd: !signature.y_is_odd, ..signature };
            prop_assert_ne!(twin.recover(digest), signer);
        }

        /// Half of all x lie on the curve, so both answers occur.
        #[cfg(feature = "libsecp256k1")]
        #[test]
        fn both_implementations_agree(
            r: [u8; 32], s: [u8; 32], y_is_odd: bool,
            digest in prop_oneof![any::<[u8; 32]>(), Just([0; 32]), Just([0xff; 32])],
        ) {
            let v = u8::from(y_is_odd);
            let mut bytes = [v; 65];
            bytes[..32].copy_from_slice(&r);
            bytes[32..64].copy_from_slice(&s);
            bytes[32] &= 0x7f;
            if let Ok(signature) = Signature::from_bytes(bytes) {
                prop_assert_eq!(signature.recover(digest), signature.recover_portable(digest));
            }
        }
    }
}
