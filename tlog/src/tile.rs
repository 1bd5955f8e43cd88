//! Tiles: the hashes of the tree in pieces that can be cached.
//!
//! `tile/H/L/NNN[.p/W]`: height H, level L, number N, width W if it is not full. The tile holds the row of nodes of
//! tree level H·L from number N·2^H on; the H − 1 levels above that row are computed from it. N is written in groups of
//! three digits, all but the last with an `x` (<https://c2sp.org/tlog-tiles>; the height in the path is the checksum
//! database's form, <https://go.dev/design/25530-sumdb>).
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
use crate::tree::{Node, TreeSize, parse_decimal};

/// How many levels of the tree a tile spans: 1 to 8.
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

/// What is wrong with a tile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TileError {
    /// Not a height of 1 to 8.
    #[error("no tile has height {0}; heights are 1 to {MAX_TILE_HEIGHT}")]
    BadHeight(u8),
    /// A level, number or width that no tree of at most 2^62 records has.
    #[error("no tree has such a tile")]
    OutsideEveryTree,
    /// Not a canonical tile path.
    #[error("{0:?} is not a canonical tile path")]
    BadPath(String),
    /// Fewer or more bytes than the tile has.
    #[error("{tile} has {found} bytes instead of {expected}")]
    WrongLength {
        /// Which tile.
        tile: Tile,
        /// As found.
        found: usize,
        /// As it must be.
        expected: usize,
    },
    /// Another number of tiles than was planned.
    #[error("{given} tiles were given where {wanted} were planned")]
    WrongCount {
        /// As given.
        given: usize,
        /// As planned.
        wanted: usize,
    },
    /// The tiles at the right edge lead to another root.
    #[error("the tiles lead to the root {found}, and the tree head says {expected}")]
    WrongRoot {
        /// Where the tiles lead.
        found: Hash,
        /// What the head says.
        expected: Hash,
    },
    /// A full tile has another hash than its parent tile says.
    #[error("{tile} has the hash {found}, and its parent says {expected}")]
    WrongHash {
        /// Which tile.
        tile: Tile,
        /// Its hash.
        found: Hash,
        /// What the parent says.
        expected: Hash,
    },
    /// A plan without a tile that it needs; a fault of this library.
    #[error("the plan has no parent for {0}")]
    NoParent(Tile),
}

impl TileHeight {
    /// The height of the checksum database's tiles, 8: 256 hashes.
    pub const SUMDB: Self = Self(8);

    /// A height of 1 to 8.
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
    /// The tile with these coordinates, if some tree has it.
    pub fn new(height: TileHeight, level: u8, index: u64, width: u32) -> Result<Self, TileError> {
        let shift = u32::from(height.0) * u32::from(level);
        // 2^62 records have one root, at level 62: with heights 1 and 2 that level is a row of tiles of its own.
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

    /// Parses a path. Only the one canonical spelling of a tile is accepted.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let tile = parse_path(path).ok_or_else(|| TileError::BadPath(path.to_string()))?;
        if tile.to_string() == path { Ok(tile) } else { Err(TileError::BadPath(path.to_string())) }
    }

    /// Levels that it spans.
    pub fn height(&self) -> TileHeight {
        self.height
    }

    /// Its level, in tiles; its row is tree level height · level.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Its number in its level.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes it has.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Whether it has all its hashes.
    pub fn is_full(&self) -> bool {
        self.width == self.height.full_width()
    }

    /// The same tile, full.
    #[must_use]
    pub fn full(&self) -> Self {
        Self { width: self.height.full_width(), ..*self }
    }

    /// The same tile with another width.
    pub fn with_width(&self, width: u32) -> Result<Self, TileError> {
        Self::new(self.height, self.level, self.index, width)
    }

    /// Its length in bytes.
    pub fn byte_len(&self) -> usize {
        self.width as usize * Hash::LEN
    }

    /// This tile's bytes from those of the same tile with at least this width; `None` if they are fewer, or not whole
    /// hashes, or more than a full tile has.
    pub fn cut<'b>(&self, wider: &'b [u8]) -> Option<&'b [u8]> {
        let whole = wider.len().is_multiple_of(Hash::LEN) && wider.len() <= self.full().byte_len();
        wider.get(..self.byte_len()).filter(|_| whole)
    }

    /// The widest form of a tile in a tree; `None` if the tree does not reach it.
    pub fn in_tree(height: TileHeight, level: u8, index: u64, size: TreeSize) -> Option<Self> {
        let row = size.get().checked_shr(u32::from(height.0) * u32::from(level))?;
        let left = row.checked_sub(index.checked_mul(u64::from(height.full_width()))?)?;
        let width = u32::try_from(left.min(u64::from(height.full_width()))).ok()?;
        Self::new(height, level, index, width).ok()
    }

    /// The tile that holds `node`, as wide as a tree has it; `None` if the node is not complete in that tree.
    pub fn containing(height: TileHeight, node: Node, size: TreeSize) -> Option<Self> {
        let level = node.level / height.0;
        let above_row = node.level % height.0;
        let first = node.index.checked_mul(1 << above_row)?;
        let tile = Self::in_tree(height, level, first >> height.0, size)?;
        tile.range(node).map(|_| tile)
    }

    /// Where `node` lies in the row of this tile: first hash, number of hashes.
    pub(crate) fn range(&self, node: Node) -> Option<(usize, usize)> {
        if node.level / self.height.0 != self.level {
            return None;
        }
        let count = 1_u64 << (node.level % self.height.0);
        let first = node.index.checked_mul(count)?.checked_sub(self.index << self.height.0)?;
        let fits = first.checked_add(count)? <= u64::from(self.width);
        if fits { Some((usize::try_from(first).ok()?, usize::try_from(count).ok()?)) } else { None }
    }

    /// The nodes of its row, from left to right.
    pub fn nodes(&self) -> Vec<Node> {
        let level = self.height.0 * self.level;
        let first = self.index << self.height.0;
        (first..first + u64::from(self.width)).map(|index| Node { level, index }).collect()
    }

    /// The tile in whose row this full tile's hash stands, as wide as a tree has it.
    pub(crate) fn parent(&self, size: TreeSize) -> Option<Self> {
        Self::in_tree(self.height, self.level + 1, self.index >> self.height.0, size)
    }

    /// The node that this tile is, when it is full.
    pub(crate) fn as_node(&self) -> Node {
        Node { level: self.height.0 * (self.level + 1), index: self.index }
    }
}

/// Every complete node above the row of a tile, computed once. One allocation for a tile, none for a hash.
#[derive(Clone, Debug)]
pub(crate) struct InnerNodes {
    /// Level after level, from the one above the row.
    nodes: Vec<Hash>,
    width: usize,
}

impl InnerNodes {
    /// Computes the nodes above a row of `width` hashes.
    pub(crate) fn above(row: &[u8], width: usize) -> Option<Self> {
        let mut nodes: Vec<Hash> = Vec::with_capacity(width);
        for i in 0..width / 2 {
            nodes.push(node_hash(&Hash::at(row, 2 * i)?, &Hash::at(row, 2 * i + 1)?));
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

    /// The node over `count` hashes from `first`; `count` is a power of two above one, and `first` a multiple of it.
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
    let (number, width) = match rest.split_once(".p/") {
        Some((number, width)) => (number, u32::try_from(parse_decimal(width).ok()?).ok()?),
        None => (rest, height.full_width()),
    };
    let mut index = 0_u64;
    for group in number.split('/') {
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
