//! Consistency proofs: one tree is the beginning of another.
//!
//! RFC 6962 section 2.1.2 (<https://www.rfc-editor.org/rfc/rfc6962#section-2.1.2>), checked as in RFC 9162 section
//! 2.1.4.2. Two trees of one size are consistent if their roots are equal, with an empty proof. The empty tree is the
//! beginning of every other, so there is nothing to prove, and a proof of that is refused.

use alloc::vec::Vec;

use crate::hash::{Hash, empty_root};
use crate::inclusion::{ProofError, climb, join, split};
use crate::tree::{Node, TreeHead, TreeSize, range_nodes};

/// The hashes that lead to both roots.
#[doc(alias = "TreeProof")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    hashes: Vec<Hash>,
}

/// The ranges of records whose roots make up the proof, from the older tree's edge up.
fn path(older: TreeSize, newer: TreeSize) -> Result<Vec<(u64, u64)>, ProofError> {
    if older > newer {
        return Err(ProofError::OutsideTree { asked: older.get(), size: newer });
    }
    if older == TreeSize::ZERO {
        return Ok(Vec::new());
    }
    let edge = older.get();
    let (mut from, mut to) = (0, newer.get());
    let mut ranges = Vec::new();
    while edge < to {
        let middle = from + split(to - from);
        if edge <= middle {
            ranges.push((middle, to));
            to = middle;
        } else {
            ranges.push((from, middle));
            from = middle;
        }
    }
    // The older tree itself needs no hash: its root is known.
    if from != 0 {
        ranges.push((from, to));
    }
    ranges.reverse();
    Ok(ranges)
}

impl ConsistencyProof {
    /// A proof from its hashes. Proves nothing before [`ConsistencyProof::verify`].
    pub fn from_hashes(hashes: Vec<Hash>) -> Self {
        Self { hashes }
    }

    /// The hashes, in the order of RFC 6962.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The complete subtrees whose hashes [`ConsistencyProof::prove`] needs.
    pub fn nodes(older: TreeSize, newer: TreeSize) -> Result<Vec<Node>, ProofError> {
        Ok(path(older, newer)?.into_iter().flat_map(|(from, to)| range_nodes(from, to)).collect())
    }

    /// Makes the proof from the hashes of [`ConsistencyProof::nodes`], in the same order.
    #[doc(alias = "ProveTree")]
    pub fn prove(older: TreeSize, newer: TreeSize, hashes: &[Hash]) -> Result<Self, ProofError> {
        Ok(Self { hashes: join(&path(older, newer)?, hashes)? })
    }

    /// Checks that the tree of `older` is the beginning of the tree of `newer`.
    #[doc(alias = "CheckTree")]
    pub fn verify(&self, older: &TreeHead, newer: &TreeHead) -> Result<(), ProofError> {
        let (first, second) = (older.size.get(), newer.size.get());
        if first > second {
            return Err(ProofError::OutsideTree { asked: first, size: newer.size });
        }
        if first == second {
            if !self.hashes.is_empty() {
                return Err(ProofError::WrongLength { given: self.hashes.len() });
            }
            let expected = if first == 0 { empty_root() } else { newer.root };
            return same(newer.root, expected).and_then(|()| same(older.root, expected));
        }
        if first == 0 {
            return Err(ProofError::OutsideTree { asked: first, size: newer.size });
        }
        let wrong = ProofError::WrongLength { given: self.hashes.len() };
        let (mut place, mut last) = (first - 1, second - 1);
        while place & 1 == 1 {
            (place, last) = (place >> 1, last >> 1);
        }
        // A complete older tree is itself the first step of the way.
        let (start, rest) = if first.is_power_of_two() {
            (older.root, &self.hashes[..])
        } else {
            let (start, rest) = self.hashes.split_first().ok_or(wrong)?;
            (*start, rest)
        };
        let (to_older, to_newer) = climb(start, place, last, rest).ok_or(wrong)?;
        same(to_older, older.root)?;
        same(to_newer, newer.root)
    }
}

fn same(found: Hash, expected: Hash) -> Result<(), ProofError> {
    if found == expected { Ok(()) } else { Err(ProofError::WrongRoot { found, expected }) }
}
