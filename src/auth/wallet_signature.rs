//! A signature that a key made, or the code of a contract wallet takes (ERC-1271).

use std::str::FromStr;

use super::{Signature, SignatureError};

/// Longer ones are not read.
pub const WALLET_SIGNATURE_BYTES_MAX: usize = 4 * 1024;

/// The bytes of a signature. Whoever reads them must not take them for a key's: see
/// [`WalletSignature::key`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletSignature(Vec<u8>);

impl WalletSignature {
    /// The signature of a key, if it has the form of one.
    #[must_use]
    pub fn key(&self) -> Option<Signature> {
        let bytes = self.0.as_slice().try_into().ok()?;
        Signature::from_bytes(bytes).ok()
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for WalletSignature {
    type Err = SignatureError;

    /// Hexadecimal, with or without `0x`. What is 65 bytes long must be a key's signature; a contract
    /// wallet's may be longer.
    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let key_digits = 2 * 65;
        if digits.len() <= key_digits || digits.len() > 2 * WALLET_SIGNATURE_BYTES_MAX {
            let signature: Signature = text.parse()?;
            return Ok(Self(signature.to_bytes().to_vec()));
        }
        hex::decode(digits).map(Self).map_err(|error| match error {
            hex::FromHexError::InvalidHexCharacter { .. } => SignatureError::NotHexadecimal,
            hex::FromHexError::OddLength | hex::FromHexError::InvalidStringLength => {
                SignatureError::Length
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use k256::ecdsa::SigningKey;

    use super::*;

    #[test]
    fn reads_a_keys_signature_strictly_and_longer_ones_as_they_are() {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let signature = Signature::sign(&key, [1; 32]);
        let read: WalletSignature = signature.to_string().parse().unwrap();
        assert_eq!(read.key(), Some(signature));
        assert_eq!(read.bytes(), signature.to_bytes());

        for bytes in [66, 100, WALLET_SIGNATURE_BYTES_MAX] {
            let read: WalletSignature = "ab".repeat(bytes).parse().unwrap();
            assert_eq!((read.bytes().len(), read.key()), (bytes, None));
        }
        let over = WALLET_SIGNATURE_BYTES_MAX + 1;
        for (text, error) in [
            (String::new(), SignatureError::Length),
            ("0x12".into(), SignatureError::Length),
            ("00".repeat(65), SignatureError::OutOfRange),
            ("ab".repeat(over), SignatureError::Length),
            ("xy".repeat(66), SignatureError::NotHexadecimal),
            ("a".repeat(133), SignatureError::Length),
        ] {
            assert_eq!(text.parse::<WalletSignature>(), Err(error), "{text:.9}");
        }
    }
}
