//! Inclusion proofs: a record is in the tree of a head.
//!
//! The audit path of RFC 6962 section 2.1.1 (<https://www.rfc-editor.org/rfc/rfc6962#section-2.1.1>), checked as in
//! RFC 9162 section 2.1.3.2. Which complete subtrees a proof is made of is told first, so that they can be fetched.

use alloc::vec::Vec;

use crate::hash::{Hash, node_hash};
use crate::tree::{Node, RecordId, TreeHead, TreeSize, fold, range_nodes};

/// The hashes from a leaf's sibling up to the root's child.
#[doc(alias = "RecordProof")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    hashes: Vec<Hash>,
}

/// Why something is not proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The tree is too small for the question.
    #[error("{asked} is outside the tree of {size} records")]
    OutsideTree {
        /// The record number, or the older size.
        asked: u64,
        /// The size of the tree.
        size: TreeSize,
    },
    /// Too few or too many hashes.
    #[error("a proof of {given} hashes does not fit the question")]
    WrongLength {
        /// As given.
        given: usize,
    },
    /// The hashes lead to another root.
    #[error("the proof leads to the root {found}, and the tree head says {expected}")]
    WrongRoot {
        /// Where the hashes lead.
        found: Hash,
        /// What the head says.
        expected: Hash,
    },
}

/// The ranges of records whose roots make up the proof, from the leaf up.
fn path(id: RecordId, size: TreeSize) -> Result<Vec<(u64, u64)>, ProofError> {
    if !size.contains(id) {
        return Err(ProofError::OutsideTree { asked: id.get(), size });
    }
    let (mut from, mut to) = (0, size.get());
    let mut ranges = Vec::new();
    while to - from > 1 {
        let middle = from + split(to - from);
        if id.get() < middle {
            ranges.push((middle, to));
            to = middle;
        } else {
            ranges.push((from, middle));
            from = middle;
        }
    }
    ranges.reverse();
    Ok(ranges)
}

/// The largest power of two below `length`, which must be at least 2.
pub(crate) fn split(length: u64) -> u64 {
    1 << (length - 1).ilog2()
}

/// Joins the hashes of complete subtrees to one hash per range.
pub(crate) fn join(ranges: &[(u64, u64)], hashes: &[Hash]) -> Result<Vec<Hash>, ProofError> {
    let wrong = ProofError::WrongLength { given: hashes.len() };
    let mut rest = hashes;
    let mut joined = Vec::with_capacity(ranges.len());
    for (from, to) in ranges {
        let (own, others) = rest.split_at_checked((to - from).count_ones() as usize).ok_or(wrong)?;
        joined.push(fold(own).ok_or(wrong)?);
        rest = others;
    }
    if rest.is_empty() { Ok(joined) } else { Err(wrong) }
}

/// Climbs from a node, which has the number `place` in a row that ends at `last`, to the root: of the tree that ends with the
/// node, and of the whole tree. `None` if the hashes are too few or too many.
pub(crate) fn climb(node: Hash, mut place: u64, mut last: u64, hashes: &[Hash]) -> Option<(Hash, Hash)> {
    let (mut ending, mut whole) = (node, node);
    for hash in hashes {
        if last == 0 {
            return None;
        }
        if place & 1 == 1 || place == last {
            ending = node_hash(hash, &ending);
            whole = node_hash(hash, &whole);
            // At the right edge a node without a sibling is handed up as it is.
            while place & 1 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            whole = node_hash(&whole, hash);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    (last == 0).then_some((ending, whole))
}

impl InclusionProof {
    /// A proof from its hashes, from the leaf up. Proves nothing before [`InclusionProof::verify`].
    pub fn from_hashes(hashes: Vec<Hash>) -> Self {
        Self { hashes }
    }

    /// The hashes, from the leaf up.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The complete subtrees whose hashes [`InclusionProof::prove`] needs.
    pub fn nodes(id: RecordId, size: TreeSize) -> Result<Vec<Node>, ProofError> {
        Ok(path(id, size)?.into_iter().flat_map(|(from, to)| range_nodes(from, to)).collect())
    }

    /// Makes the proof from the hashes of [`InclusionProof::nodes`], in the same order.
    #[doc(alias = "ProveRecord")]
    pub fn prove(id: RecordId, size: TreeSize, hashes: &[Hash]) -> Result<Self, ProofError> {
        Ok(Self { hashes: join(&path(id, size)?, hashes)? })
    }

    /// Checks that the record `id` with the hash `leaf` is in the tree of `head`.
    #[doc(alias = "CheckRecord")]
    pub fn verify(&self, id: RecordId, leaf: &Hash, head: &TreeHead) -> Result<(), ProofError> {
        if !head.size.contains(id) {
            return Err(ProofError::OutsideTree { asked: id.get(), size: head.size });
        }
        let (_, found) = climb(*leaf, id.get(), head.size.get() - 1, &self.hashes)
            .ok_or(ProofError::WrongLength { given: self.hashes.len() })?;
        if found == head.root { Ok(()) } else { Err(ProofError::WrongRoot { found, expected: head.root }) }
    }
}
