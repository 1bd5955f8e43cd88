//! Records and lookup replies.
//!
//! A reply is a line with the record number, the text of the record, a blank line, and a signed tree head
//! (<https://go.dev/design/25530-sumdb>). The text ends with a newline and contains no blank line. It cannot be read before
//! the record is proved, so that hash lines elsewhere in a reply, such as extension lines of the tree head, are never used
//! (CVE-2026-56864).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::checkpoint::SignedCheckpoint;
use crate::hash::{Hash, leaf_hash};
use crate::inclusion::{InclusionProof, ProofError};
use crate::limits::{MAX_LOOKUP_LEN, MAX_RECORD_LEN};
use crate::mismatch::Mismatch;
use crate::plan::AuthenticTiles;
use crate::tree::{Node, RecordId, TreeError, TreeHead};

/// A parsed, unverified lookup reply. The text of its record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupReply {
    id: RecordId,
    text: String,
    note: Vec<u8>,
}

/// A record whose inclusion under a signed tree head was proved. Only [`LookupReply::prove`], [`LookupReply::prove_by`]
/// and [`crate::bundle::open`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenRecord {
    id: RecordId,
    text: String,
    head: TreeHead,
    signer: String,
}

/// Why a reply is invalid, or its record not proved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The reply is longer than [`MAX_LOOKUP_LEN`], or its record longer than [`MAX_RECORD_LEN`].
    #[error("the reply or its record is too long: {0} bytes")]
    TooLong(usize),
    /// Not a number, a text, a blank line and a note.
    #[error("malformed lookup reply: {0}")]
    Malformed(&'static str),
    /// The number of the record.
    #[error("invalid record number: {0}")]
    BadId(#[from] TreeError),
    /// The tiles were authenticated against a tree head other than the signed one.
    #[error("the tiles are of another tree head: {0}")]
    OtherHead(Mismatch<TreeHead>),
    /// The tiles do not contain the leaf of this record.
    #[error("record {0} is not in the authenticated tiles")]
    NotPlanned(RecordId),
    /// The log has another record with this number.
    #[error("wrong hash of record {0}: {1}")]
    WrongLeaf(RecordId, Mismatch<Hash>),
    /// The inclusion proof.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl LookupReply {
    /// Parses a lookup reply.
    pub fn parse(reply: &[u8]) -> Result<Self, RecordError> {
        if reply.len() > MAX_LOOKUP_LEN {
            return Err(RecordError::TooLong(reply.len()));
        }
        let malformed = RecordError::Malformed;
        let end = reply.iter().position(|byte| *byte == b'\n').ok_or(malformed("missing newline"))?;
        let (id, rest) = (&reply[..end], &reply[end + 1..]);
        let id = core::str::from_utf8(id).map_err(|_| TreeError::NotCanonical)?;
        let blank = rest.windows(2).position(|two| two == b"\n\n").ok_or(malformed("missing blank line"))?;
        let (text, note) = (&rest[..=blank], rest[blank + 2..].to_vec());
        Self::new(RecordId::parse(id)?, text, note)
    }

    /// Makes a reply from its parts, of which `note` may be anything.
    pub(crate) fn new(id: RecordId, text: &[u8], note: Vec<u8>) -> Result<Self, RecordError> {
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

    /// The signed tree head in the reply, for [`SignedCheckpoint::open`].
    pub fn note(&self) -> &[u8] {
        &self.note
    }

    /// Proves the record with tiles of `head` that were planned for its leaf: level 0, index [`LookupReply::id`]. Tiles prove
    /// nothing without a signed head, because anyone can make a tree.
    pub fn prove(self, tiles: &AuthenticTiles, head: &SignedCheckpoint) -> Result<ProvenRecord, RecordError> {
        if tiles.head() != head.head() {
            return Err(RecordError::OtherHead(Mismatch { expected: *head.head(), found: *tiles.head() }));
        }
        let node = Node { level: 0, index: self.id.get() };
        let expected = tiles.hash(node).ok_or(RecordError::NotPlanned(self.id))?;
        let found = self.leaf_hash();
        if found != expected {
            return Err(RecordError::WrongLeaf(self.id, Mismatch { expected, found }));
        }
        Ok(ProvenRecord::new(self, head))
    }

    /// Proves the record with an inclusion proof under a signed head.
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

    /// The text of the record.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The tree head under which the record was proved.
    pub fn head(&self) -> &TreeHead {
        &self.head
    }

    /// The name of the key that signed that head.
    pub fn signer(&self) -> &str {
        &self.signer
    }

    /// Formats a lookup reply with this record and a tree head that covers it.
    pub fn format_reply(&self, head: &SignedCheckpoint) -> String {
        format!("{}\n{}\n{}", self.id, self.text, head.note())
    }
}

/// Checks length and form: nonempty lines, each with a newline, without other control characters.
fn check_text(text: &str) -> Result<(), RecordError> {
    if text.len() > MAX_RECORD_LEN {
        return Err(RecordError::TooLong(text.len()));
    }
    let plain = text.bytes().all(|byte| byte >= 0x20 || byte == b'\n');
    let is_valid = plain && text.ends_with('\n') && !text.starts_with('\n') && !text.contains("\n\n");
    is_valid.then_some(()).ok_or(RecordError::Malformed("the record must be nonempty lines of plain text"))
}

/// Formats the part of a lookup reply before the tree head: record number, text, blank line.
#[doc(alias = "FormatRecord")]
pub fn format_record(id: RecordId, text: &str) -> Result<String, RecordError> {
    check_text(text)?;
    Ok(format!("{id}\n{text}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_and_records_have_a_limit() {
        let reply = |length: usize| alloc::format!("7\n{}\n\n", "a".repeat(length)).into_bytes();
        let too_long = |length| matches!(LookupReply::parse(&reply(length)), Err(RecordError::TooLong(_)));
        // The newline is a part of the text.
        assert!(!too_long(MAX_RECORD_LEN - 1) && too_long(MAX_RECORD_LEN));
        assert!(matches!(LookupReply::parse(&alloc::vec![b'7'; MAX_LOOKUP_LEN + 1]), Err(RecordError::TooLong(_))));
    }
}
