//! Where the private keys are that sign transactions: files, and the passwords of those files.

use std::path::{Path, PathBuf};

use super::{problems::Problems, raw};

/// Keys of one kind on one network.
const KEY_FILES_MAX: usize = 16;

/// A file that holds a private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    pub path: PathBuf,
    /// The file that holds its password, if it is a keystore.
    pub password: Option<PathBuf>,
}

/// The key files that `{name}_key_file` names, with the passwords that `{name}_password_file` names:
/// one for all of them, or one for each.
pub(super) fn key_files(
    network: &str,
    name: &str,
    keys: Option<&raw::Files>,
    passwords: Option<&raw::Files>,
    problems: &mut Problems,
) -> Vec<KeyFile> {
    let (key, password_key) = (
        format!("{network}.{name}_key_file"),
        format!("{network}.{name}_password_file"),
    );
    let (files, passwords) = (list(keys), list(passwords));
    for (key, files) in [(&key, files), (&password_key, passwords)] {
        if files.iter().any(|file| file.as_os_str().is_empty()) {
            problems.add(key, "names no file");
        }
    }
    if keys.is_some() && (files.is_empty() || files.len() > KEY_FILES_MAX) {
        problems.add(&key, format_args!("must be 1 to {KEY_FILES_MAX} files"));
    }
    if let Some(twice) = twice(files) {
        problems.add_value(&key, twice.display(), "is named twice");
    }
    if passwords.len() > 1 && passwords.len() != files.len() {
        let (some, all) = (passwords.len(), files.len());
        let what = format_args!(
            "has {some} files for the {all} of {name}_key_file; name one for all, or one for each"
        );
        problems.add(&password_key, what);
    }
    let password = |index| match passwords {
        [one] => Some(one.clone()),
        each => each.get(index).cloned(),
    };
    let files = files.iter().enumerate().map(|(index, path)| KeyFile {
        path: path.clone(),
        password: password(index),
    });
    files.collect()
}

fn list(files: Option<&raw::Files>) -> &[PathBuf] {
    match files {
        None => &[],
        Some(raw::Files::One(file)) => std::slice::from_ref(file),
        Some(raw::Files::More(files)) => files,
    }
}

fn twice(files: &[PathBuf]) -> Option<&Path> {
    let mut rest = files.iter();
    while let Some(file) = rest.next() {
        if rest.as_slice().contains(file) {
            return Some(file);
        }
    }
    None
}
