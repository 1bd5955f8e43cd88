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
//! Text that ends in a newline, a blank line, signature lines; split at the *last* blank line. UTF-8, no control
//! character below 0x20 but newline. A signature line is `— NAME BASE64`; the first 4 bytes of the base64 are the key
//! hash, big-endian. A known key with a bad signature is an error at once, unknown keys are ignored, a further line of a
//! key that was seen is ignored.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::key::{VerifierKey, is_name};
use crate::limits::{MAX_NOTE_LEN, MAX_SIGNATURES};

/// A note that at least one known key signed. Only [`open`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedNote {
    raw: String,
    text_len: usize,
    signers: Vec<VerifierKey>,
    /// The signature line of each signer, with its newline.
    lines: Vec<String>,
}

/// Why a note is not verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Longer than [`MAX_NOTE_LEN`].
    #[error("the note has {0} bytes, more than a note may have")]
    TooLong(usize),
    /// Not UTF-8, or with a control character.
    #[error("the note is not plain UTF-8 text")]
    NotText,
    /// No blank line, no signature, or a line that is none.
    #[error("the note is malformed: {0}")]
    Malformed(&'static str),
    /// More than [`MAX_SIGNATURES`].
    #[error("the note has more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// A known key, and not its signature.
    #[error("the signature of {0} is not valid")]
    BadSignature(String),
    /// None of the known keys signed.
    #[error("the note is not signed by {0}")]
    NotSigned(String),
}

impl VerifiedNote {
    /// The signed text, with its last newline.
    pub fn text(&self) -> &str {
        &self.raw[..self.text_len]
    }

    /// The whole note, as it came.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The signed text with the signature lines that were verified, in the order of the keys, and no others: for storing and
    /// serving. Anybody may add lines of unknown keys to a note.
    pub fn canonical(&self) -> String {
        let lines = self.lines.concat();
        [self.text(), "\n", &lines].concat()
    }

    /// The known keys that signed, in the order in which they were given.
    pub fn signers(&self) -> &[VerifierKey] {
        &self.signers
    }
}

/// Opens a note that must be signed by at least one of `keys`.
pub fn open(note: &[u8], keys: &[VerifierKey]) -> Result<VerifiedNote, NoteError> {
    if note.len() > MAX_NOTE_LEN {
        return Err(NoteError::TooLong(note.len()));
    }
    let raw = core::str::from_utf8(note).map_err(|_| NoteError::NotText)?;
    if raw.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
        return Err(NoteError::NotText);
    }
    let blank = raw.rfind("\n\n").ok_or(NoteError::Malformed("it has no blank line"))?;
    let (text, signatures) = (&raw[..=blank], &raw[blank + 2..]);
    let lines = signatures.strip_suffix('\n').ok_or(NoteError::Malformed("it does not end with a signature line"))?;
    let mut signed: Vec<(usize, &str)> = Vec::new();
    for (nth, line) in lines.split('\n').enumerate() {
        if nth == MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        let (name, hash, signature) = signature_line(line)?;
        let known = keys.iter().position(|key| key.name() == name && key.key_hash() == hash);
        let Some(place) = known.filter(|place| signed.iter().all(|(seen, _)| seen != place)) else {
            continue;
        };
        let key = &keys[place];
        if !key.signed(text.as_bytes(), &signature) {
            return Err(NoteError::BadSignature(key.name().to_string()));
        }
        signed.push((place, line));
    }
    if signed.is_empty() {
        let names: Vec<&str> = keys.iter().map(VerifierKey::name).collect();
        return Err(NoteError::NotSigned(names.join(" or ")));
    }
    signed.sort_unstable();
    let signers = signed.iter().map(|(place, _)| keys[*place].clone()).collect();
    // A line that reads as a signature is written in one way only: the base64 is canonical, and one space stands between.
    let lines = signed.iter().map(|(_, line)| [line, "\n"].concat()).collect();
    Ok(VerifiedNote { raw: raw.to_string(), text_len: text.len(), signers, lines })
}

/// Name, key hash, signature.
fn signature_line(line: &str) -> Result<(&str, u32, Vec<u8>), NoteError> {
    let malformed = NoteError::Malformed("a signature line is not '— NAME BASE64'");
    let (name, base64) = line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')).ok_or(malformed.clone())?;
    let bytes = STANDARD.decode(base64).map_err(|_| malformed.clone())?;
    match bytes.split_first_chunk() {
        Some((hash, signature)) if is_name(name) && !signature.is_empty() => {
            Ok((name, u32::from_be_bytes(*hash), signature.to_vec()))
        }
        _ => Err(malformed),
    }
}
