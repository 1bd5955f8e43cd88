//! Verifier keys: who may sign.
//!
//! `NAME+HHHHHHHH+BASE64`, cut at the first two `+`. The base64 holds the algorithm (1 byte; 1 is Ed25519) and the key.
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

/// The verifier key of sum.golang.org, as the `go` command has it built in.
pub const SUM_GOLANG_ORG: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

pub(crate) const ED25519: u8 = 1;

/// The key that a signature is checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    hash: u32,
    key: VerifyingKey,
}

/// Why a text is no verifier key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not three parts.
    #[error("a verifier key is NAME+HASH+KEY")]
    Malformed,
    /// Empty, or with white space or `+`.
    #[error("{0:?} cannot be the name of a key: it must not be empty nor have white space or '+'")]
    BadName(String),
    /// Not 8 lower-case hexadecimal digits.
    #[error("the key hash must be 8 lower-case hexadecimal digits")]
    BadHash,
    /// Not the canonical base64 of an algorithm and a key.
    #[error("the key is not the canonical base64 of an algorithm byte and a key")]
    BadBase64,
    /// Not Ed25519.
    #[error("the key has the algorithm {0}; only Ed25519 (1) is known")]
    UnknownAlgorithm(u8),
    /// Not a point of the curve.
    #[error("the key is not a valid Ed25519 public key")]
    BadKey,
    /// Name and key do not belong together.
    #[error("the key hash is {given:08x}, and name and key have {computed:08x}")]
    WrongHash {
        /// As given.
        given: u32,
        /// As it must be.
        computed: u32,
    },
}

/// Not empty, no white space, no `+`.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+')
}

impl VerifierKey {
    /// Parses `NAME+HASH+KEY`.
    #[doc(alias = "NewVerifier")]
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, rest) = text.split_once('+').ok_or(KeyError::Malformed)?;
        let (hash, key) = rest.split_once('+').ok_or(KeyError::Malformed)?;
        let digits = hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hash.len() != 8 || !digits {
            return Err(KeyError::BadHash);
        }
        let given = u32::from_str_radix(hash, 16).map_err(|_| KeyError::BadHash)?;
        let bytes = STANDARD.decode(key).map_err(|_| KeyError::BadBase64)?;
        let (algorithm, key) = bytes.split_first().ok_or(KeyError::BadBase64)?;
        if *algorithm != ED25519 {
            return Err(KeyError::UnknownAlgorithm(*algorithm));
        }
        let key = key.try_into().map_err(|_| KeyError::BadKey)?;
        let key = Self::new(name, VerifyingKey::from_bytes(key).map_err(|_| KeyError::BadKey)?)?;
        if key.hash != given {
            return Err(KeyError::WrongHash { given, computed: key.hash });
        }
        Ok(key)
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

    /// The name of the signer.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of the digest over name and key.
    pub fn key_hash(&self) -> u32 {
        self.hash
    }

    /// Whether `signature` is this key's over `text`. Accepts what Go's `crypto/ed25519` accepts: the cofactorless
    /// equation, not the stricter one.
    pub(crate) fn signed(&self, text: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.key.verify(text, &signature).is_ok())
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [ED25519; 33];
        bytes[1..].copy_from_slice(self.key.as_bytes());
        write!(f, "{}+{:08x}+{}", self.name, self.hash, STANDARD.encode(bytes))
    }
}
