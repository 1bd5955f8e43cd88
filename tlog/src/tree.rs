//! Sizes, record numbers, tree heads, and the complete subtrees that a tree is made of.
//!
//! A tree of n records is the row of its maximal complete subtrees, one for each bit of n, the largest first
//! (RFC 6962 section 2.1, <https://www.rfc-editor.org/rfc/rfc6962#section-2.1>).
//!
//! ```
//! use tlog::{Node, TreeSize, subtree_roots};
//! let roots = subtree_roots(TreeSize::new(6).unwrap());
//! assert_eq!(roots, [Node { level: 2, index: 0 }, Node { level: 1, index: 2 }]);
//! ```

use alloc::vec::Vec;
use core::fmt;

use crate::hash::{Hash, empty_root, node_hash};
use crate::limits::MAX_TREE_SIZE;

/// Not a size or record number, or not the hashes that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// Beyond [`MAX_TREE_SIZE`].
    #[error("{0} is more than the largest tree has, 2^62 records")]
    TooLarge(u64),
    /// A sign, a leading zero, a space, or no number at all.
    #[error("not a canonical decimal number: digits only, no leading zero")]
    NotCanonical,
    /// Another number of subtree hashes than the tree has.
    #[error("{given} subtree hashes were given where the tree has {wanted}")]
    WrongCount {
        /// As given.
        given: usize,
        /// As it must be.
        wanted: usize,
    },
}

/// How many records a tree has: 0 to 2^62.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeSize(pub(crate) u64);

/// The number of a record in the log, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub(crate) u64);

impl TreeSize {
    /// The empty tree.
    pub const ZERO: Self = Self(0);

    /// A size, unless it is beyond [`MAX_TREE_SIZE`].
    pub const fn new(size: u64) -> Result<Self, TreeError> {
        if size <= MAX_TREE_SIZE { Ok(Self(size)) } else { Err(TreeError::TooLarge(size)) }
    }

    /// The number of records.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether a tree of this size has the record.
    pub const fn contains(self, id: RecordId) -> bool {
        id.0 < self.0
    }

    /// Parses a canonical decimal.
    pub fn parse(text: &str) -> Result<Self, TreeError> {
        Self::new(parse_decimal(text)?)
    }
}

impl RecordId {
    /// A record number, unless no tree can have it.
    pub const fn new(id: u64) -> Result<Self, TreeError> {
        if id < MAX_TREE_SIZE { Ok(Self(id)) } else { Err(TreeError::TooLarge(id)) }
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Parses a canonical decimal: `+5`, `007` and `-7` are refused.
    pub fn parse(text: &str) -> Result<Self, TreeError> {
        Self::new(parse_decimal(text)?)
    }
}

/// Digits only, and no leading zero but in `0`: one spelling for one number.
pub(crate) fn parse_decimal(text: &str) -> Result<u64, TreeError> {
    let canonical = text == "0" || !text.starts_with('0');
    if !canonical || text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TreeError::NotCanonical);
    }
    text.parse().map_err(|_| TreeError::NotCanonical)
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a log claims: so many records, with this root. Unverified; see [`crate::SignedCheckpoint`].
#[doc(alias = "Tree")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// How many records.
    pub size: TreeSize,
    /// The root hash.
    pub root: Hash,
}

/// A complete subtree: over the records `index << level` to `(index + 1) << level`, the last not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// 0 for a leaf.
    pub level: u8,
    /// Its number among the nodes of its level, from the left.
    pub index: u64,
}

/// The maximal complete subtrees of a tree, from left to right.
pub fn subtree_roots(size: TreeSize) -> Vec<Node> {
    range_nodes(0, size.get())
}

/// The complete subtrees over the records `from..to`. `from` must be a multiple of the largest power of two in the length.
pub(crate) fn range_nodes(from: u64, to: u64) -> Vec<Node> {
    let (mut from, length) = (from, to - from);
    let mut nodes = Vec::with_capacity(length.count_ones() as usize);
    for level in (0..64_u8).rev().filter(|level| length >> level & 1 == 1) {
        nodes.push(Node { level, index: from >> level });
        from += 1 << level;
    }
    nodes
}

/// The root of a tree from the hashes of its [`subtree_roots`], in the same order.
pub fn root_from_subtrees(size: TreeSize, hashes: &[Hash]) -> Result<Hash, TreeError> {
    let wanted = size.get().count_ones() as usize;
    if hashes.len() != wanted {
        return Err(TreeError::WrongCount { given: hashes.len(), wanted });
    }
    Ok(fold(hashes).unwrap_or_else(empty_root))
}

/// One hash over a row of subtrees that get smaller to the right.
pub(crate) fn fold(hashes: &[Hash]) -> Option<Hash> {
    hashes.iter().rev().copied().reduce(|right, left| node_hash(&left, &right))
}
