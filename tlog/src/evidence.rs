//! Evidence of a fork: one key signed two heads that cannot belong to one log. Anybody can check it again, offline.
//!
//! ```text
//! sumgate fork evidence v1
//! One key signed two tree heads that cannot belong to one append-only log.
//! key NAME+HASH+KEY
//! older
//! | the smaller head, a signed note, each line marked
//! newer
//! | the larger head
//! root ROOT-OF-THE-NEWER-TREE-AT-THE-OLDER-SIZE
//! proof HASH        (as many as the consistency proof from that root to the newer one has)
//! end
//! ```
//!
//! Heads of one size: two roots say it all, and `root` and `proof` are left out. Heads of two sizes: the consistency proof
//! (RFC 6962 section 2.1.2, <https://www.rfc-editor.org/rfc/rfc6962#section-2.1.2>) shows that the newer tree has another
//! root at the older size than the one that was signed. The key in the text is the signer's claim: the reader compares it
//! with the one that he trusts.

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

/// Two signed heads that contradict each other. Only [`crate::Timeline`], [`crate::Comparison`] and
/// [`ForkEvidence::verify`] make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkEvidence {
    pub(crate) older: SignedCheckpoint,
    pub(crate) newer: SignedCheckpoint,
    /// For heads of two sizes: the root that the newer tree has at the older size, and the proof of that.
    pub(crate) fork: Option<(Hash, ConsistencyProof)>,
}

/// Why a file is no evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Not the form above, to the byte.
    #[error("it is not fork evidence: {0}")]
    Malformed(&'static str),
    /// The key.
    #[error("its key cannot be used: {0}")]
    Key(#[from] KeyError),
    /// A hash.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A head or its signature.
    #[error("one of its tree heads does not verify: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The consistency proof.
    #[error("its proof does not hold: {0}")]
    Proof(#[from] ProofError),
    /// The heads fit together.
    #[error("its two tree heads do not contradict each other")]
    NoContradiction,
}

impl ForkEvidence {
    /// The head of the smaller tree; of two equal ones, the one that was trusted.
    pub fn older(&self) -> &SignedCheckpoint {
        &self.older
    }

    /// The head of the larger tree.
    pub fn newer(&self) -> &SignedCheckpoint {
        &self.newer
    }

    /// The key that signed both.
    pub fn key(&self) -> &VerifierKey {
        self.older.key()
    }

    /// Reads evidence and checks all of it: signatures, sizes, roots, proof.
    pub fn verify(bytes: &[u8]) -> Result<Self, EvidenceError> {
        if bytes.len() > MAX_EVIDENCE_LEN {
            return Err(EvidenceError::Malformed("it is too long"));
        }
        let text = core::str::from_utf8(bytes).map_err(|_| EvidenceError::Malformed("it is not UTF-8"))?;
        let evidence = parse(text)?;
        evidence.check()?;
        // One spelling only: what prints otherwise was changed by somebody.
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
    let key = lines.next().and_then(|line| line.strip_prefix("key ")).ok_or(malformed("it has no key"))?;
    let key = VerifierKey::parse(key)?;
    let mut head = |word| {
        if lines.next() != Some(word) {
            return Err(malformed("it has not two tree heads"));
        }
        let mut note = String::new();
        while let Some(line) = lines.next_if(|line| line.starts_with('|')) {
            note.push_str(line.strip_prefix("| ").unwrap_or_default());
            note.push('\n');
        }
        Ok(SignedCheckpoint::open_any(note.as_bytes(), &key)?)
    };
    let (older, newer) = (head("older")?, head("newer")?);
    let fork = match lines.next_if(|line| line.starts_with("root ")) {
        None => None,
        Some(line) => {
            let root = Hash::parse(&line["root ".len()..])?;
            let mut hashes = Vec::new();
            while let Some(hash) = lines.peek().and_then(|line| line.strip_prefix("proof ")) {
                if hashes.len() == MAX_PROOF_HASHES {
                    return Err(malformed("its proof is too long"));
                }
                hashes.push(Hash::parse(hash)?);
                lines.next();
            }
            Some((root, ConsistencyProof::from_hashes(hashes)))
        }
    };
    if (lines.next(), lines.next()) != (Some("end"), None) {
        return Err(malformed("it does not end where it should"));
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
