//! Signing notes and tree heads (<https://c2sp.org/signed-note>).
//!
//! ```
//! use tlog::{Signer, note};
//! let signer = Signer::from_seed("example.com/log", [7; 32]).unwrap();
//! let signed = signer.sign("hello\n").unwrap();
//! let note = note::open(signed.as_bytes(), &[signer.verifier_key().clone()]).unwrap();
//! assert_eq!(note.text(), "hello\n");
//! // The secret key as text.
//! let again = Signer::parse(&signer.to_secret_text()).unwrap();
//! assert_eq!(again.verifier_key(), signer.verifier_key());
//! ```

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::key::{ED25519, KeyError, VerifierKey, split_key};
use crate::note::NoteError;
use crate::tree::TreeHead;

const PRIVATE: &str = "PRIVATE+KEY+";

/// A signing key with its name. `Debug` does not print the secret.
pub struct Signer {
    key: SigningKey,
    verifier: VerifierKey,
}

impl Signer {
    /// Makes an Ed25519 signer from a secret seed of 32 bytes (RFC 8032 section 5.1.5).
    pub fn from_seed(name: &str, seed: [u8; 32]) -> Result<Self, KeyError> {
        let key = SigningKey::from_bytes(&seed);
        let verifier = VerifierKey::new(name, key.verifying_key())?;
        Ok(Self { key, verifier })
    }

    /// Parses `PRIVATE+KEY+NAME+HASH+SEED`, the secret keys of Go's `golang.org/x/mod/sumdb/note`.
    #[doc(alias = "NewSigner")]
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, hash, seed) = split_key(text.strip_prefix(PRIVATE).ok_or(KeyError::Malformed)?)?;
        let Self { key, verifier } = Self::from_seed(name, seed)?;
        Ok(Self { key, verifier: verifier.with_hash(hash)? })
    }

    /// The secret key as text, which [`Signer::parse`] reads.
    pub fn to_secret_text(&self) -> String {
        let mut bytes = Vec::from([ED25519]);
        bytes.extend_from_slice(self.key.as_bytes());
        let (name, hash) = (self.verifier.name(), self.verifier.key_hash());
        format!("{PRIVATE}{name}+{hash:08x}+{}", STANDARD.encode(bytes))
    }

    /// The public key that verifies the signatures.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a text, which must end with a newline. Returns the signed note.
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        if !text.ends_with('\n') {
            return Err(NoteError::Malformed("the text does not end with a newline"));
        }
        if text.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(NoteError::NotText);
        }
        let mut signature = Vec::from(self.verifier.key_hash().to_be_bytes());
        signature.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        Ok(format!("{text}\n— {} {}\n", self.verifier.name(), STANDARD.encode(signature)))
    }

    /// Signs a tree head. Returns the signed note. Fails if the text does not parse back to `origin` and `head`, as with an
    /// origin of several lines, which would sign another head.
    pub fn sign_head(&self, origin: &str, head: &TreeHead) -> Result<String, CheckpointError> {
        let checkpoint = Checkpoint { origin: origin.to_string(), head: *head, extensions: Vec::new() };
        let text = checkpoint.to_string();
        if Checkpoint::parse(&text)? != checkpoint {
            return Err(CheckpointError::Malformed);
        }
        Ok(self.sign(&text)?)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}
