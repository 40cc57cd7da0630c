//! Encrypted keystores: version 3 of Web3's secret storage, as `cast wallet` and geth write them.
//!
//! <https://ethereum.org/developers/docs/data-structures-and-encoding/web3-secret-storage>
//!
//! What a file may ask of memory and time is bounded; what is wrong with one is said without what is
//! in it.

use aes::{
    Aes128,
    cipher::{KeyIvInit, StreamCipher},
};
use alloy::{primitives::Address, signers::local::PrivateKeySigner};
use ctr::Ctr128BE;
use serde::Deserialize;
use sha2::Sha256;
use sha3::{Digest, Keccak256};
use thiserror::Error;
use zeroize::Zeroizing;

use super::SecretKey;

/// Of scrypt: 256 MiB is what geth asks for.
const MEMORY_BYTES_MAX: u64 = 512 * 1_024 * 1_024;
const PARALLEL_MAX: u32 = 16;
const ROUNDS_MAX: u32 = 10_000_000;
const BYTES_MAX: usize = 64;
/// The first half encrypts, the second authenticates.
const DERIVED_BYTES: usize = 32;

/// Why a keystore does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeystoreError {
    #[error("it is not a keystore: {0}")]
    Malformed(&'static str),
    #[error("the password is wrong")]
    WrongPassword,
    #[error("its key is not that of the address it names")]
    OtherAddress,
}

use KeystoreError::{Malformed, OtherAddress, WrongPassword};

#[derive(Deserialize)]
struct Keystore {
    version: u32,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    address: Option<String>,
}

#[derive(Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    mac: String,
    #[serde(flatten)]
    kdf: Kdf,
}

#[derive(Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Deserialize)]
#[serde(tag = "kdf", content = "kdfparams", rename_all = "lowercase")]
enum Kdf {
    Scrypt {
        dklen: usize,
        n: u64,
        p: u32,
        r: u32,
        salt: String,
    },
    Pbkdf2 {
        dklen: usize,
        c: u32,
        prf: String,
        salt: String,
    },
}

/// The private key in a keystore's text.
pub(super) fn open(text: &[u8], password: &[u8]) -> Result<SecretKey, KeystoreError> {
    let keystore: Keystore = serde_json::from_slice(text)
        .map_err(|_| Malformed("it is no JSON of version 3 with scrypt or pbkdf2"))?;
    if keystore.version != 3 {
        return Err(Malformed("its version is not 3"));
    }
    let crypto = &keystore.crypto;
    if crypto.cipher != "aes-128-ctr" {
        return Err(Malformed("its cipher is not aes-128-ctr"));
    }
    let iv: [u8; 16] = exact(&crypto.cipherparams.iv, "iv is not 16 bytes")?;
    let mac: [u8; 32] = exact(&crypto.mac, "mac is not 32 bytes")?;
    let ciphertext: [u8; 32] = exact(&crypto.ciphertext, "ciphertext is not 32 bytes")?;
    let derived = crypto.kdf.derive(password)?;
    let (encrypts, authenticates) = derived.split_at(DERIVED_BYTES / 2);
    let found = Keccak256::new()
        .chain_update(authenticates)
        .chain_update(ciphertext);
    if found.finalize().as_slice() != mac {
        return Err(WrongPassword);
    }
    let mut key = SecretKey::new(ciphertext);
    Ctr128BE::<Aes128>::new_from_slices(encrypts, &iv)
        .map_err(|_| Malformed("its key or iv has the wrong length"))?
        .apply_keystream(key.as_mut_slice());
    check_address(keystore.address.as_deref(), &key)?;
    Ok(key)
}

impl Kdf {
    fn derive(&self, password: &[u8]) -> Result<Zeroizing<[u8; DERIVED_BYTES]>, KeystoreError> {
        let mut derived = Zeroizing::new([0; DERIVED_BYTES]);
        let (Self::Scrypt { dklen, salt, .. } | Self::Pbkdf2 { dklen, salt, .. }) = self;
        if *dklen != DERIVED_BYTES {
            return Err(Malformed("dklen is not 32"));
        }
        let salt = bytes(salt, "salt is not of hexadecimal digits")?;
        match self {
            Self::Scrypt { n, p, r, .. } => {
                let params = scrypt_params(*n, *p, *r).ok_or(Malformed(
                    "scrypt's n, p and r are none, or ask for more than 512 MiB",
                ))?;
                scrypt::scrypt(password, &salt, &params, derived.as_mut_slice())
                    .map_err(|_| Malformed("scrypt refuses its parameters"))?;
            }
            Self::Pbkdf2 { c, prf, .. } => {
                if prf != "hmac-sha256" {
                    return Err(Malformed("its prf is not hmac-sha256"));
                }
                if !(1..=ROUNDS_MAX).contains(c) {
                    return Err(Malformed("pbkdf2's c is not within 1 and 10000000"));
                }
                pbkdf2::pbkdf2_hmac::<Sha256>(password, &salt, *c, derived.as_mut_slice());
            }
        }
        Ok(derived)
    }
}

fn scrypt_params(n: u64, p: u32, r: u32) -> Option<scrypt::Params> {
    let memory = u64::from(r).checked_mul(128)?.checked_mul(n)?;
    if !n.is_power_of_two() || memory > MEMORY_BYTES_MAX || p > PARALLEL_MAX {
        return None;
    }
    scrypt::Params::new(u8::try_from(n.ilog2()).ok()?, r, p).ok()
}

fn check_address(named: Option<&str>, key: &SecretKey) -> Result<(), KeystoreError> {
    let Some(named) = named.filter(|named| !named.is_empty()) else {
        return Ok(());
    };
    let named: [u8; 20] = exact(named, "address is not 20 bytes")?;
    let signer = PrivateKeySigner::from_slice(key.as_slice())
        .map_err(|_| Malformed("it holds no private key of secp256k1"))?;
    if signer.address() == Address::from(named) {
        Ok(())
    } else {
        Err(OtherAddress)
    }
}

fn bytes(digits: &str, what: &'static str) -> Result<Vec<u8>, KeystoreError> {
    let bare = digits.strip_prefix("0x").unwrap_or(digits);
    if bare.len() > 2 * BYTES_MAX {
        return Err(Malformed(what));
    }
    hex::decode(bare).map_err(|_| Malformed(what))
}

fn exact<const N: usize>(digits: &str, what: &'static str) -> Result<[u8; N], KeystoreError> {
    bytes(digits, what)?.try_into().map_err(|_| Malformed(what))
}

#[cfg(test)]
mod tests;
