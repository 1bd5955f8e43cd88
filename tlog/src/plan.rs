//! Tile plans: which tiles to fetch for some nodes, and how they are authenticated.
//!
//! A plan has the tiles that contain the requested nodes, the tiles at the right edge of the tree, whose hashes give the
//! root, and all ancestors of these tiles, each as wide as the tree has it (<https://c2sp.org/tlog-tiles>). Therefore:
//!
//! - *all* hashes of a partial tile, which is always at the right edge, are inputs of the root;
//! - the hash of a full tile is in its parent, which is in the plan.
//!
//! So every tile is checked, in the way that its width decides. Go's verifier computed an offset where checking starts
//! instead, and skipped up to three tiles (CVE-2026-56865).

use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::hash::Hash;
use crate::inclusion::InclusionProof;
use crate::mismatch::Mismatch;
use crate::tile::{InnerNodes, Tile, TileError, TileHeight};
use crate::tree::{Node, RecordId, TreeHead, TreeSize, root_from_subtrees, subtree_roots};

/// The tiles to fetch for some nodes of the tree of a head.
#[derive(Clone, Debug)]
pub struct TilePlan {
    head: TreeHead,
    height: TileHeight,
    /// Parents before children, without duplicates.
    tiles: Vec<Tile>,
}

/// A node is outside the tree, or not complete in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tree of {size} records has no complete node {} at level {}", node.index, node.level)]
#[non_exhaustive]
pub struct PlanError {
    /// The node.
    pub node: Node,
    /// The size of the tree.
    pub size: TreeSize,
}

/// Tiles of which every byte was checked against a tree head. Only [`TilePlan::authenticate`] makes them.
#[derive(Clone, Debug)]
pub struct AuthenticTiles {
    head: TreeHead,
    height: TileHeight,
    tiles: Vec<Tile>,
    bytes: Vec<Vec<u8>>,
    inner: Vec<InnerNodes>,
}

impl TilePlan {
    /// Plans the tiles for `nodes` in the tree of `head`.
    pub fn new(head: TreeHead, height: TileHeight, nodes: &[Node]) -> Result<Self, PlanError> {
        let mut tiles = Vec::new();
        for node in subtree_roots(head.size).into_iter().chain(nodes.iter().copied()) {
            let outside = PlanError { node, size: head.size };
            let mut tile = Tile::containing(height, node, head.size).ok_or(outside)?;
            tiles.push(tile);
            while tile.is_full() {
                tile = tile.parent(head.size).ok_or(outside)?;
                tiles.push(tile);
            }
        }
        tiles.sort_unstable_by_key(order);
        tiles.dedup();
        Ok(Self { head, height, tiles })
    }

    /// The tiles to fetch, parents before children.
    pub fn tiles(&self) -> &[Tile] {
        &self.tiles
    }

    /// The tree head that the tiles are checked against.
    pub fn head(&self) -> &TreeHead {
        &self.head
    }

    /// Checks every byte of every tile. `bytes` has the tiles in the order of [`TilePlan::tiles`].
    pub fn authenticate<B: AsRef<[u8]>>(&self, bytes: &[B]) -> Result<AuthenticTiles, TileError> {
        if bytes.len() != self.tiles.len() {
            return Err(TileError::WrongCount(Mismatch { expected: self.tiles.len(), found: bytes.len() }));
        }
        for (tile, bytes) in self.tiles.iter().zip(bytes) {
            let (found, expected) = (bytes.as_ref().len(), tile.byte_len());
            if found != expected {
                return Err(TileError::WrongLength(*tile, Mismatch { expected, found }));
            }
        }
        let above = |(tile, own): (&Tile, &B)| InnerNodes::above(own.as_ref(), tile.width() as usize);
        let inner: Option<Vec<InnerNodes>> = self.tiles.iter().zip(bytes).map(above).collect();
        let inner = inner.ok_or(TileError::OutsideEveryTree)?;
        let bytes = bytes.iter().map(|bytes| bytes.as_ref().to_vec()).collect();
        let tiles = AuthenticTiles { head: self.head, height: self.height, tiles: self.tiles.clone(), bytes, inner };
        tiles.check()?;
        Ok(tiles)
    }
}

/// The order of the tiles of a plan.
fn order(tile: &Tile) -> (Reverse<u8>, u64) {
    (Reverse(tile.level()), tile.index())
}

impl AuthenticTiles {
    /// Checks the root of the tree, into which all hashes of the partial tiles go, and each full tile against its parent.
    fn check(&self) -> Result<(), TileError> {
        let roots = self.hashes(&subtree_roots(self.head.size)).ok_or(TileError::OutsideEveryTree)?;
        let found = root_from_subtrees(self.head.size, &roots).map_err(|_| TileError::OutsideEveryTree)?;
        if found != self.head.root {
            return Err(TileError::WrongRoot(Mismatch { expected: self.head.root, found }));
        }
        for (tile, own) in self.tiles.iter().zip(&self.inner).filter(|(tile, _)| tile.is_full()) {
            let expected = self.hash(tile.as_node()).ok_or(TileError::NoParent(*tile))?;
            let found = own.over(0, tile.width() as usize).ok_or(TileError::NoParent(*tile))?;
            if found != expected {
                return Err(TileError::WrongHash(*tile, Mismatch { expected, found }));
            }
        }
        Ok(())
    }

    /// The tree head that the tiles were checked against.
    pub fn head(&self) -> &TreeHead {
        &self.head
    }

    /// The tiles with their bytes.
    pub fn tiles(&self) -> impl Iterator<Item = (&Tile, &[u8])> {
        self.tiles.iter().zip(self.bytes.iter().map(Vec::as_slice))
    }

    /// The bytes of `tile`, if it is in the plan in this width.
    pub fn bytes(&self, tile: &Tile) -> Option<&[u8]> {
        self.position(tile).map(|at| self.bytes[at].as_slice())
    }

    fn position(&self, tile: &Tile) -> Option<usize> {
        let at = self.tiles.binary_search_by_key(&order(tile), order).ok()?;
        (self.tiles[at] == *tile).then_some(at)
    }

    /// The hash of a node, if one of the tiles contains it.
    pub fn hash(&self, node: Node) -> Option<Hash> {
        let tile = Tile::containing(self.height, node, self.head.size)?;
        let at = self.position(&tile)?;
        match tile.range(node)? {
            (first, 1) => Hash::at(&self.bytes[at], first),
            (first, count) => self.inner[at].over(first, count),
        }
    }

    /// The hashes of several nodes, in their order.
    pub(crate) fn hashes(&self, nodes: &[Node]) -> Option<Vec<Hash>> {
        nodes.iter().map(|node| self.hash(*node)).collect()
    }

    /// The inclusion proof of a record whose leaf the tiles were planned for.
    pub fn inclusion_proof(&self, id: RecordId) -> Option<InclusionProof> {
        let nodes = InclusionProof::nodes(id, self.head.size).ok()?;
        InclusionProof::prove(id, self.head.size, &self.hashes(&nodes)?).ok()
    }
}
