//! Secret keys in files.
//!
//! Owns the directory of the service's own keys, and reads those of accounts that sign transactions. What is wrong with a file
//! is said with its name, never with its content; keys in memory are wiped when they are dropped.

mod keystore;
mod signing;

pub use signing::{Signing, signing_key};

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use thiserror::Error;
use zeroize::Zeroizing;

use keystore::KeystoreError;

/// 32 secret bytes.
pub type SecretKey = Zeroizing<[u8; 32]>;

const SESSION_KEY_FILE: &str = "session.key";
/// A longer file is not a key.
const FILE_BYTES_MAX: usize = 256;

/// Why there is no key.
#[derive(Debug, Error)]
pub enum KeyError {
    #[error("cannot read the key file {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "the key file {} is malformed: it must hold 64 hexadecimal digits and nothing else",
        path.display()
    )]
    Malformed { path: PathBuf },
    #[error(
        "the keystore {} needs a password: name a file that holds it in {option}, or set {variable}",
        path.display()
    )]
    NoPassword {
        path: PathBuf,
        option: &'static str,
        variable: &'static str,
    },
    #[error(
        "the keystore {} does not open: {problem} (the password was taken from {password}): mend \
         one of the two",
        path.display()
    )]
    Keystore {
        path: PathBuf,
        password: String,
        problem: KeystoreError,
    },
    #[error("cannot read the password file {}: {source}", path.display())]
    UnreadablePassword { path: PathBuf, source: io::Error },
    #[error("the password file {} is longer than 4096 bytes", path.display())]
    LongPassword { path: PathBuf },
    #[error("cannot create the key {}: {source}", path.display())]
    Uncreatable { path: PathBuf, source: io::Error },
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

/// The key under which session nonces are authenticated: read from `session.key` in `directory`,
/// or made there, with the directory itself, on the first start.
///
/// # Errors
/// When the file is there but is not a key, or cannot be read or made.
pub fn session_key(directory: &Path) -> Result<SecretKey, KeyError> {
    let path = directory.join(SESSION_KEY_FILE);
    match read(&path) {
        Err(KeyError::Unreadable { source, .. }) if source.kind() == ErrorKind::NotFound => {}
        key_or_error => return key_or_error,
    }
    let mut key = SecretKey::default();
    getrandom::fill(key.as_mut_slice())?;
    match create(directory, &path, &key) {
        Ok(()) => {
            tracing::info!(path = %path.display(), "made a session key");
            Ok(key)
        }
        // Another start was faster: its key is the key.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => read(&path),
        Err(source) => Err(KeyError::Uncreatable { path, source }),
    }
}

/// A key of 64 hexadecimal digits, with or without `0x`.
///
/// # Errors
/// When the file cannot be read or is not a key.
pub fn plain_key(path: &Path) -> Result<SecretKey, KeyError> {
    read(path)
}

fn read(path: &Path) -> Result<SecretKey, KeyError> {
    let bytes = read_bytes(path, FILE_BYTES_MAX)?;
    decode(&bytes).ok_or_else(|| KeyError::Malformed {
        path: path.to_owned(),
    })
}

/// The first bytes of a secret file: one more than `max` if there are as many.
fn read_bytes(path: &Path, max: usize) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let unreadable = |source| KeyError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(
            path = %path.display(),
            mode = format_args!("{:03o}", mode & 0o777),
            "the file of a key or password can be read by others; restrict it with chmod 600",
        );
    }
    // Room from the start: a vector that grows leaves copies of the key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(max + 1));
    file.take(max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Option<SecretKey> {
    if bytes.len() > FILE_BYTES_MAX {
        return None;
    }
    let digits = bytes.trim_ascii_end();
    let digits = digits.strip_prefix(b"0x").unwrap_or(digits);
    let mut key = SecretKey::default();
    hex::decode_to_slice(digits, key.as_mut_slice()).ok()?;
    Some(key)
}

/// Writes the key under another name and links it into place, so that the file is whole whenever
/// it is there, and a key that is there is never replaced.
fn create(directory: &Path, path: &Path, key: &SecretKey) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let unfinished = directory.join(format!("{SESSION_KEY_FILE}.{}", std::process::id()));
    // A file of that name was left by a crash of an earlier process with our number.
    let _ = fs::remove_file(&unfinished);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)?;
    let digits = Zeroizing::new(hex::encode(key.as_slice()));
    file.write_all(digits.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    let linked = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished)?;
    linked?;
    // A crash before this may lose the file; nothing has been signed with the key yet.
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_first_start_makes_a_key_that_later_starts_find() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("a/keys");
        let key = session_key(&directory).unwrap();
        assert_ne!(*key, [0; 32]);
        assert_eq!(session_key(&directory).unwrap(), key);
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&directory.join(SESSION_KEY_FILE)), 0o600);
        let names = fs::read_dir(&directory).unwrap().count();
        assert_eq!(names, 1, "only the key is left");

        let other = session_key(&root.path().join("b")).unwrap();
        assert_ne!(other, key);
    }

    #[test]
    fn starts_at_one_time_agree_on_one_key() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(SESSION_KEY_FILE);
        let key = session_key(root.path()).unwrap();
        let error = create(root.path(), &path, &SecretKey::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(session_key(root.path()).unwrap(), key);
    }

    #[test]
    fn a_malformed_file_is_named_and_not_shown() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(SESSION_KEY_FILE);
        for text in [
            String::new(),
            "secret".into(),
            DIGITS[1..].into(),
            format!("{DIGITS}0"),
            format!(" {DIGITS}"),
            DIGITS.repeat(100),
            format!("{DIGITS}{}", "\n".repeat(1_000)),
        ] {
            fs::write(&path, &text).unwrap();
            let error = session_key(root.path()).unwrap_err();
            assert!(matches!(error, KeyError::Malformed { .. }), "{text:?}");
            let message = format!("{error} {error:?}");
            assert!(message.contains("session.key"), "{message}");
            assert!(!message.contains("secret") && !message.contains("0011"));
            // Left as it was: it may be all that is left of a key.
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
