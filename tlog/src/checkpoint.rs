//! Checkpoints: tree heads as text, and signed.
//!
//! ```text
//! ORIGIN
//! SIZE
//! ROOT
//! [extension lines]
//! ```
//!
//! <https://c2sp.org/tlog-checkpoint>. The heads of the checksum database have the same shape; their origin is the fixed
//! line [`SUMDB_ORIGIN`], not the name of the key. Extension lines are signed but say nothing here: facts must never be
//! read from them (CVE-2026-56864).
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
use crate::note::{self, NoteError};
use crate::tree::{TreeError, TreeHead, TreeSize};

/// The origin line of every checksum database.
pub const SUMDB_ORIGIN: &str = "go.sum database tree";

/// A tree head as text. Unverified; see [`SignedCheckpoint`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// What it claims.
    pub head: TreeHead,
    /// Further lines, kept so that the text prints as it was.
    pub(crate) extensions: Vec<String>,
}

/// Why a text is no checkpoint, or not a verified one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Fewer than three lines, an empty one, or no newline at the end.
    #[error("a tree head is three or more lines: origin, size, root hash")]
    Malformed,
    /// The size line.
    #[error("the size of the tree: {0}")]
    BadSize(#[from] TreeError),
    /// The root line.
    #[error("the root of the tree: {0}")]
    BadRoot(#[from] HashError),
    /// No records, and another root than SHA-256 of nothing.
    #[error("the tree has no records, but its root is not that of the empty tree")]
    BadEmptyRoot,
    /// Another log.
    #[error("the tree head is of {found:?}, not of {expected:?}")]
    WrongOrigin {
        /// As it says.
        found: String,
        /// As it must say.
        expected: String,
    },
    /// The signature.
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

/// A tree head that its key signed. Only [`SignedCheckpoint::open`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: String,
    key: VerifierKey,
}

impl SignedCheckpoint {
    /// Opens a signed note that must be a head of `origin`, signed by `key`.
    pub fn open(signed: &[u8], origin: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let opened = Self::open_any(signed, key)?;
        if opened.checkpoint.origin != origin {
            let (found, expected) = (opened.checkpoint.origin, origin.to_string());
            return Err(CheckpointError::WrongOrigin { found, expected });
        }
        Ok(opened)
    }

    /// Opens a signed note of any origin; for evidence, which brings its own.
    pub(crate) fn open_any(signed: &[u8], key: &VerifierKey) -> Result<Self, CheckpointError> {
        let verified = note::open(signed, core::slice::from_ref(key))?;
        let checkpoint = Checkpoint::parse(verified.text())?;
        Ok(Self { checkpoint, note: verified.canonical(), key: key.clone() })
    }

    /// What was signed.
    pub fn head(&self) -> &TreeHead {
        &self.checkpoint.head
    }

    /// How many records.
    pub fn size(&self) -> TreeSize {
        self.checkpoint.head.size
    }

    /// Which log.
    pub fn origin(&self) -> &str {
        &self.checkpoint.origin
    }

    /// The signed note with the signature of its key and no other, for storing and serving.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The key that signed it.
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }
}
