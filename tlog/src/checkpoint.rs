//! Checkpoints: tree heads as text, unsigned and signed.
//!
//! ```text
//! ORIGIN
//! SIZE
//! ROOT
//! [extension lines]
//! ```
//!
//! <https://c2sp.org/tlog-checkpoint>. Tree heads of a checksum database have the same form; their origin is always
//! [`SUMDB_ORIGIN`], not the name of the key. Extension lines are signed, but no facts may be read from them
//! (CVE-2026-56864).
//!
//! ```
//! use tlog::Checkpoint;
//! let text = "go.sum database tree\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
//! assert_eq!(Checkpoint::parse(text).unwrap().to_string(), text);
//! assert!(Checkpoint::parse(&text.replace("\n0\n", "\n00\n")).is_err());
//! ```

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::hash::{Hash, HashError, empty_root};
use crate::key::VerifierKey;
use crate::mismatch::Mismatch;
use crate::note::{self, NoteError};
use crate::tree::{TreeError, TreeHead, TreeSize};

/// The origin line of every Go checksum database.
pub const SUMDB_ORIGIN: &str = "go.sum database tree";

/// A tree head as text. Unverified; see [`SignedCheckpoint`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log, by its origin line.
    pub origin: String,
    /// The claimed size and root hash.
    pub head: TreeHead,
    /// Extension lines, kept so that the text prints as it was parsed.
    pub(crate) extensions: Vec<String>,
}

/// Why a text is not a valid checkpoint, or its signature does not verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Fewer than three lines, an empty line, or no newline at the end.
    #[error("expected a tree head of at least three lines: origin, size, root hash")]
    Malformed,
    /// The size line.
    #[error("invalid tree size: {0}")]
    BadSize(#[from] TreeError),
    /// The root line.
    #[error("invalid root hash: {0}")]
    BadRoot(#[from] HashError),
    /// The size is 0, and the root is not that of the empty tree.
    #[error("the tree size is 0, but the root hash is not that of the empty tree")]
    BadEmptyRoot,
    /// The checkpoint is of another log.
    #[error("wrong origin line: expected {:?}, found {:?}", .0.expected, .0.found)]
    WrongOrigin(Mismatch<String>),
    /// The note or its signature.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl Checkpoint {
    /// Parses the text of a checkpoint.
    #[doc(alias = "ParseTree")]
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let body = text.strip_suffix('\n').ok_or(CheckpointError::Malformed)?;
        let mut lines = body.split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty()).ok_or(CheckpointError::Malformed);
        let (origin, size, root) = (line()?, line()?, line()?);
        let head = TreeHead { size: TreeSize::parse(size)?, root: Hash::parse(root)? };
        if head.size == TreeSize::ZERO && head.root != empty_root() {
            return Err(CheckpointError::BadEmptyRoot);
        }
        let extensions: Vec<String> = lines.map(ToString::to_string).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(CheckpointError::Malformed);
        }
        Ok(Self { origin: origin.to_string(), head, extensions })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.head.size, self.head.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A tree head with a verified signature. Only [`SignedCheckpoint::open`] and [`crate::ForkEvidence::verify`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: String,
    key: VerifierKey,
}

impl SignedCheckpoint {
    /// Verifies a signed note, which must be a tree head of `origin` signed by `key`.
    pub fn open(signed: &[u8], origin: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let opened = Self::open_any_origin(signed, key)?;
        if opened.checkpoint.origin != origin {
            let (found, expected) = (opened.checkpoint.origin, origin.to_string());
            return Err(CheckpointError::WrongOrigin(Mismatch { expected, found }));
        }
        Ok(opened)
    }

    /// Verifies a tree head of any origin: fork evidence contains the origin.
    pub(crate) fn open_any_origin(signed: &[u8], key: &VerifierKey) -> Result<Self, CheckpointError> {
        let verified = note::open(signed, core::slice::from_ref(key))?;
        let checkpoint = Checkpoint::parse(verified.text())?;
        Ok(Self { checkpoint, note: verified.canonical().to_string(), key: key.clone() })
    }

    /// The signed tree head.
    pub fn head(&self) -> &TreeHead {
        &self.checkpoint.head
    }

    /// The number of records.
    pub fn size(&self) -> TreeSize {
        self.checkpoint.head.size
    }

    /// The origin line.
    pub fn origin(&self) -> &str {
        &self.checkpoint.origin
    }

    /// The signed note, with the signature of [`SignedCheckpoint::key`] only.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The key that signed it.
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }
}
