//! Tree heads of one log over time: every two of them must be consistent.
//!
//! A new head is compared with the trusted one. Heads of different sizes are compared with tiles of the newer one, from
//! which the root at the older size is computed (RFC 6962 section 2.1.2,
//! <https://www.rfc-editor.org/rfc/rfc6962#section-2.1.2>). Heads of the same size with different roots are a fork, which
//! needs no tiles.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::checkpoint::SignedCheckpoint;
use crate::consistency::ConsistencyProof;
use crate::evidence::ForkEvidence;
use crate::plan::AuthenticTiles;
use crate::tree::{Node, root_from_subtrees, subtree_roots};

/// The newest trusted tree head of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    trusted: SignedCheckpoint,
}

/// How a tree head relates to the trusted one.
#[derive(Clone, Debug)]
pub enum Observation {
    /// The same tree.
    Same,
    /// Of a smaller tree: must be compared. The trusted head stays.
    Older(Comparison),
    /// Of a larger tree: must be compared. If consistent, it may become the trusted head.
    Newer(Comparison),
    /// The same size and different roots.
    Fork(Box<ForkEvidence>),
    /// Of another key or another origin: says nothing about this log.
    OtherLog,
}

/// Two tree heads of different sizes that must be compared.
#[derive(Clone, Debug)]
pub struct Comparison {
    older: SignedCheckpoint,
    newer: SignedCheckpoint,
}

/// The result of a comparison.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The older tree is a prefix of the newer one. Contains the newer head.
    Consistent(Box<SignedCheckpoint>),
    /// The older tree is not a prefix of the newer one.
    Fork(Box<ForkEvidence>),
}

/// Why tiles cannot decide a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ComparisonError {
    /// The tiles are not of [`Comparison::newer`].
    #[error("the tiles are not of the newer tree head")]
    OtherHead,
    /// The tiles were not planned for [`Comparison::nodes`].
    #[error("the tiles do not contain all nodes of the comparison")]
    NotPlanned,
}

impl Timeline {
    /// Starts from a head that the caller trusts: the one stored by the last run, or one shipped with the program.
    pub fn resume(trusted: SignedCheckpoint) -> Self {
        Self { trusted }
    }

    /// The trusted head.
    pub fn trusted(&self) -> &SignedCheckpoint {
        &self.trusted
    }

    /// Compares a head with the trusted one. Heads of different keys or origins are never a fork.
    pub fn observe(&self, seen: SignedCheckpoint) -> Observation {
        let trusted = self.trusted.clone();
        if (seen.key(), seen.origin()) != (trusted.key(), trusted.origin()) {
            return Observation::OtherLog;
        }
        if seen.head() == trusted.head() {
            return Observation::Same;
        }
        match seen.size().cmp(&trusted.size()) {
            core::cmp::Ordering::Less => Observation::Older(Comparison { older: seen, newer: trusted }),
            core::cmp::Ordering::Greater => Observation::Newer(Comparison { older: trusted, newer: seen }),
            core::cmp::Ordering::Equal => {
                Observation::Fork(Box::new(ForkEvidence { older: trusted, newer: seen, fork: None }))
            }
        }
    }
}

impl Comparison {
    /// The head of the smaller tree.
    pub fn older(&self) -> &SignedCheckpoint {
        &self.older
    }

    /// The head of the larger tree, whose tiles decide the comparison.
    pub fn newer(&self) -> &SignedCheckpoint {
        &self.newer
    }

    /// The nodes to plan tiles for: the subtree roots of the older tree, and a consistency proof. Both need the same tiles.
    pub fn nodes(&self) -> Vec<Node> {
        let mut nodes = subtree_roots(self.older.size());
        // Cannot fail: `older` is smaller by construction.
        nodes.extend(ConsistencyProof::nodes(self.older.size(), self.newer.size()).unwrap_or_default());
        nodes
    }

    /// Compares the heads, with tiles of [`Comparison::newer`].
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
