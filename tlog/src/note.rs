//! Signed notes (<https://c2sp.org/signed-note>).
//!
//! ```text
//! go.sum database tree
//! 51312332
//! vmZkuA62i8SYuf81do6ZkD2r0Np7kQ0yciTlTLyCLjo=
//!
//! — sum.golang.org Az3gruq+KJjDKwuskDySZcQISVdHFL328aagYKsTioQdjwJ/…
//! ```
//!
//! A text that ends with a newline, a blank line (the *last* one of the note), and signature lines. The note is UTF-8
//! without control characters other than newline. A signature line is `— NAME BASE64`; the first 4 bytes of the base64 are
//! the key hash, big-endian. An invalid signature of a known key is an error. Signatures of unknown keys, and further
//! signatures of the same key, are ignored.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::key::{VerifierKey, is_name};
use crate::limits::{MAX_NOTE_LEN, MAX_SIGNATURES};

/// A note signed by at least one known key. Only [`open`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedNote {
    raw: String,
    canonical: String,
    text_len: usize,
    signers: Vec<VerifierKey>,
}

/// Why a note cannot be verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Longer than [`MAX_NOTE_LEN`].
    #[error("the note has {0} bytes: expected at most {MAX_NOTE_LEN}")]
    TooLong(usize),
    /// Not UTF-8, or with a control character.
    #[error("the note is not UTF-8 text without control characters")]
    NotText,
    /// No blank line, no signature, or an invalid signature line.
    #[error("malformed note: {0}")]
    Malformed(&'static str),
    /// More than [`MAX_SIGNATURES`].
    #[error("the note has more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// The signature of a known key does not verify.
    #[error("invalid signature of {0}")]
    BadSignature(String),
    /// The note has no signature of a known key.
    #[error("the note is not signed by {0}")]
    NotSigned(String),
}

impl VerifiedNote {
    /// The signed text, which ends with a newline.
    pub fn text(&self) -> &str {
        &self.raw[..self.text_len]
    }

    /// The whole note as it was given to [`open`].
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The signed text with the verified signatures only, in the order of the keys. Store and serve this form: anyone can
    /// append signature lines of unknown keys to a note.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The known keys that signed the note, in the order in which they were given.
    pub fn signers(&self) -> &[VerifierKey] {
        &self.signers
    }
}

/// Verifies a note, which at least one of `keys` must have signed.
pub fn open(note: &[u8], keys: &[VerifierKey]) -> Result<VerifiedNote, NoteError> {
    if note.len() > MAX_NOTE_LEN {
        return Err(NoteError::TooLong(note.len()));
    }
    let raw = core::str::from_utf8(note).map_err(|_| NoteError::NotText)?;
    if raw.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
        return Err(NoteError::NotText);
    }
    let blank = raw.rfind("\n\n").ok_or(NoteError::Malformed("missing blank line"))?;
    let (text, signatures) = (&raw[..=blank], &raw[blank + 2..]);
    let lines = signatures.strip_suffix('\n').ok_or(NoteError::Malformed("the last line must be a signature line"))?;
    let mut signed: Vec<(usize, &str)> = Vec::new();
    for (nth, line) in lines.split('\n').enumerate() {
        if nth == MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        let (name, hash, signature) = signature_line(line)?;
        let known = keys.iter().position(|key| key.name() == name && key.key_hash() == hash);
        let Some(at) = known.filter(|at| signed.iter().all(|(seen, _)| seen != at)) else {
            continue;
        };
        let key = &keys[at];
        if !key.verifies(text.as_bytes(), &signature) {
            return Err(NoteError::BadSignature(key.name().to_string()));
        }
        signed.push((at, line));
    }
    if signed.is_empty() {
        let names: Vec<&str> = keys.iter().map(VerifierKey::name).collect();
        return Err(NoteError::NotSigned(names.join(" or ")));
    }
    signed.sort_unstable();
    let signers = signed.iter().map(|(at, _)| keys[*at].clone()).collect();
    // A signature has one spelling only: `signature_line` accepts single spaces and canonical base64.
    let lines: String = signed.iter().flat_map(|(_, line)| [*line, "\n"]).collect();
    let canonical = [text, "\n", &lines].concat();
    Ok(VerifiedNote { raw: raw.to_string(), canonical, text_len: text.len(), signers })
}

/// Splits a signature line into name, key hash and signature.
fn signature_line(line: &str) -> Result<(&str, u32, Vec<u8>), NoteError> {
    let malformed = NoteError::Malformed("expected signature lines of the form '— NAME BASE64'");
    let (name, base64) = line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')).ok_or(malformed.clone())?;
    let bytes = STANDARD.decode(base64).map_err(|_| malformed.clone())?;
    match bytes.split_first_chunk() {
        Some((hash, signature)) if is_name(name) && !signature.is_empty() => {
            Ok((name, u32::from_be_bytes(*hash), signature.to_vec()))
        }
        _ => Err(malformed),
    }
}
