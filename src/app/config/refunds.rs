//! `refund_…` of a `[[network]]`: the float that refunds are paid from.

use super::{key_file::KeyFile, problems::Problems, raw};
use crate::base::Credits;

const CAP_CREDITS: (i64, i64) = (1, 1_000_000_000);

/// Where refunds come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refunds {
    pub key: KeyFile,
    /// What may be refunded in 24 hours.
    pub cap: Credits,
}

pub(super) fn refunds(key: &str, raw: &raw::Network, problems: &mut Problems) -> Option<Refunds> {
    let cap = problems.within(
        format!("{key}.refund_cap_credits"),
        raw.refund_cap_credits,
        CAP_CREDITS,
    );
    let (file, password) = (&raw.refund_key_file, &raw.refund_password_file);
    for (name, file) in [("key", file), ("password", password)] {
        if file
            .as_ref()
            .is_some_and(|file| file.as_os_str().is_empty())
        {
            problems.add(format_args!("{key}.refund_{name}_file"), "names no file");
        }
    }
    if file.is_none() && password.is_some() {
        let what = "is the password of no refund_key_file";
        problems.add(format_args!("{key}.refund_password_file"), what);
    }
    Some(Refunds {
        key: KeyFile {
            path: file.clone()?,
            password: password.clone(),
        },
        cap: Credits::from_whole(cap)?,
    })
}
