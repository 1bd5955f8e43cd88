//! A log in memory, to which records can be appended.

use alloc::vec::Vec;

use crate::hash::{Hash, empty_root, leaf_hash, node_hash};
use crate::tile::Tile;
use crate::tree::{Node, RecordId, TreeHead, TreeSize, root_from_subtrees, subtree_roots};

/// A log in memory, for tests and for programs that run a log.
#[derive(Clone, Debug, Default)]
pub struct MemoryTree {
    /// The complete nodes of each level; level 0 has the leaves.
    levels: Vec<Vec<Hash>>,
}

impl MemoryTree {
    /// Makes an empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a record.
    pub fn append(&mut self, text: &[u8]) -> RecordId {
        self.append_leaf(leaf_hash(text))
    }

    /// Appends a record by its leaf hash.
    pub fn append_leaf(&mut self, leaf: Hash) -> RecordId {
        let id = self.size().get();
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let row = &mut self.levels[level];
            row.push(hash);
            if row.len() % 2 == 1 {
                break;
            }
            hash = node_hash(&row[row.len() - 2], &row[row.len() - 1]);
        }
        RecordId(id)
    }

    /// The number of records.
    pub fn size(&self) -> TreeSize {
        TreeSize(self.levels.first().map_or(0, |leaves| leaves.len() as u64))
    }

    /// The current tree head.
    pub fn head(&self) -> TreeHead {
        self.head_at(self.size()).unwrap_or(TreeHead { size: TreeSize::ZERO, root: empty_root() })
    }

    /// The tree head of the first `size` records; `None` if there are fewer.
    pub fn head_at(&self, size: TreeSize) -> Option<TreeHead> {
        let hashes: Option<Vec<Hash>> = subtree_roots(size).into_iter().map(|node| self.hash(node)).collect();
        Some(TreeHead { size, root: root_from_subtrees(size, &hashes?).ok()? })
    }

    /// The hash of a node; `None` if its subtree is not complete yet.
    pub fn hash(&self, node: Node) -> Option<Hash> {
        self.levels.get(usize::from(node.level))?.get(usize::try_from(node.index).ok()?).copied()
    }

    /// The bytes of a tile; `None` if the tree does not have it in that width.
    pub fn tile(&self, tile: &Tile) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(tile.byte_len());
        for node in tile.nodes() {
            bytes.extend_from_slice(self.hash(node)?.as_bytes());
        }
        Some(bytes)
    }
}
