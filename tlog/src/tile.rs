//! Tiles: blocks of hashes of the tree, which clients can cache.
//!
//! `tile/H/L/NNN[.p/W]`: height H, level L, index N, and the width W of a partial tile. The tile contains the nodes at tree
//! level H·L from index N·2^H on; the nodes of the H − 1 levels above are computed from them. N is written in groups of
//! three digits, all but the last prefixed with `x` (<https://c2sp.org/tlog-tiles>; paths of the checksum database also
//! contain the height, <https://go.dev/design/25530-sumdb>).
//!
//! ```
//! use tlog::Tile;
//! let tile = Tile::parse("tile/8/0/x001/x234/067.p/5").unwrap();
//! assert_eq!((tile.level(), tile.index(), tile.width()), (0, 1_234_067, 5));
//! assert_eq!(tile.full().to_string(), "tile/8/0/x001/x234/067");
//! assert!(Tile::parse("tile/8/0/x000/001").is_err());
//! ```

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::hash::{Hash, node_hash};
use crate::limits::{MAX_TILE_HEIGHT, MAX_TREE_SIZE};
use crate::mismatch::Mismatch;
use crate::tree::{Node, TreeSize, parse_decimal};

/// The number of tree levels in a tile: 1 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileHeight(u8);

/// The coordinates of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    height: TileHeight,
    level: u8,
    index: u64,
    width: u32,
}

/// Why a tile is invalid or not authentic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TileError {
    /// Not a height of 1 to 8.
    #[error("invalid tile height: expected 1 to {MAX_TILE_HEIGHT}, found {0}")]
    BadHeight(u8),
    /// A level, index or width that no tree of at most 2^62 records has.
    #[error("the tile is outside the largest tree")]
    OutsideEveryTree,
    /// Not a canonical tile path.
    #[error("{0:?} is not a canonical tile path")]
    BadPath(String),
    /// The number of bytes does not fit the width.
    #[error("wrong number of bytes in {0}: {1}")]
    WrongLength(Tile, Mismatch<usize>),
    /// The number of tiles differs from the plan.
    #[error("wrong number of tiles: {0}")]
    WrongCount(Mismatch<usize>),
    /// The tiles at the right edge hash to another root.
    #[error("wrong root hash of the tiles: {0}")]
    WrongRoot(Mismatch<Hash>),
    /// A full tile hashes to another node than its parent tile contains.
    #[error("wrong hash of {0}: {1}")]
    WrongHash(Tile, Mismatch<Hash>),
    /// The plan lacks the parent of a tile, which is a bug in this library.
    #[error("bug: the plan has no parent of {0}")]
    NoParent(Tile),
}

impl TileHeight {
    /// The tile height of Go checksum databases: 8, for 256 hashes in a full tile.
    pub const SUMDB: Self = Self(8);

    /// Makes a height of 1 to 8.
    pub const fn new(height: u8) -> Result<Self, TileError> {
        if height >= 1 && height <= MAX_TILE_HEIGHT { Ok(Self(height)) } else { Err(TileError::BadHeight(height)) }
    }

    /// The number of levels.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The width of a full tile.
    pub const fn full_width(self) -> u32 {
        1 << self.0
    }
}

impl Tile {
    /// Makes a tile, if a tree of at most 2^62 records can contain it.
    pub fn new(height: TileHeight, level: u8, index: u64, width: u32) -> Result<Self, TileError> {
        let shift = u32::from(height.0) * u32::from(level);
        // The root of the largest tree is at level 62: with heights 1 and 2, that level has a tile of its own.
        if width == 0 || width > height.full_width() || shift > MAX_TREE_SIZE.ilog2() {
            return Err(TileError::OutsideEveryTree);
        }
        let most = MAX_TREE_SIZE >> shift;
        let end = index.checked_mul(u64::from(height.full_width())).and_then(|start| start.checked_add(width.into()));
        match end {
            Some(end) if end <= most => Ok(Self { height, level, index, width }),
            _ => Err(TileError::OutsideEveryTree),
        }
    }

    /// Parses a tile path, which must be in its canonical form.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let tile = parse_path(path).filter(|tile| tile.to_string() == path);
        tile.ok_or_else(|| TileError::BadPath(path.to_string()))
    }

    /// The number of tree levels in the tile.
    pub fn height(&self) -> TileHeight {
        self.height
    }

    /// The level in the tree of tiles. The hashes of the tile are nodes at tree level height · level.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// The position among the tiles of that level, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The number of hashes.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Whether the tile has 2^height hashes.
    pub fn is_full(&self) -> bool {
        self.width == self.height.full_width()
    }

    /// The same tile with its full width.
    #[must_use]
    pub fn full(&self) -> Self {
        Self { width: self.height.full_width(), ..*self }
    }

    /// The same tile with another width.
    pub fn with_width(&self, width: u32) -> Result<Self, TileError> {
        Self::new(self.height, self.level, self.index, width)
    }

    /// The length in bytes.
    pub fn byte_len(&self) -> usize {
        self.width as usize * Hash::LEN
    }

    /// The bytes of this tile, from those of the same tile with this or a larger width; `None` if `wider` is shorter, longer
    /// than a full tile, or not a whole number of hashes.
    pub fn cut<'b>(&self, wider: &'b [u8]) -> Option<&'b [u8]> {
        let whole = wider.len().is_multiple_of(Hash::LEN) && wider.len() <= self.full().byte_len();
        wider.get(..self.byte_len()).filter(|_| whole)
    }

    /// The tile as wide as a tree of `size` records has it; `None` if it would be empty.
    pub fn in_tree(height: TileHeight, level: u8, index: u64, size: TreeSize) -> Option<Self> {
        let row = size.get().checked_shr(u32::from(height.0) * u32::from(level))?;
        let left = row.checked_sub(index.checked_mul(u64::from(height.full_width()))?)?;
        let width = u32::try_from(left.min(u64::from(height.full_width()))).ok()?;
        Self::new(height, level, index, width).ok()
    }

    /// The tile that contains `node`, as wide as a tree of `size` records has it; `None` if the node is not complete in that
    /// tree.
    pub fn containing(height: TileHeight, node: Node, size: TreeSize) -> Option<Self> {
        let level = node.level / height.0;
        let above_row = node.level % height.0;
        let first = node.index.checked_mul(1 << above_row)?;
        let tile = Self::in_tree(height, level, first >> height.0, size)?;
        tile.range(node).map(|_| tile)
    }

    /// The hashes of this tile below `node`: position of the first one, and their number.
    pub(crate) fn range(&self, node: Node) -> Option<(usize, usize)> {
        if node.level / self.height.0 != self.level {
            return None;
        }
        let count = 1_u64 << (node.level % self.height.0);
        let first = node.index.checked_mul(count)?.checked_sub(self.index << self.height.0)?;
        let is_inside = first.checked_add(count)? <= u64::from(self.width);
        is_inside.then_some((usize::try_from(first).ok()?, usize::try_from(count).ok()?))
    }

    /// The nodes whose hashes the tile contains, from left to right.
    pub fn nodes(&self) -> Vec<Node> {
        let level = self.height.0 * self.level;
        let first = self.index << self.height.0;
        (first..first + u64::from(self.width)).map(|index| Node { level, index }).collect()
    }

    /// The tile that contains the hash of this full tile, as wide as a tree of `size` records has it.
    pub(crate) fn parent(&self, size: TreeSize) -> Option<Self> {
        Self::in_tree(self.height, self.level + 1, self.index >> self.height.0, size)
    }

    /// The root node of this tile, if the tile is full.
    pub(crate) fn as_node(&self) -> Node {
        Node { level: self.height.0 * (self.level + 1), index: self.index }
    }
}

/// The complete nodes above the hashes of a tile, computed once with a single allocation.
#[derive(Clone, Debug)]
pub(crate) struct InnerNodes {
    /// Level by level, the lowest first.
    nodes: Vec<Hash>,
    width: usize,
}

impl InnerNodes {
    /// Computes the nodes above the `width` hashes in `bytes`.
    pub(crate) fn above(bytes: &[u8], width: usize) -> Option<Self> {
        let mut nodes: Vec<Hash> = Vec::with_capacity(width);
        for i in 0..width / 2 {
            nodes.push(node_hash(&Hash::at(bytes, 2 * i)?, &Hash::at(bytes, 2 * i + 1)?));
        }
        let (mut begin, mut length) = (0, width / 2);
        while length > 1 {
            for i in 0..length / 2 {
                nodes.push(node_hash(&nodes[begin + 2 * i], &nodes[begin + 2 * i + 1]));
            }
            begin += length;
            length /= 2;
        }
        Some(Self { nodes, width })
    }

    /// The node over `count` hashes from `first`; `count` is a power of two of at least 2, and divides `first`.
    pub(crate) fn over(&self, first: usize, count: usize) -> Option<Hash> {
        let level = count.trailing_zeros();
        let below: usize = (1..level).map(|level| self.width >> level).sum();
        self.nodes.get(below + (first >> level)).copied()
    }
}

fn parse_path(path: &str) -> Option<Tile> {
    let rest = path.strip_prefix("tile/")?;
    let (height, rest) = rest.split_once('/')?;
    let (level, rest) = rest.split_once('/')?;
    let height = TileHeight::new(u8::try_from(parse_decimal(height).ok()?).ok()?).ok()?;
    let level = u8::try_from(parse_decimal(level).ok()?).ok()?;
    let (groups, width) = match rest.split_once(".p/") {
        Some((groups, width)) => (groups, u32::try_from(parse_decimal(width).ok()?).ok()?),
        None => (rest, height.full_width()),
    };
    let mut index = 0_u64;
    for group in groups.split('/') {
        let digits = group.strip_prefix('x').unwrap_or(group);
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    Tile::new(height, level, index, width).ok()
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/{}/", self.height.0, self.level)?;
        let mut thousands = Vec::new();
        let mut rest = self.index / 1000;
        while rest > 0 {
            thousands.push(rest % 1000);
            rest /= 1000;
        }
        for group in thousands.iter().rev() {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}
