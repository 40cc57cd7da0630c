//! The keys of accounts that sign transactions: 64 hexadecimal digits, or an encrypted keystore.

use std::{ffi::OsString, os::unix::ffi::OsStringExt};

use zeroize::Zeroizing;

use super::{FILE_BYTES_MAX, KeyError, SecretKey, decode, keystore, read_bytes};
use crate::app::config::KeyFile;

/// A longer file is no keystore: those in use have about 500 bytes.
const KEYSTORE_BYTES_MAX: usize = 16_384;
const PASSWORD_BYTES_MAX: usize = 4_096;

/// What a key is for: it says where its password may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// Settlements.
    Relayer,
    /// Refunds.
    Float,
}

impl Signing {
    const fn password_option(self) -> &'static str {
        match self {
            Self::Relayer => "relayer_password_file",
            Self::Float => "refund_password_file",
        }
    }

    const fn password_variable(self) -> &'static str {
        match self {
            Self::Relayer => "COUNTERFOIL_RELAYER_PASSWORD",
            Self::Float => "COUNTERFOIL_REFUND_PASSWORD",
        }
    }
}

/// The private key of an account: in a file of 64 hexadecimal digits, with or without `0x`, or in an
/// encrypted keystore, which begins with `{`.
///
/// # Errors
/// When the file cannot be read or is neither, or its password is missing or wrong.
pub fn signing_key(file: &KeyFile, signing: Signing) -> Result<SecretKey, KeyError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a password never stands in the configuration or in arguments"
    )]
    let variable = || std::env::var_os(signing.password_variable());
    read(file, signing, variable)
}

fn read(
    file: &KeyFile,
    signing: Signing,
    variable: impl FnOnce() -> Option<OsString>,
) -> Result<SecretKey, KeyError> {
    let path = &file.path;
    let bytes = read_bytes(path, KEYSTORE_BYTES_MAX)?;
    let malformed = || KeyError::Malformed { path: path.clone() };
    if !bytes.trim_ascii_start().starts_with(b"{") {
        let plain = (bytes.len() <= FILE_BYTES_MAX).then(|| decode(&bytes));
        return plain.flatten().ok_or_else(malformed);
    }
    if bytes.len() > KEYSTORE_BYTES_MAX {
        return Err(malformed());
    }
    let (password, source) = match (&file.password, variable()) {
        (Some(file), _) => (read_password(file)?, format!("the file {}", file.display())),
        (None, Some(password)) => (
            Zeroizing::new(password.into_vec()),
            signing.password_variable().to_owned(),
        ),
        (None, None) => {
            return Err(KeyError::NoPassword {
                path: path.clone(),
                option: signing.password_option(),
                variable: signing.password_variable(),
            });
        }
    };
    keystore::open(&bytes, &password).map_err(|problem| KeyError::Keystore {
        path: path.clone(),
        password: source,
        problem,
    })
}

/// The content of a file without the end of its last line.
fn read_password(path: &std::path::Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut password = read_bytes(path, PASSWORD_BYTES_MAX).map_err(|error| match error {
        KeyError::Unreadable { path, source } => KeyError::UnreadablePassword { path, source },
        other => other,
    })?;
    if password.len() > PASSWORD_BYTES_MAX {
        let path = path.to_owned();
        return Err(KeyError::LongPassword { path });
    }
    let line = password.strip_suffix(b"\n").unwrap_or(&password);
    let length = line.strip_suffix(b"\r").unwrap_or(line).len();
    password.truncate(length);
    Ok(password)
}

#[cfg(test)]
mod tests {
    use std::{fs, io::ErrorKind, path::PathBuf};

    use super::*;
    use crate::app::keys::keystore::KeystoreError;

    const DIGITS: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
    /// Of the key 0x22…22, under the password "correct horse", by Python's eth-account.
    const KEYSTORE: &str = r#"
        {"crypto": {"cipher": "aes-128-ctr",
        "cipherparams": {"iv": "a5e94934f546fbb388c7917e84d26870"},
        "ciphertext": "7318570396c587e95ffee8ce8a25d3ad3ae687422f7b9ffeeff07935577dbee0",
        "kdf": "pbkdf2", "kdfparams": {"c": 10000, "dklen": 32, "prf": "hmac-sha256",
        "salt": "ec82c3047c873836d98355644e7241c7"},
        "mac": "6c2fdb16409ef5633675d9dcd1c3f97a2881fa29afd26577febc01d5ea511e5c"}, "version": 3}"#;

    fn file(text: &str) -> (tempfile::TempDir, KeyFile) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("relayer.key");
        fs::write(&path, text).unwrap();
        let password = None;
        (root, KeyFile { path, password })
    }

    fn key(file: &KeyFile, variable: Option<&str>) -> Result<SecretKey, KeyError> {
        read(file, Signing::Relayer, || variable.map(OsString::from))
    }

    #[test]
    fn a_plain_key_may_have_a_prefix_and_a_last_newline() {
        for text in [
            DIGITS.to_owned(),
            format!("0x{DIGITS}"),
            format!("0x{DIGITS}\r\n"),
        ] {
            let (_root, file) = file(&text);
            let key = key(&file, None).unwrap();
            assert_eq!(hex::encode_upper(*key), DIGITS.to_uppercase());
        }
        for text in ["", "secret", &DIGITS[1..], &"{".repeat(20_000)] {
            let (_root, file) = file(text);
            let error = key(&file, None).unwrap_err();
            assert!(!matches!(error, KeyError::Unreadable { .. }), "{error:?}");
            let told = format!("{error} {error:?}");
            assert!(
                told.contains("relayer.key") && !told.contains("secret"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_missing_key_is_not_made() {
        let (_root, mut file) = file("");
        file.path = file.path.with_file_name("other.key");
        let error = key(&file, None).unwrap_err();
        assert!(matches!(&error, KeyError::Unreadable { source, .. }
            if source.kind() == ErrorKind::NotFound));
        assert!(!file.path.exists());
    }

    #[test]
    fn a_keystore_takes_its_password_from_its_file_before_the_environment() {
        let (root, mut file) = file(KEYSTORE);
        let told = key(&file, None).unwrap_err().to_string();
        for named in [
            "relayer.key",
            "relayer_password_file",
            "COUNTERFOIL_RELAYER_PASSWORD",
        ] {
            assert!(told.contains(named), "{told}");
        }
        assert_eq!(*key(&file, Some("correct horse")).unwrap(), [0x22; 32]);

        let password: PathBuf = root.path().join("password");
        file.password = Some(password.clone());
        for ending in ["", "\n", "\r\n"] {
            fs::write(&password, format!("correct horse{ending}")).unwrap();
            assert_eq!(*key(&file, Some("hush")).unwrap(), [0x22; 32]);
        }
        for wrong in ["correct horse\n\n", "correct horse ", ""] {
            fs::write(&password, wrong).unwrap();
            let error = key(&file, Some("correct horse")).unwrap_err();
            let KeyError::Keystore { problem, .. } = &error else {
                panic!("{error:?}");
            };
            assert_eq!(*problem, KeystoreError::WrongPassword);
            let told = error.to_string();
            assert!(
                told.contains("relayer.key") && told.contains("password"),
                "{told}"
            );
            assert!(!told.contains("horse"), "{told}");
        }
        fs::write(&password, "x".repeat(5_000)).unwrap();
        let error = key(&file, None).unwrap_err();
        assert!(matches!(error, KeyError::LongPassword { .. }), "{error:?}");
    }
}
