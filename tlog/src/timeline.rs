//! The heads of one log in time: each must be consistent with every other.
//!
//! A new head is held against the trusted one. Equal: nothing to do. Older or newer: tiles under the newer one tell the
//! root that it has at the older size (RFC 6962 section 2.1.2, <https://www.rfc-editor.org/rfc/rfc6962#section-2.1.2>).
//! Two heads of one size with two roots are a fork at once, without any fetch.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::checkpoint::SignedCheckpoint;
use crate::consistency::ConsistencyProof;
use crate::evidence::ForkEvidence;
use crate::plan::AuthenticTiles;
use crate::tree::{Node, root_from_subtrees, subtree_roots};

/// The newest head that is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    trusted: SignedCheckpoint,
}

/// How a head stands to the trusted one.
#[derive(Clone, Debug)]
pub enum Observation {
    /// The same tree.
    Same,
    /// Older: to be compared. The trusted head stays.
    Past(Comparison),
    /// Newer: to be compared. If consistent, it may become the trusted one.
    Ahead(Comparison),
    /// One size, two roots.
    Fork(Box<ForkEvidence>),
    /// Of another key or another origin: nothing follows from it for this log.
    OtherLog,
}

/// Two heads of different sizes, not compared yet.
#[derive(Clone, Debug)]
pub struct Comparison {
    older: SignedCheckpoint,
    newer: SignedCheckpoint,
}

/// How a comparison ended.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The older tree is the beginning of the newer one; this is the newer head.
    Consistent(Box<SignedCheckpoint>),
    /// It is not.
    Fork(Box<ForkEvidence>),
}

/// The tiles do not fit the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ComparisonError {
    /// They were checked against another head than the newer one.
    #[error("the tiles were checked against another tree head")]
    OtherHead,
    /// They were not planned for the nodes of the comparison.
    #[error("the tiles lack a node that the comparison needs")]
    NotPlanned,
}

impl Timeline {
    /// Goes on from a head that the caller vouches for: one that was trusted before, or an anchor.
    pub fn resume(trusted: SignedCheckpoint) -> Self {
        Self { trusted }
    }

    /// The trusted head.
    pub fn trusted(&self) -> &SignedCheckpoint {
        &self.trusted
    }

    /// Holds a head against the trusted one. Heads of two keys or origins are never called a fork: nobody lied.
    pub fn observe(&self, seen: SignedCheckpoint) -> Observation {
        let trusted = self.trusted.clone();
        if (seen.key(), seen.origin()) != (trusted.key(), trusted.origin()) {
            return Observation::OtherLog;
        }
        if seen.head() == trusted.head() {
            return Observation::Same;
        }
        match seen.size().cmp(&trusted.size()) {
            core::cmp::Ordering::Less => Observation::Past(Comparison { older: seen, newer: trusted }),
            core::cmp::Ordering::Greater => Observation::Ahead(Comparison { older: trusted, newer: seen }),
            core::cmp::Ordering::Equal => {
                Observation::Fork(Box::new(ForkEvidence { older: trusted, newer: seen, fork: None }))
            }
        }
    }
}

impl Comparison {
    /// The smaller tree.
    pub fn older(&self) -> &SignedCheckpoint {
        &self.older
    }

    /// The larger tree. The tiles are checked against it.
    pub fn newer(&self) -> &SignedCheckpoint {
        &self.newer
    }

    /// The nodes to plan for: those of the older tree's root, and those of a consistency proof. They share their tiles.
    pub fn nodes(&self) -> Vec<Node> {
        let mut nodes = subtree_roots(self.older.size());
        // Older is smaller by construction, so there always is a way.
        nodes.extend(ConsistencyProof::nodes(self.older.size(), self.newer.size()).unwrap_or_default());
        nodes
    }

    /// Compares, by tiles that were checked against [`Comparison::newer`].
    #[doc(alias = "checkTrees")]
    pub fn decide(self, tiles: &AuthenticTiles) -> Result<Decision, ComparisonError> {
        if tiles.head() != self.newer.head() {
            return Err(ComparisonError::OtherHead);
        }
        let (older, newer) = (self.older.size(), self.newer.size());
        let hashes = tiles.hashes(&subtree_roots(older)).ok_or(ComparisonError::NotPlanned)?;
        let root = root_from_subtrees(older, &hashes).map_err(|_| ComparisonError::NotPlanned)?;
        if root == self.older.head().root {
            return Ok(Decision::Consistent(Box::new(self.newer)));
        }
        let nodes = ConsistencyProof::nodes(older, newer).map_err(|_| ComparisonError::NotPlanned)?;
        let hashes = tiles.hashes(&nodes).ok_or(ComparisonError::NotPlanned)?;
        let proof = ConsistencyProof::prove(older, newer, &hashes).map_err(|_| ComparisonError::NotPlanned)?;
        let fork = Some((root, proof));
        Ok(Decision::Fork(Box::new(ForkEvidence { older: self.older, newer: self.newer, fork })))
    }
}
