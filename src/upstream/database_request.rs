//! A request to a checksum database: the path below its address, parsed and formatted. Pure.
//!
//! <https://go.dev/design/25530-sumdb>.

use std::fmt;

use tlog::{Tile, TileError, TileHeight};

use gomodule::module::ModuleVersion;
use gomodule::proxy_request::{RequestError, module_path, module_version};

/// A request to a checksum database. Its `Display` is the escaped path below the address, without a leading `/`.
///
/// ```
/// use sumgate::upstream::database_request::DatabaseRequest;
/// for path in ["latest", "lookup/github.com/!azure/sdk@v1.0.0", "tile/8/0/x001/234.p/5"] {
///     assert_eq!(DatabaseRequest::parse(path).unwrap().to_string(), path);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DatabaseRequest {
    /// Whether a proxy passes the database on. Only sent to proxies.
    Supported,
    /// The newest signed tree head.
    Latest,
    /// A record and a signed tree head.
    Lookup(ModuleVersion),
    /// A tile of hashes, of height 8.
    Tile(Tile),
}

/// Why a path is not a valid request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseRequestError {
    /// An unknown form, or an invalid module version.
    #[error(transparent)]
    Module(#[from] RequestError),
    /// Only mirrors of the whole log request data tiles.
    #[error("not found: data tiles are not served")]
    DataTile,
    /// Not a valid tile.
    #[error("{0:?} is not a valid tile: {1}")]
    BadTile(String, TileError),
    /// A tile of another height.
    #[error("{0:?} is not a valid tile: the checksum database has tiles of height 8 only")]
    Height(String),
}

impl DatabaseRequest {
    /// Parses an escaped path below the address of a database, without a leading `/`.
    pub fn parse(path: &str) -> Result<Self, DatabaseRequestError> {
        let unknown = |path: &str| RequestError::NoSuchPath(path.to_owned());
        if let Some(name) = path.strip_prefix("lookup/") {
            let (module, version) = name.rsplit_once('@').ok_or_else(|| unknown(name))?;
            return Ok(Self::Lookup(module_version(&module_path(module)?, version)?));
        }
        match path {
            "supported" => Ok(Self::Supported),
            "latest" => Ok(Self::Latest),
            _ if path.starts_with("tile/") => tile(path).map(Self::Tile),
            _ => Err(unknown(path).into()),
        }
    }

    /// Limit of the answer, in bytes; a full tile may answer the request for a partial one. The body of `supported` is ignored.
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

/// `M@V` as in URLs and file names, with upper case escaped.
pub(crate) fn escaped(module: &ModuleVersion) -> String {
    format!("{}@{}", module.path.escaped(), module.version.escaped())
}
