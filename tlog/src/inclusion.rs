//! Inclusion proofs: a record is in the tree of a head.
//!
//! The audit path of RFC 6962 section 2.1.1 (<https://www.rfc-editor.org/rfc/rfc6962#section-2.1.1>), verified as in
//! RFC 9162 section 2.1.3.2.

use alloc::vec::Vec;

use crate::hash::{Hash, node_hash};
use crate::mismatch::Mismatch;
use crate::tree::{Node, RecordId, TreeHead, TreeSize, fold, range_nodes};

/// The sibling hashes on the path from a leaf to the root.
#[doc(alias = "RecordProof")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    hashes: Vec<Hash>,
}

/// Why a proof cannot be made, or proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The record, or the older tree, is not in the tree.
    #[error("{asked} is outside the tree of {size} records")]
    OutsideTree {
        /// The record number, or the size of the older tree.
        asked: u64,
        /// The size of the tree.
        size: TreeSize,
    },
    /// Too few or too many hashes.
    #[error("wrong number of hashes in the proof: {0}")]
    WrongLength(usize),
    /// The hashes give another root.
    #[error("wrong root hash of the proof: {0}")]
    WrongRoot(Mismatch<Hash>),
}

/// The side of a pair of nodes on which a hash stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It is hashed first.
    Left,
    /// It is hashed second.
    Right,
}

/// One step of a proof: a computed node and its sibling give the node above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofStep {
    /// The level of the pair above the leaves; 0 for the leaf and its sibling.
    pub level: u8,
    /// The side of the sibling.
    pub side: Side,
    /// The hash of the sibling, from the proof.
    pub sibling: Hash,
    /// The computed hash of the node above the pair.
    pub computed: Hash,
}

/// A range of records: the first one, and the end.
pub(crate) type Range = (u64, u64);

/// Descends from the root of a tree of `size` records towards the record `id`, until `is_end` accepts the range of the
/// subtree. Returns that range, and those of the sibling subtrees from the root down.
pub(crate) fn descend(id: u64, size: u64, is_end: impl Fn(Range) -> bool) -> (Range, Vec<Range>) {
    let (mut range, mut siblings) = ((0, size), Vec::new());
    while !is_end(range) {
        let (from, to) = range;
        // The left subtree has the largest power of two below the number of records.
        let middle = from + (1 << (to - from - 1).ilog2());
        let (left, right) = ((from, middle), (middle, to));
        let (own, sibling) = if id < middle { (left, right) } else { (right, left) };
        range = own;
        siblings.push(sibling);
    }
    (range, siblings)
}

/// The ranges of records whose roots are the proof, from the leaf up.
fn path(id: RecordId, size: TreeSize) -> Result<Vec<Range>, ProofError> {
    if !size.contains(id) {
        return Err(ProofError::OutsideTree { asked: id.get(), size });
    }
    let (_, mut siblings) = descend(id.get(), size.get(), |(from, to)| to - from == 1);
    siblings.reverse();
    Ok(siblings)
}

/// Computes the root of each range from the hashes of its complete subtrees.
pub(crate) fn join(ranges: &[Range], hashes: &[Hash]) -> Result<Vec<Hash>, ProofError> {
    let wrong = ProofError::WrongLength(hashes.len());
    let mut rest = hashes;
    let mut joined = Vec::with_capacity(ranges.len());
    for (from, to) in ranges {
        let (own, others) = rest.split_at_checked((to - from).count_ones() as usize).ok_or(wrong)?;
        joined.push(fold(own).ok_or(wrong)?);
        rest = others;
    }
    if rest.is_empty() { Ok(joined) } else { Err(wrong) }
}

/// Computes two roots from a node at `index` of a level whose last node is at `last`, and the hashes of a proof: the root of
/// the tree that ends with the node, and the root of the whole tree. `None` if there are too few or too many hashes.
pub(crate) fn roots(node: Hash, mut index: u64, mut last: u64, hashes: &[Hash]) -> Option<(Hash, Hash)> {
    let (mut ending, mut whole) = (node, node);
    for hash in hashes {
        if last == 0 {
            return None;
        }
        if index & 1 == 1 || index == last {
            ending = node_hash(hash, &ending);
            whole = node_hash(hash, &whole);
            // At the right edge, a node without a sibling is also the node of the next level.
            while index & 1 == 0 && index != 0 {
                (index, last) = (index >> 1, last >> 1);
            }
        } else {
            whole = node_hash(&whole, hash);
        }
        (index, last) = (index >> 1, last >> 1);
    }
    (last == 0).then_some((ending, whole))
}

pub(crate) fn expect_root(found: Hash, expected: Hash) -> Result<(), ProofError> {
    if found == expected { Ok(()) } else { Err(ProofError::WrongRoot(Mismatch { expected, found })) }
}

impl InclusionProof {
    /// Makes a proof from its hashes, from the leaf up. Proves nothing before [`InclusionProof::verify`].
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

    /// Makes the proof from the hashes of [`InclusionProof::nodes`], in that order.
    #[doc(alias = "ProveRecord")]
    pub fn prove(id: RecordId, size: TreeSize, hashes: &[Hash]) -> Result<Self, ProofError> {
        Ok(Self { hashes: join(&path(id, size)?, hashes)? })
    }

    /// Verifies that the tree of `head` contains the record `id` with the hash `leaf`.
    #[doc(alias = "CheckRecord")]
    pub fn verify(&self, id: RecordId, leaf: &Hash, head: &TreeHead) -> Result<(), ProofError> {
        if !head.size.contains(id) {
            return Err(ProofError::OutsideTree { asked: id.get(), size: head.size });
        }
        let (_, found) = roots(*leaf, id.get(), head.size.get() - 1, &self.hashes)
            .ok_or(ProofError::WrongLength(self.hashes.len()))?;
        expect_root(found, head.root)
    }

    /// The steps from the hash `leaf` of the record `id` to the root of a tree of `size` records, whose hash is the last one that
    /// is computed; without a step it is `leaf`. For a reader: only [`InclusionProof::verify`] compares the root.
    pub fn steps(&self, id: RecordId, leaf: &Hash, size: TreeSize) -> Result<Vec<ProofStep>, ProofError> {
        if !size.contains(id) {
            return Err(ProofError::OutsideTree { asked: id.get(), size });
        }
        let (mut index, mut last, mut level, mut computed) = (id.get(), size.get() - 1, 0, *leaf);
        let mut steps = Vec::with_capacity(self.hashes.len());
        for sibling in &self.hashes {
            if last == 0 {
                return Err(ProofError::WrongLength(self.hashes.len()));
            }
            // At the right edge, a node without a sibling is also the node of the next level.
            while index == last && index & 1 == 0 {
                (index, last, level) = (index >> 1, last >> 1, level + 1);
            }
            let step = if index & 1 == 1 {
                ProofStep { level, side: Side::Left, sibling: *sibling, computed: node_hash(sibling, &computed) }
            } else {
                ProofStep { level, side: Side::Right, sibling: *sibling, computed: node_hash(&computed, sibling) }
            };
            computed = step.computed;
            steps.push(step);
            (index, last, level) = (index >> 1, last >> 1, level + 1);
        }
        if last == 0 { Ok(steps) } else { Err(ProofError::WrongLength(self.hashes.len())) }
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unwrap_used,
        clippy::cast_possible_truncation,
        reason = "a test may panic, and its trees are small"
    )]

    use super::*;
    use crate::hash::leaf_hash;

    /// The root of these leaves, by its definition (RFC 6962 section 2.1).
    fn root(leaves: &[Hash]) -> Hash {
        if let [only] = leaves {
            return *only;
        }
        let (left, right) = leaves.split_at(1 << (leaves.len() - 1).ilog2());
        node_hash(&root(left), &root(right))
    }

    #[test]
    fn the_steps_lead_from_each_leaf_to_the_root() {
        for count in 1..=33_u64 {
            let leaves: Vec<Hash> = (0..count).map(|nth| leaf_hash(&nth.to_be_bytes())).collect();
            let size = TreeSize::new(count).unwrap();
            let head = TreeHead { size, root: root(&leaves) };
            for (id, leaf) in leaves.iter().enumerate() {
                let id = RecordId::new(id as u64).unwrap();
                let siblings = path(id, size).unwrap();
                let hashes: Vec<Hash> =
                    siblings.iter().map(|(from, to)| root(&leaves[*from as usize..*to as usize])).collect();
                let proof = InclusionProof::from_hashes(hashes);
                proof.verify(id, leaf, &head).unwrap();
                let steps = proof.steps(id, leaf, size).unwrap();
                assert_eq!(steps.last().map_or(*leaf, |step| step.computed), head.root, "{id} of {count}");
                for (step, (from, _)) in steps.iter().zip(&siblings) {
                    let is_left = *from < id.get();
                    assert_eq!(step.side == Side::Left, is_left, "{id} of {count}");
                    assert_eq!(id.get() >> step.level ^ 1, from >> step.level, "{id} of {count}");
                }
            }
        }
    }

    #[test]
    fn a_proof_of_another_length_has_no_steps() {
        let (id, leaf) = (RecordId::new(2).unwrap(), leaf_hash(b"a"));
        let proof = InclusionProof::from_hashes(alloc::vec![leaf; 2]);
        assert!(proof.steps(id, &leaf, TreeSize::new(4).unwrap()).is_ok());
        for size in [2, 3, 8] {
            assert!(proof.steps(id, &leaf, TreeSize::new(size).unwrap()).is_err(), "{size}");
        }
    }
}
