//! Verifier keys: the public keys of logs.
//!
//! `NAME+HHHHHHHH+BASE64`, split at the first two `+`. The base64 is the algorithm (1 byte; 1 is Ed25519) and the key.
//! The key hash is the first 4 bytes of SHA-256(name ‖ "\n" ‖ algorithm ‖ key), in hexadecimal
//! (<https://c2sp.org/signed-note>).
//!
//! ```
//! use tlog::{SUM_GOLANG_ORG, VerifierKey};
//! let key = VerifierKey::parse(SUM_GOLANG_ORG).unwrap();
//! assert_eq!((key.name(), key.key_hash()), ("sum.golang.org", 0x033d_e0ae));
//! assert_eq!(key.to_string(), SUM_GOLANG_ORG);
//! ```

use alloc::string::{String, ToString};
use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::mismatch::Mismatch;

/// The verifier key of sum.golang.org that is built into the `go` command.
pub const SUM_GOLANG_ORG: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

pub(crate) const ED25519: u8 = 1;

/// A public key with its name: verifies the signatures of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    hash: u32,
    key: VerifyingKey,
}

/// Why a text is not a valid key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not three parts.
    #[error("expected a key of the form NAME+HASH+KEY")]
    Malformed,
    /// Empty, or with white space or `+`.
    #[error("{0:?} is not a valid key name: it must not be empty or contain white space or '+'")]
    BadName(String),
    /// The key hash is not 8 lower-case hexadecimal digits.
    #[error("the key hash must be 8 lower-case hexadecimal digits")]
    BadHash,
    /// The key is not canonical base64, or is empty.
    #[error("the key is not the canonical base64 of an algorithm byte and a key")]
    BadBase64,
    /// The algorithm is not Ed25519.
    #[error("unknown signature algorithm {0}: expected 1 (Ed25519)")]
    UnknownAlgorithm(u8),
    /// Not 32 bytes, or not a point of the curve.
    #[error("the key is not a valid Ed25519 public key")]
    BadKey,
    /// The key hash does not belong to the name and the key.
    #[error("wrong key hash: expected {:08x}, found {:08x}", .0.expected, .0.found)]
    WrongHash(Mismatch<u32>),
}

/// Whether a key may have this name.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+')
}

impl VerifierKey {
    /// Parses `NAME+HASH+KEY`.
    #[doc(alias = "NewVerifier")]
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, hash, key) = split_key(text)?;
        if hash.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(KeyError::BadHash);
        }
        let key = VerifyingKey::from_bytes(&key).map_err(|_| KeyError::BadKey)?;
        Self::new(name, key)?.with_hash(hash)
    }

    /// This key, if `hash` is its key hash in hexadecimal.
    pub(crate) fn with_hash(self, hash: &str) -> Result<Self, KeyError> {
        let found = u32::from_str_radix(hash, 16).ok().filter(|_| hash.len() == 8).ok_or(KeyError::BadHash)?;
        if found == self.hash { Ok(self) } else { Err(KeyError::WrongHash(Mismatch { expected: self.hash, found })) }
    }

    pub(crate) fn new(name: &str, key: VerifyingKey) -> Result<Self, KeyError> {
        if !is_name(name) {
            return Err(KeyError::BadName(name.to_string()));
        }
        let digest =
            Sha256::new().chain_update(name).chain_update([b'\n', ED25519]).chain_update(key.as_bytes()).finalize();
        let hash = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
        Ok(Self { name: name.to_string(), hash, key })
    }

    /// The name of the key, such as `sum.golang.org`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first 4 bytes of the digest of name and key, as a number.
    pub fn key_hash(&self) -> u32 {
        self.hash
    }

    /// Whether `signature` is a valid signature of `text`. Accepts exactly what Go's `crypto/ed25519` accepts (the
    /// cofactorless equation).
    pub(crate) fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.key.verify(text, &signature).is_ok())
    }
}

/// Splits `NAME+HASH+BASE64`, the form of verifier keys and secret keys, into name, hash and the 32 bytes of the key.
pub(crate) fn split_key(text: &str) -> Result<(&str, &str, [u8; 32]), KeyError> {
    let (name, rest) = text.split_once('+').ok_or(KeyError::Malformed)?;
    let (hash, base64) = rest.split_once('+').ok_or(KeyError::Malformed)?;
    match STANDARD.decode(base64).map_err(|_| KeyError::BadBase64)?.as_slice() {
        [] => Err(KeyError::BadBase64),
        [ED25519, key @ ..] => Ok((name, hash, key.try_into().map_err(|_| KeyError::BadKey)?)),
        [algorithm, ..] => Err(KeyError::UnknownAlgorithm(*algorithm)),
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [ED25519; 33];
        bytes[1..].copy_from_slice(self.key.as_bytes());
        write!(f, "{}+{:08x}+{}", self.name, self.hash, STANDARD.encode(bytes))
    }
}
