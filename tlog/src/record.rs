//! Records, and the reply of a lookup.
//!
//! A reply is the record's number and a newline, its text, a blank line, a signed note with a tree head
//! (<https://go.dev/design/25530-sumdb>). The text ends in a newline and has no blank line. It cannot be read here before
//! the record is proved: hash lines elsewhere in a reply, such as in the note's extension lines, must never count
//! (CVE-2026-56864).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::checkpoint::SignedCheckpoint;
use crate::hash::{Hash, leaf_hash};
use crate::inclusion::{InclusionProof, ProofError};
use crate::limits::{MAX_LOOKUP_LEN, MAX_RECORD_LEN};
use crate::plan::AuthenticTiles;
use crate::tree::{Node, RecordId, TreeError, TreeHead};

/// The reply of a lookup, as it came: proves nothing yet, and its text cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupReply {
    id: RecordId,
    text: String,
    note: Vec<u8>,
}

/// A record whose inclusion in the tree of a signed head was proved. Only [`LookupReply::prove`], [`LookupReply::prove_by`] and
/// [`crate::bundle::open`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenRecord {
    id: RecordId,
    text: String,
    head: TreeHead,
    signer: String,
}

/// Why a reply is no reply, or its record not proved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Longer than [`MAX_LOOKUP_LEN`], or the text than [`MAX_RECORD_LEN`].
    #[error("the reply has {0} bytes, more than it may have")]
    TooLong(usize),
    /// Not `ID`, text, blank line, note.
    #[error("the reply is malformed: {0}")]
    Malformed(&'static str),
    /// The number of the record.
    #[error("the record number: {0}")]
    BadId(#[from] TreeError),
    /// The tiles were checked against another head than the signed one.
    #[error(
        "the tiles were checked against {} records with the root {}, and the signed head has {} with the root {}",
        tiles.size, tiles.root, signed.size, signed.root
    )]
    OtherHead {
        /// What the tiles were checked against.
        tiles: TreeHead,
        /// What was signed.
        signed: TreeHead,
    },
    /// The tiles say nothing of this record.
    #[error("record {0} is not in the tiles that were checked")]
    NotPlanned(RecordId),
    /// The log has another record at this place.
    #[error("record {id} has the hash {found}, and the log has {expected} there")]
    WrongLeaf {
        /// The number.
        id: RecordId,
        /// The hash of the text.
        found: Hash,
        /// The hash in the log.
        expected: Hash,
    },
    /// The inclusion proof.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl LookupReply {
    /// Parses a reply.
    pub fn parse(reply: &[u8]) -> Result<Self, RecordError> {
        if reply.len() > MAX_LOOKUP_LEN {
            return Err(RecordError::TooLong(reply.len()));
        }
        let malformed = RecordError::Malformed;
        let end = reply.iter().position(|byte| *byte == b'\n').ok_or(malformed("it has no lines"))?;
        let (id, rest) = (&reply[..end], &reply[end + 1..]);
        let id = core::str::from_utf8(id).map_err(|_| TreeError::NotCanonical)?;
        let blank = rest.windows(2).position(|two| two == b"\n\n").ok_or(malformed("it has no blank line"))?;
        let (text, note) = (&rest[..=blank], rest[blank + 2..].to_vec());
        Self::new(RecordId::parse(id)?, text, note)
    }

    /// The parts of a reply, checked.
    pub(crate) fn new(id: RecordId, text: &[u8], note: Vec<u8>) -> Result<Self, RecordError> {
        if text.len() > MAX_RECORD_LEN {
            return Err(RecordError::TooLong(text.len()));
        }
        let text = core::str::from_utf8(text).map_err(|_| RecordError::Malformed("the record is not UTF-8"))?;
        check_text(text)?;
        Ok(Self { id, text: text.to_string(), note })
    }

    /// The number of the record.
    pub fn id(&self) -> RecordId {
        self.id
    }

    /// The hash of the record.
    pub fn leaf_hash(&self) -> Hash {
        leaf_hash(self.text.as_bytes())
    }

    /// The signed note behind it.
    pub fn note(&self) -> &[u8] {
        &self.note
    }

    /// Proves the record by tiles that were planned for the node at level 0 with the record's number, and checked against
    /// the tree of `head`. Tiles prove nothing without a signed head: anybody can make a tree.
    pub fn prove(self, tiles: &AuthenticTiles, head: &SignedCheckpoint) -> Result<ProvenRecord, RecordError> {
        if tiles.head() != head.head() {
            return Err(RecordError::OtherHead { tiles: *tiles.head(), signed: *head.head() });
        }
        let node = Node { level: 0, index: self.id.get() };
        let expected = tiles.hash(node).ok_or(RecordError::NotPlanned(self.id))?;
        let found = self.leaf_hash();
        if found != expected {
            return Err(RecordError::WrongLeaf { id: self.id, found, expected });
        }
        Ok(ProvenRecord::new(self, head))
    }

    /// Proves the record by an inclusion proof for a signed head.
    pub fn prove_by(self, proof: &InclusionProof, head: &SignedCheckpoint) -> Result<ProvenRecord, RecordError> {
        proof.verify(self.id, &self.leaf_hash(), head.head())?;
        Ok(ProvenRecord::new(self, head))
    }
}

impl ProvenRecord {
    fn new(reply: LookupReply, head: &SignedCheckpoint) -> Self {
        Self { id: reply.id, text: reply.text, head: *head.head(), signer: head.key().name().into() }
    }

    /// The number of the record.
    pub fn id(&self) -> RecordId {
        self.id
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The head of the tree in which it was proved.
    pub fn head(&self) -> &TreeHead {
        &self.head
    }

    /// The name of the key that signed that head.
    pub fn signer(&self) -> &str {
        &self.signer
    }

    /// A lookup reply with this record and a signed head that covers it.
    pub fn format_reply(&self, head: &SignedCheckpoint) -> String {
        format!("{}\n{}\n{}", self.id, self.text, head.note())
    }
}

/// Not too long; lines of UTF-8 that end in a newline, none empty, no control character but newline.
fn check_text(text: &str) -> Result<(), RecordError> {
    if text.len() > MAX_RECORD_LEN {
        return Err(RecordError::TooLong(text.len()));
    }
    let plain = text.bytes().all(|byte| byte >= 0x20 || byte == b'\n');
    let is_right = plain && text.ends_with('\n') && !text.starts_with('\n') && !text.contains("\n\n");
    is_right.then_some(()).ok_or(RecordError::Malformed("the record is not lines of plain text"))
}

/// A record as a log writes it before the note of a lookup reply: number, text, blank line.
#[doc(alias = "FormatRecord")]
pub fn format_record(id: RecordId, text: &str) -> Result<String, RecordError> {
    check_text(text)?;
    Ok(format!("{id}\n{text}\n"))
}
