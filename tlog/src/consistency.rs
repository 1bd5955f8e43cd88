//! Consistency proofs: an older tree is a prefix of a newer one.
//!
//! RFC 6962 section 2.1.2 (<https://www.rfc-editor.org/rfc/rfc6962#section-2.1.2>), verified as in RFC 9162 section
//! 2.1.4.2. Trees of the same size are consistent if their roots are equal; the proof is empty. The empty tree is a prefix
//! of every tree, so a proof from size 0 to a larger size is invalid.

use alloc::vec::Vec;

use crate::hash::{Hash, empty_root};
use crate::inclusion::{ProofError, Range, descend, expect_root, join, roots};
use crate::tree::{Node, TreeHead, TreeSize, range_nodes};

/// The hashes from which the roots of both trees are computed.
#[doc(alias = "TreeProof")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    hashes: Vec<Hash>,
}

/// The ranges of records whose roots are the proof, from the right edge of the older tree up.
fn path(older: TreeSize, newer: TreeSize) -> Result<Vec<Range>, ProofError> {
    if older > newer {
        return Err(ProofError::OutsideTree { asked: older.get(), size: newer });
    }
    if older == TreeSize::ZERO {
        return Ok(Vec::new());
    }
    let (range, mut ranges) = descend(older.get() - 1, newer.get(), |(_, to)| to == older.get());
    // If the range is the whole older tree, its root is known.
    if range.0 != 0 {
        ranges.push(range);
    }
    ranges.reverse();
    Ok(ranges)
}

impl ConsistencyProof {
    /// Makes a proof from its hashes. Proves nothing before [`ConsistencyProof::verify`].
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

    /// Makes the proof from the hashes of [`ConsistencyProof::nodes`], in that order.
    #[doc(alias = "ProveTree")]
    pub fn prove(older: TreeSize, newer: TreeSize, hashes: &[Hash]) -> Result<Self, ProofError> {
        Ok(Self { hashes: join(&path(older, newer)?, hashes)? })
    }

    /// Verifies that the tree of `older` is a prefix of the tree of `newer`.
    #[doc(alias = "CheckTree")]
    pub fn verify(&self, older: &TreeHead, newer: &TreeHead) -> Result<(), ProofError> {
        let (first, second) = (older.size.get(), newer.size.get());
        if first > second {
            return Err(ProofError::OutsideTree { asked: first, size: newer.size });
        }
        if first == second {
            if !self.hashes.is_empty() {
                return Err(ProofError::WrongLength(self.hashes.len()));
            }
            let expected = if first == 0 { empty_root() } else { newer.root };
            return expect_root(newer.root, expected).and_then(|()| expect_root(older.root, expected));
        }
        if first == 0 {
            return Err(ProofError::OutsideTree { asked: first, size: newer.size });
        }
        let wrong = ProofError::WrongLength(self.hashes.len());
        let (mut index, mut last) = (first - 1, second - 1);
        while index & 1 == 1 {
            (index, last) = (index >> 1, last >> 1);
        }
        // If the older tree is one complete subtree, its root is not in the proof.
        let (start, rest) = if first.is_power_of_two() {
            (older.root, &self.hashes[..])
        } else {
            let (start, rest) = self.hashes.split_first().ok_or(wrong)?;
            (*start, rest)
        };
        let (older_root, newer_root) = roots(start, index, last, rest).ok_or(wrong)?;
        expect_root(older_root, older.root)?;
        expect_root(newer_root, newer.root)
    }
}
