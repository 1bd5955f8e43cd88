//! Which tiles a question needs, and the check that makes them worth reading.
//!
//! A plan has the tiles that hold the wanted nodes, the tiles at the right edge, which together hash to the root, and
//! every tile on the way from a wanted one up to the edge. All are as wide as the tree has them
//! (<https://c2sp.org/tlog-tiles>). Then:
//!
//! - a partial tile lies at the right edge, and *all* its hashes go into the root;
//! - a full tile has exactly one parent in the plan, whose row holds its hash.
//!
//! So the kind of a tile says how it is checked, and no tile is left over. The reference verifier counted where to begin
//! instead, and skipped up to three tiles (CVE-2026-56865).

use alloc::vec::Vec;

use crate::hash::Hash;
use crate::inclusion::InclusionProof;
use crate::tile::{InnerNodes, Tile, TileError, TileHeight};
use crate::tree::{Node, RecordId, TreeHead, root_from_subtrees, subtree_roots};

/// The tiles that are needed to know some nodes of the tree of a head.
#[derive(Clone, Debug)]
pub struct TilePlan {
    head: TreeHead,
    height: TileHeight,
    /// Parents before children, and no tile twice.
    tiles: Vec<Tile>,
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A node that the tree does not have, or not completely.
    #[error("the tree of {size} records has no complete node {} at level {}", node.index, node.level)]
    OutsideTree {
        /// The node.
        node: Node,
        /// The size of the tree.
        size: crate::tree::TreeSize,
    },
}

/// Tiles whose every byte was checked against a tree head. Only [`TilePlan::authenticate`] makes them.
#[derive(Clone, Debug)]
pub struct AuthenticTiles {
    head: TreeHead,
    height: TileHeight,
    tiles: Vec<Tile>,
    bytes: Vec<Vec<u8>>,
    inner: Vec<InnerNodes>,
}

impl TilePlan {
    /// Plans for `nodes` in the tree of `head`.
    pub fn new(head: TreeHead, height: TileHeight, nodes: &[Node]) -> Result<Self, PlanError> {
        let mut tiles = Vec::new();
        for node in subtree_roots(head.size).into_iter().chain(nodes.iter().copied()) {
            let outside = PlanError::OutsideTree { node, size: head.size };
            let mut tile = Tile::containing(height, node, head.size).ok_or(outside)?;
            tiles.push(tile);
            while tile.is_full() {
                tile = tile.parent(head.size).ok_or(outside)?;
                tiles.push(tile);
            }
        }
        tiles.sort_unstable_by_key(|tile| (core::cmp::Reverse(tile.level()), tile.index()));
        tiles.dedup();
        Ok(Self { head, height, tiles })
    }

    /// The tiles, parents before children.
    pub fn tiles(&self) -> &[Tile] {
        &self.tiles
    }

    /// The head they are checked against.
    pub fn head(&self) -> &TreeHead {
        &self.head
    }

    /// Checks every byte of every tile. `bytes` are in the order of [`TilePlan::tiles`].
    pub fn authenticate<B: AsRef<[u8]>>(&self, bytes: &[B]) -> Result<AuthenticTiles, TileError> {
        if bytes.len() != self.tiles.len() {
            return Err(TileError::WrongCount { given: bytes.len(), wanted: self.tiles.len() });
        }
        for (tile, bytes) in self.tiles.iter().zip(bytes) {
            let (found, expected) = (bytes.as_ref().len(), tile.byte_len());
            if found != expected {
                return Err(TileError::WrongLength { tile: *tile, found, expected });
            }
        }
        let above = |(tile, own): (&Tile, &B)| InnerNodes::above(own.as_ref(), tile.width() as usize);
        let inner: Option<Vec<InnerNodes>> = self.tiles.iter().zip(bytes).map(above).collect();
        let inner = inner.ok_or(TileError::OutsideEveryTree)?;
        let bytes = bytes.iter().map(|bytes| bytes.as_ref().to_vec()).collect();
        let read = AuthenticTiles { head: self.head, height: self.height, tiles: self.tiles.clone(), bytes, inner };
        read.check()?;
        Ok(read)
    }
}

fn position(tiles: &[Tile], tile: &Tile) -> Option<usize> {
    let key = |tile: &Tile| (core::cmp::Reverse(tile.level()), tile.index());
    tiles.binary_search_by_key(&key(tile), key).ok()
}

impl AuthenticTiles {
    /// The partial tiles are exactly those that hold the subtree roots, and those roots cover all their hashes; a full tile
    /// is what its parent says.
    fn check(&self) -> Result<(), TileError> {
        let roots = self.hashes(&subtree_roots(self.head.size)).ok_or(TileError::OutsideEveryTree)?;
        let found = root_from_subtrees(self.head.size, &roots).map_err(|_| TileError::OutsideEveryTree)?;
        if found != self.head.root {
            return Err(TileError::WrongRoot { found, expected: self.head.root });
        }
        for (tile, own) in self.tiles.iter().zip(&self.inner).filter(|(tile, _)| tile.is_full()) {
            let expected = self.hash(tile.as_node()).ok_or(TileError::NoParent(*tile))?;
            let found = own.over(0, tile.width() as usize).ok_or(TileError::NoParent(*tile))?;
            if found != expected {
                return Err(TileError::WrongHash { tile: *tile, found, expected });
            }
        }
        Ok(())
    }

    /// The head they were checked against.
    pub fn head(&self) -> &TreeHead {
        &self.head
    }

    /// The tiles with their bytes.
    pub fn tiles(&self) -> impl Iterator<Item = (&Tile, &[u8])> {
        self.tiles.iter().zip(self.bytes.iter().map(Vec::as_slice))
    }

    /// The bytes of `tile`, in the width that the tree has.
    pub fn bytes(&self, tile: &Tile) -> Option<&[u8]> {
        position(&self.tiles, tile).filter(|at| self.tiles[*at] == *tile).map(|at| self.bytes[at].as_slice())
    }

    /// The hash of a node, if one of the tiles holds it.
    pub fn hash(&self, node: Node) -> Option<Hash> {
        let tile = Tile::containing(self.height, node, self.head.size)?;
        let at = position(&self.tiles, &tile).filter(|at| self.tiles[*at] == tile)?;
        match tile.range(node)? {
            (first, 1) => Hash::at(&self.bytes[at], first),
            (first, count) => self.inner[at].over(first, count),
        }
    }

    /// The hashes of several nodes, in their order.
    pub(crate) fn hashes(&self, nodes: &[Node]) -> Option<Vec<Hash>> {
        nodes.iter().map(|node| self.hash(*node)).collect()
    }

    /// The inclusion proof of a record for which the tiles were planned.
    pub fn inclusion_proof(&self, id: RecordId) -> Option<InclusionProof> {
        let nodes = InclusionProof::nodes(id, self.head.size).ok()?;
        InclusionProof::prove(id, self.head.size, &self.hashes(&nodes)?).ok()
    }
}
