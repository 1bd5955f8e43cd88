//! Fork evidence: a text with two tree heads that one key signed and that contradict each other. Verified offline.
//!
//! ```text
//! sumgate fork evidence v1
//! One key signed two tree heads that cannot belong to one append-only log.
//! key NAME+HASH+KEY
//! older
//! | the smaller tree head, a signed note, `| ` before each line
//! newer
//! | the larger tree head
//! root ROOT-OF-THE-NEWER-TREE-AT-THE-OLDER-SIZE
//! proof HASH        (one line for each hash of the consistency proof from that root to the newer one)
//! end
//! ```
//!
//! For heads of the same size, `root` and `proof` are omitted: the roots differ. For heads of different sizes, the
//! consistency proof (RFC 6962 section 2.1.2, <https://www.rfc-editor.org/rfc/rfc6962#section-2.1.2>) shows that the root of
//! the newer tree at the older size is not the one that was signed. Evidence is about the key in the text: a reader must
//! compare it with the key of the log.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::consistency::ConsistencyProof;
use crate::hash::{Hash, HashError};
use crate::inclusion::ProofError;
use crate::key::{KeyError, VerifierKey};
use crate::limits::{MAX_EVIDENCE_LEN, MAX_PROOF_HASHES};
use crate::tree::TreeHead;

const FIRST_LINE: &str = "sumgate fork evidence v1";
const SENTENCE: &str = "One key signed two tree heads that cannot belong to one append-only log.";

/// Two signed tree heads that contradict each other. Only [`crate::Timeline::observe`], [`crate::Comparison::decide`] and
/// [`ForkEvidence::verify`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkEvidence {
    pub(crate) older: SignedCheckpoint,
    pub(crate) newer: SignedCheckpoint,
    /// For heads of different sizes: the root of the newer tree at the older size, and its consistency proof.
    pub(crate) fork: Option<(Hash, ConsistencyProof)>,
}

/// Why a text is not valid evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Not exactly the format of evidence.
    #[error("malformed fork evidence: {0}")]
    Malformed(&'static str),
    /// The key.
    #[error("invalid key in the evidence: {0}")]
    Key(#[from] KeyError),
    /// A hash.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A tree head or its signature.
    #[error("invalid tree head in the evidence: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The consistency proof.
    #[error("invalid consistency proof in the evidence: {0}")]
    Proof(#[from] ProofError),
    /// The tree heads do not contradict each other.
    #[error("the tree heads in the evidence do not contradict each other")]
    NoContradiction,
}

impl ForkEvidence {
    /// The head of the smaller tree; for trees of the same size, the head that was trusted.
    pub fn older(&self) -> &SignedCheckpoint {
        &self.older
    }

    /// The head of the larger tree; for trees of the same size, the head that was observed.
    pub fn newer(&self) -> &SignedCheckpoint {
        &self.newer
    }

    /// The key that signed both heads.
    pub fn key(&self) -> &VerifierKey {
        self.older.key()
    }

    /// Parses evidence and verifies all of it: signatures, sizes, roots and proof.
    pub fn verify(bytes: &[u8]) -> Result<Self, EvidenceError> {
        if bytes.len() > MAX_EVIDENCE_LEN {
            return Err(EvidenceError::Malformed("it is too long"));
        }
        let text = core::str::from_utf8(bytes).map_err(|_| EvidenceError::Malformed("it is not UTF-8"))?;
        let evidence = parse(text)?;
        evidence.check()?;
        // Evidence has one spelling only: a text that prints differently was edited.
        if evidence.to_string() == text { Ok(evidence) } else { Err(EvidenceError::Malformed("it was edited")) }
    }

    fn check(&self) -> Result<(), EvidenceError> {
        if self.older.origin() != self.newer.origin() {
            return Err(EvidenceError::NoContradiction);
        }
        let (older, newer) = (self.older.head(), self.newer.head());
        let contradict = match &self.fork {
            None => older.size == newer.size && older.root != newer.root,
            Some((root, proof)) => {
                proof.verify(&TreeHead { size: older.size, root: *root }, newer)?;
                older.size < newer.size && older.root != *root
            }
        };
        if contradict { Ok(()) } else { Err(EvidenceError::NoContradiction) }
    }
}

fn parse(text: &str) -> Result<ForkEvidence, EvidenceError> {
    let malformed = EvidenceError::Malformed;
    let mut lines = text.lines().peekable();
    if (lines.next(), lines.next()) != (Some(FIRST_LINE), Some(SENTENCE)) {
        return Err(malformed("missing header `sumgate fork evidence v1`"));
    }
    let key = lines.next().and_then(|line| line.strip_prefix("key ")).ok_or(malformed("missing `key` line"))?;
    let key = VerifierKey::parse(key)?;
    let mut head = |word| {
        if lines.next() != Some(word) {
            return Err(malformed("missing tree head"));
        }
        let mut note = String::new();
        while let Some(line) = lines.next_if(|line| line.starts_with('|')) {
            note.push_str(line.strip_prefix("| ").unwrap_or_default());
            note.push('\n');
        }
        Ok(SignedCheckpoint::open_any_origin(note.as_bytes(), &key)?)
    };
    let (older, newer) = (head("older")?, head("newer")?);
    let fork = match lines.next_if(|line| line.starts_with("root ")) {
        None => None,
        Some(line) => {
            let root = Hash::parse(&line["root ".len()..])?;
            let mut hashes = Vec::new();
            while let Some(hash) = lines.peek().and_then(|line| line.strip_prefix("proof ")) {
                if hashes.len() == MAX_PROOF_HASHES {
                    return Err(malformed("too many hashes in the proof"));
                }
                hashes.push(Hash::parse(hash)?);
                lines.next();
            }
            Some((root, ConsistencyProof::from_hashes(hashes)))
        }
    };
    if (lines.next(), lines.next()) != (Some("end"), None) {
        return Err(malformed("the last line must be `end`"));
    }
    Ok(ForkEvidence { older, newer, fork })
}

impl fmt::Display for ForkEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\n{SENTENCE}\nkey {}", self.key())?;
        for (word, head) in [("older", &self.older), ("newer", &self.newer)] {
            writeln!(f, "{word}")?;
            head.note().lines().try_for_each(|line| writeln!(f, "| {line}"))?;
        }
        if let Some((root, proof)) = &self.fork {
            writeln!(f, "root {root}")?;
            proof.hashes().iter().try_for_each(|hash| writeln!(f, "proof {hash}"))?;
        }
        writeln!(f, "end")
    }
}
