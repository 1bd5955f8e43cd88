//! What is asked of a checksum database, as a value: the path below its address, read once and written once. Pure.
//!
//! <https://go.dev/design/25530-sumdb>.

use std::fmt;

use tlog::{Tile, TileError, TileHeight};

use gomodule::module::ModuleVersion;
use gomodule::proxy_request::{RequestError, module_path, module_version};

/// What is asked of a checksum database. Its `Display` is the escaped path below the address, without a leading `/`.
///
/// ```
/// use sumgate::upstream::database_request::DatabaseRequest;
/// for path in ["latest", "lookup/github.com/!azure/sdk@v1.0.0", "tile/8/0/x001/234.p/5"] {
///     assert_eq!(DatabaseRequest::parse(path).unwrap().to_string(), path);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DatabaseRequest {
    /// Whether a proxy passes the database on; a database itself is not asked that.
    Supported,
    /// The newest signed head.
    Latest,
    /// A record, and a signed head.
    Lookup(ModuleVersion),
    /// A tile of the hashes, of height 8.
    Tile(Tile),
}

/// Why a path asks for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseRequestError {
    /// It has not the form of any request, or names no module version.
    #[error(transparent)]
    Module(#[from] RequestError),
    /// Data tiles are asked for by nobody but mirrors of the whole log.
    #[error("not found: data tiles are not served")]
    DataTile,
    /// No tile.
    #[error("{0:?} is not a tile: {1}")]
    BadTile(String, TileError),
    /// A tile that the database does not have.
    #[error("{0:?} is not a tile: the checksum database has tiles of height 8 only")]
    Height(String),
}

impl DatabaseRequest {
    /// Reads an escaped path below the address of a database, without a leading `/`.
    pub fn parse(path: &str) -> Result<Self, DatabaseRequestError> {
        let nowhere = |path: &str| RequestError::NoSuchPath(path.to_owned());
        if let Some(name) = path.strip_prefix("lookup/") {
            let (module, version) = name.rsplit_once('@').ok_or_else(|| nowhere(name))?;
            return Ok(Self::Lookup(module_version(&module_path(module)?, version)?));
        }
        match path {
            "supported" => Ok(Self::Supported),
            "latest" => Ok(Self::Latest),
            _ if path.starts_with("tile/") => tile(path).map(Self::Tile),
            _ => Err(nowhere(path).into()),
        }
    }

    /// The most bytes that the answer may have; a tile may come whole. That of `supported` has no content that matters.
    pub fn max_len(&self) -> usize {
        match self {
            Self::Supported => 4 << 10,
            Self::Latest => tlog::limits::MAX_NOTE_LEN,
            Self::Lookup(_) => tlog::limits::MAX_LOOKUP_LEN,
            Self::Tile(tile) => tile.full().byte_len(),
        }
    }
}

fn tile(path: &str) -> Result<Tile, DatabaseRequestError> {
    if path.split('/').nth(2) == Some("data") {
        return Err(DatabaseRequestError::DataTile);
    }
    let tile = Tile::parse(path).map_err(|why| DatabaseRequestError::BadTile(path.to_owned(), why))?;
    if tile.height() == TileHeight::SUMDB { Ok(tile) } else { Err(DatabaseRequestError::Height(path.to_owned())) }
}

impl fmt::Display for DatabaseRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Supported => f.write_str("supported"),
            Self::Latest => f.write_str("latest"),
            Self::Lookup(module) => write!(f, "lookup/{}", escaped(module)),
            Self::Tile(tile) => tile.fmt(f),
        }
    }
}

/// `M@V` as it stands in urls and file names, upper case escaped.
pub(crate) fn escaped(module: &ModuleVersion) -> String {
    format!("{}@{}", module.path.escaped(), module.version.escaped())
}
