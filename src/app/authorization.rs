//! The secret value of an `Authorization` header, from a file.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use thiserror::Error;
use zeroize::Zeroizing;

/// Longer than any token that fits a request.
const BYTES_MAX: usize = 8 * 1024;

/// Why there is no value. What the file holds is never said.
#[derive(Debug, Error)]
pub enum AuthorizationError {
    #[error("cannot read the authorization file {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "the authorization file {} must hold one line, the whole value of the header, as \
         \"Bearer …\": visible ASCII, at most 8 KiB",
        path.display()
    )]
    Malformed { path: PathBuf },
}

/// The file's only line.
///
/// # Errors
/// When it cannot be read, or holds something else.
pub fn read(path: &Path) -> Result<Zeroizing<String>, AuthorizationError> {
    let unreadable = |source| AuthorizationError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(
            path = %path.display(),
            mode = format_args!("{:03o}", mode & 0o777),
            "the authorization file can be read by others; restrict it with chmod 600",
        );
    }
    // Room from the start: a vector that grows leaves copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES_MAX + 1));
    file.take(BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let value = header_value(&bytes).map(str::to_owned).map(Zeroizing::new);
    value.ok_or_else(|| AuthorizationError::Malformed {
        path: path.to_owned(),
    })
}

fn header_value(bytes: &[u8]) -> Option<&str> {
    let value = bytes.trim_ascii();
    let visible = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let sound = !value.is_empty() && bytes.len() <= BYTES_MAX && value.iter().all(visible);
    std::str::from_utf8(value).ok().filter(|_| sound)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn takes_one_line_and_shows_nothing_of_another() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("facilitator.auth");
        for text in ["Bearer hush", "Bearer hush\n", "  Bearer hush \r\n"] {
            fs::write(&path, text).unwrap();
            assert_eq!(read(&path).unwrap().as_str(), "Bearer hush");
        }
        for text in [
            "",
            "\n",
            "Bearer hush\nmore",
            "hüsh",
            &"hush".repeat(BYTES_MAX),
        ] {
            fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(said.contains("facilitator.auth"), "{said}");
            assert!(!said.contains("hush"), "{said}");
        }
        let missing = read(&root.path().join("none")).unwrap_err();
        assert!(matches!(missing, AuthorizationError::Unreadable { .. }));
    }
}
