//! Tree sizes, record numbers, tree heads, and the complete subtrees of a tree.
//!
//! A tree of n records consists of one maximal complete subtree for each bit set in n, the largest first
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
use crate::mismatch::Mismatch;

/// Why a tree size, a record number or a list of subtree hashes is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// Above [`MAX_TREE_SIZE`].
    #[error("{0} is above the largest tree size, 2^62")]
    TooLarge(u64),
    /// Not only digits, or with a leading zero.
    #[error("expected a decimal number without sign or leading zeros")]
    NotCanonical,
    /// The number of hashes differs from the number of subtrees.
    #[error("wrong number of subtree hashes: {0}")]
    WrongCount(Mismatch<usize>),
}

/// The number of records in a tree: 0 to 2^62.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeSize(pub(crate) u64);

/// The number of a record in the log, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub(crate) u64);

impl TreeSize {
    /// The empty tree.
    pub const ZERO: Self = Self(0);

    /// Makes a size of at most [`MAX_TREE_SIZE`].
    pub const fn new(size: u64) -> Result<Self, TreeError> {
        if size <= MAX_TREE_SIZE { Ok(Self(size)) } else { Err(TreeError::TooLarge(size)) }
    }

    /// The number of records.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether a tree of this size contains the record.
    pub const fn contains(self, id: RecordId) -> bool {
        id.0 < self.0
    }

    /// Parses a decimal number without sign or leading zeros.
    pub fn parse(text: &str) -> Result<Self, TreeError> {
        Self::new(parse_decimal(text)?)
    }
}

impl RecordId {
    /// Makes a record number below [`MAX_TREE_SIZE`].
    pub const fn new(id: u64) -> Result<Self, TreeError> {
        if id < MAX_TREE_SIZE { Ok(Self(id)) } else { Err(TreeError::TooLarge(id)) }
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Parses a decimal number without sign or leading zeros: `+5`, `007` and `-7` are invalid.
    pub fn parse(text: &str) -> Result<Self, TreeError> {
        Self::new(parse_decimal(text)?)
    }
}

/// Parses digits without a leading zero, so that every number has one spelling.
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

/// A claim that the log has `size` records and this root hash. Unverified; see [`crate::SignedCheckpoint`].
#[doc(alias = "Tree")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// The number of records.
    pub size: TreeSize,
    /// The root hash.
    pub root: Hash,
}

impl fmt::Display for TreeHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records with root {}", self.size, self.root)
    }
}

/// A complete subtree: the records from `index << level` up to, but not including, `(index + 1) << level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// The level above the leaves; 0 for a leaf.
    pub level: u8,
    /// The position among the nodes of that level, from 0.
    pub index: u64,
}

/// The maximal complete subtrees of a tree of `size` records, from left to right.
pub fn subtree_roots(size: TreeSize) -> Vec<Node> {
    range_nodes(0, size.get())
}

/// The complete subtrees of the records `from..to`; `from` must be a multiple of the largest power of two in the length.
pub(crate) fn range_nodes(from: u64, to: u64) -> Vec<Node> {
    let (mut from, length) = (from, to - from);
    let mut nodes = Vec::with_capacity(length.count_ones() as usize);
    for level in (0..64_u8).rev().filter(|level| length >> level & 1 == 1) {
        nodes.push(Node { level, index: from >> level });
        from += 1 << level;
    }
    nodes
}

/// Computes the root of a tree from the hashes of its [`subtree_roots`], in that order.
pub fn root_from_subtrees(size: TreeSize, hashes: &[Hash]) -> Result<Hash, TreeError> {
    let (found, expected) = (hashes.len(), size.get().count_ones() as usize);
    if found != expected {
        return Err(TreeError::WrongCount(Mismatch { expected, found }));
    }
    Ok(fold(hashes).unwrap_or_else(empty_root))
}

/// The root over adjacent subtrees whose sizes decrease to the right; `None` without any.
pub(crate) fn fold(hashes: &[Hash]) -> Option<Hash> {
    hashes.iter().rev().copied().reduce(|right, left| node_hash(&left, &right))
}
