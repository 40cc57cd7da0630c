//! A wallet: the key that signs, and the address that it stands for.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use k256::ecdsa::SigningKey;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    auth::{Signature, address_of, eip191_digest},
    base::AgentAddress,
};

/// A longer file is not a key.
const FILE_BYTES_MAX: usize = 256;

/// A secp256k1 key. Wiped when dropped; `Debug` shows the address only.
pub struct Wallet {
    key: SigningKey,
    address: AgentAddress,
}

/// Why there is no wallet. Never says what a key looks like.
#[derive(Debug, Error)]
pub enum WalletError {
    #[error("The key is malformed: it must be 64 hexadecimal digits, with or without 0x.")]
    Malformed,
    #[error("The key is zero or beyond the order of secp256k1.")]
    OutOfRange,
    #[error("The key file {} cannot be read: {source}.", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("The key file {} does not hold a key: {problem}", path.display())]
    BadFile {
        path: PathBuf,
        problem: Box<WalletError>,
    },
    #[error("{} exists already and is left as it is.", path.display())]
    Exists { path: PathBuf },
    #[error("The key file {} cannot be written: {source}.", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    #[error("The system gives no random bytes.")]
    Randomness,
}

impl Wallet {
    /// A fresh key from the system's randomness.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn generate() -> Result<Self, WalletError> {
        let mut secret = Zeroizing::new([0; 32]);
        loop {
            getrandom::fill(secret.as_mut_slice()).map_err(|_| WalletError::Randomness)?;
            // One draw in 2^127 is no key.
            if let Ok(wallet) = Self::from_secret(&secret) {
                return Ok(wallet);
            }
        }
    }

    /// Reads 64 hexadecimal digits, with or without `0x`; white space at the ends is ignored.
    ///
    /// # Errors
    /// When the text is not a key.
    pub fn from_hex(text: &str) -> Result<Self, WalletError> {
        let text = text.trim_ascii();
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut secret = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, secret.as_mut_slice()).map_err(|_| WalletError::Malformed)?;
        Self::from_secret(&secret)
    }

    /// Reads a file that holds a key as [`Wallet::from_hex`] takes it.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else.
    pub fn read(path: &Path) -> Result<Self, WalletError> {
        // Room from the start: a vector that grows leaves copies of the key behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX + 1));
        File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
            .map_err(|source| WalletError::Unreadable {
                path: path.to_owned(),
                source,
            })?;
        let text = std::str::from_utf8(&bytes).map_err(|_| WalletError::Malformed);
        text.and_then(Self::from_hex)
            .map_err(|problem| WalletError::BadFile {
                path: path.to_owned(),
                problem: Box::new(problem),
            })
    }

    /// Writes the key to a new file that only its owner may read (mode 0600).
    ///
    /// # Errors
    /// When the file exists, which is then left as it is, or cannot be written.
    pub fn write_new(&self, path: &Path) -> Result<(), WalletError> {
        let fail = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => WalletError::Exists {
                path: path.to_owned(),
            },
            _ => WalletError::Unwritable {
                path: path.to_owned(),
                source,
            },
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(fail)?;
        let secret = Zeroizing::new(<[u8; 32]>::from(self.key.to_bytes()));
        let line = Zeroizing::new(format!("0x{}\n", *Zeroizing::new(hex::encode(*secret))));
        let written = file
            .write_all(line.as_bytes())
            .and_then(|()| file.sync_all());
        written.map_err(|error| {
            // Half a key is worse than none. The first error is the one to tell.
            let _ = std::fs::remove_file(path);
            fail(error)
        })
    }

    #[must_use]
    pub const fn address(&self) -> AgentAddress {
        self.address
    }

    /// Signs a text as EIP-191 `personal_sign` does.
    #[must_use]
    pub fn sign_message(&self, message: &str) -> Signature {
        self.sign_digest(eip191_digest(message))
    }

    #[must_use]
    pub fn sign_digest(&self, digest: [u8; 32]) -> Signature {
        Signature::sign(&self.key, digest)
    }

    fn from_secret(secret: &[u8; 32]) -> Result<Self, WalletError> {
        let key = SigningKey::from_slice(secret).map_err(|_| WalletError::OutOfRange)?;
        let address = address_of(key.verifying_key());
        Ok(Self { key, address })
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Wallet({})", self.address)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Anvil's first account.
    const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    const ADDRESS: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";

    #[test]
    fn reads_a_key_in_every_spelling_and_hides_it() {
        for text in [
            KEY.to_owned(),
            format!("0x{KEY}\n"),
            format!("  0x{}\r\n", KEY.to_uppercase()),
        ] {
            let wallet = Wallet::from_hex(&text).unwrap();
            assert_eq!(wallet.address().to_string(), ADDRESS);
            assert_eq!(format!("{wallet:?}"), format!("Wallet({ADDRESS})"));
        }
    }

    #[test]
    fn refuses_what_is_not_a_key_without_repeating_it() {
        let zero = "0".repeat(64);
        let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        for text in ["", "0x", &KEY[1..], &format!("{KEY}00"), &zero, order] {
            let error = Wallet::from_hex(text).unwrap_err().to_string();
            assert!(text.len() < 8 || !error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_new_file_is_its_owners_alone_and_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.key");
        let wallet = Wallet::generate().unwrap();
        wallet.write_new(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(Wallet::read(&path).unwrap().address(), wallet.address());

        let other = Wallet::generate().unwrap();
        let error = other.write_new(&path).unwrap_err();
        assert!(matches!(error, WalletError::Exists { .. }), "{error}");
        assert_eq!(Wallet::read(&path).unwrap().address(), wallet.address());
    }

    #[test]
    fn a_file_that_is_no_key_is_named_but_not_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.key");
        for content in ["not a key".to_owned(), "ab".repeat(10_000)] {
            std::fs::write(&path, &content).unwrap();
            let error = Wallet::read(&path).unwrap_err().to_string();
            assert!(error.contains("agent.key"), "{error}");
            assert!(!error.contains(&content), "{error}");
        }
    }

    #[test]
    fn signs_so_that_its_address_is_recovered() {
        let wallet = Wallet::from_hex(KEY).unwrap();
        let signature = wallet.sign_message("hello");
        let recovered = signature.recover(eip191_digest("hello"));
        assert_eq!(recovered, Some(wallet.address()));
    }
}
