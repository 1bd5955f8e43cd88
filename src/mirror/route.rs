//! Stage `route`: the path of a request → what is asked for. Pure.
//!
//! The GOPROXY protocol (`go help goproxy`), the database behind it (`go help module-auth`), and the database alone at
//! the root, for `GOSUMDB="NAME URL"`. Paths are percent-decoded once, then `!`-unescaped: `%21x`, `!x` and, behind a
//! base path, either. What is malformed is refused with its own reason; nothing is guessed or cleaned up.

use percent_encoding::percent_decode_str;
use tlog::{Tile, TileHeight};

use crate::artifact::{Artifact, Kind};
use crate::fault::Fault;
use crate::module::{ModulePath, ModuleVersion, Query, Version};

/// Twice the longest path that `go` can ask for: module paths and versions have bounds of their own below this.
const MAX_PATH: usize = 2048;

/// The prefix of all paths of the mirror: empty, or `/a/b`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

/// Not usable as a base path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the base path {0:?} cannot be used: write /like/this, letters, digits, '-', '_', '.' and '~' only")]
pub struct BasePathError(String);

impl BasePath {
    /// Parses `/a/b`, with or without the outer slashes.
    pub fn parse(text: &str) -> Result<Self, BasePathError> {
        let trimmed = text.trim_matches('/');
        if trimmed.is_empty() {
            return Ok(Self::default());
        }
        let plain = |element: &str| {
            !matches!(element, "" | "." | "..")
                && element.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b))
        };
        if trimmed.split('/').all(plain) {
            Ok(Self(format!("/{trimmed}")))
        } else {
            Err(BasePathError(text.to_owned()))
        }
    }

    /// Empty, or `/a/b`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The mirror itself.
    Home,
    /// A file of a version.
    File(Artifact),
    /// `@v/QUERY.info`, where the query is no canonical version.
    Query(ModulePath, Query),
    /// `@v/list`.
    List(ModulePath),
    /// `@latest`.
    Latest(ModulePath),
    /// Something of the database with this index.
    Sumdb(usize, SumdbRoute),
}

/// What is asked of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SumdbRoute {
    Supported,
    Latest,
    Lookup(ModuleVersion),
    Tile(Tile),
}

/// Why a path leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// Nothing lives there.
    #[error("not found: {0:?} is no path of a Go module proxy or checksum database")]
    NoSuchPath(String),
    /// A database that this mirror does not serve. 404 sends `go` on to the next proxy, or to the database itself.
    #[error("not found: this mirror serves no checksum database at {0:?}")]
    NoSuchDatabase(String),
    /// Data tiles are asked for by nobody but mirrors of the whole log.
    #[error("not found: data tiles are not served")]
    DataTile,
    /// Longer than any path `go` asks for.
    #[error("the path is longer than {MAX_PATH} bytes")]
    TooLong,
    /// Not UTF-8 behind the percent signs.
    #[error("the path is not UTF-8 once it is percent-decoded")]
    NotUtf8,
    /// A percent sign without two hex digits.
    #[error("the path has a '%' without two hex digits behind it")]
    BadPercent,
    /// NUL, another control character, or a backslash.
    #[error("the path has a character that no path may have: {0:?}")]
    BadCharacter(char),
    /// An encoded `/` would make one element look like two.
    #[error("the path has an encoded '/' (%2F)")]
    EncodedSlash,
    /// `..`, `.` or an empty element, encoded or not.
    #[error("the path has an element {0:?}; write the path out")]
    BadElement(String),
    /// No Go module path.
    #[error("{path:?} is not a Go module path: {why}")]
    BadModule {
        /// As asked.
        path: String,
        /// Which rule.
        why: String,
    },
    /// No version, or not for this path.
    #[error("{version:?} is not a version of {path}: {why}")]
    BadVersion {
        /// The module.
        path: String,
        /// As asked.
        version: String,
        /// Which rule.
        why: String,
    },
    /// No tile.
    #[error("{tile:?} is not a tile: {why}")]
    BadTile {
        /// As asked.
        tile: String,
        /// Which rule.
        why: String,
    },
}

impl RouteError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoSuchPath(_) | Self::NoSuchDatabase(_) | Self::DataTile => Fault::NotServed,
            _ => Fault::Request,
        }
    }
}

/// Finds out what `raw`, the path as it stands in the request, asks for. `databases` are the names, first one first.
pub(super) fn route(raw: &str, base: &BasePath, databases: &[&str]) -> Result<Route, RouteError> {
    let path = decode(raw)?;
    let Some(path) = path.strip_prefix(base.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
        return Err(RouteError::NoSuchPath(path));
    };
    let path = path.strip_prefix('/').unwrap_or_default();
    if path.is_empty() {
        return Ok(Route::Home);
    }
    if let Some(rest) = path.strip_prefix("sumdb/") {
        // Names may contain `/`, so one may be a prefix of another: the longest that fits.
        let named = databases
            .iter()
            .enumerate()
            .filter_map(|(i, name)| Some((i, *name, rest.strip_prefix(name)?.strip_prefix('/')?)))
            .max_by_key(|(_, name, _)| name.len());
        return match named {
            Some((i, _, rest)) => Ok(Route::Sumdb(i, sumdb(rest, true)?)),
            None => Err(RouteError::NoSuchDatabase(rest.to_owned())),
        };
    }
    if path == "latest" || path.starts_with("lookup/") || path.starts_with("tile/") {
        return Ok(Route::Sumdb(0, sumdb(path, false)?));
    }
    module(path)
}

/// Percent-decodes once, and refuses what could be read in two ways.
fn decode(raw: &str) -> Result<String, RouteError> {
    if raw.len() > MAX_PATH {
        return Err(RouteError::TooLong);
    }
    for (at, _) in raw.match_indices('%') {
        let digits = raw.get(at + 1..at + 3).ok_or(RouteError::BadPercent)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(RouteError::BadPercent);
        }
        if digits.eq_ignore_ascii_case("2f") {
            return Err(RouteError::EncodedSlash);
        }
    }
    let path = percent_decode_str(raw).decode_utf8().map_err(|_| RouteError::NotUtf8)?;
    if let Some(bad) = path.chars().find(|c| c.is_control() || *c == '\\') {
        return Err(RouteError::BadCharacter(bad));
    }
    if path != "/" {
        let elements = path.strip_prefix('/').unwrap_or(&path).trim_end_matches('/');
        if let Some(bad) = elements.split('/').find(|element| matches!(*element, "" | "." | "..")) {
            return Err(RouteError::BadElement(bad.to_owned()));
        }
    }
    Ok(path.into_owned())
}

fn sumdb(path: &str, behind_proxy: bool) -> Result<SumdbRoute, RouteError> {
    match path {
        "supported" if behind_proxy => return Ok(SumdbRoute::Supported),
        "latest" => return Ok(SumdbRoute::Latest),
        _ => {}
    }
    if let Some(name) = path.strip_prefix("lookup/") {
        let (path, version) = name.rsplit_once('@').ok_or_else(|| RouteError::NoSuchPath(name.to_owned()))?;
        return Ok(SumdbRoute::Lookup(module_version(&module_path(path)?, version)?));
    }
    if path.starts_with("tile/") {
        return tile(path).map(SumdbRoute::Tile);
    }
    Err(RouteError::NoSuchPath(path.to_owned()))
}

fn tile(path: &str) -> Result<Tile, RouteError> {
    if path.split('/').nth(2) == Some("data") {
        return Err(RouteError::DataTile);
    }
    let bad = |why: String| RouteError::BadTile { tile: path.to_owned(), why };
    let tile = Tile::parse(path).map_err(|error| bad(error.to_string()))?;
    if tile.height() != TileHeight::SUMDB {
        return Err(bad("the checksum database has tiles of height 8 only".to_owned()));
    }
    Ok(tile)
}

fn module(path: &str) -> Result<Route, RouteError> {
    if let Some(module) = path.strip_suffix("/@latest") {
        return Ok(Route::Latest(module_path(module)?));
    }
    let nowhere = || RouteError::NoSuchPath(path.to_owned());
    let (module, file) = path.split_once("/@v/").ok_or_else(nowhere)?;
    let module = module_path(module)?;
    if file == "list" {
        return Ok(Route::List(module));
    }
    let (version, extension) = file.rsplit_once('.').ok_or_else(nowhere)?;
    let kind = match extension {
        "info" => Kind::Info,
        "mod" => Kind::Mod,
        "zip" => Kind::Zip,
        _ => return Err(nowhere()),
    };
    match module_version(&module, version) {
        Ok(module) => Ok(Route::File(Artifact { module, kind })),
        // Only `.info` takes queries: branches, hashes, prefixes, and `v2.0.0` of a module without `/v2`.
        Err(error) if kind == Kind::Info => {
            Query::unescape(version).map(|query| Route::Query(module, query)).map_err(|_| error)
        }
        Err(error) => Err(error),
    }
}

fn module_path(escaped: &str) -> Result<ModulePath, RouteError> {
    let bad =
        |error: &dyn std::fmt::Display| RouteError::BadModule { path: escaped.to_owned(), why: error.to_string() };
    ModulePath::unescape(escaped).map_err(|error| bad(&error))
}

fn module_version(path: &ModulePath, escaped: &str) -> Result<ModuleVersion, RouteError> {
    let bad = |error: &dyn std::fmt::Display| RouteError::BadVersion {
        path: path.to_string(),
        version: escaped.to_owned(),
        why: error.to_string(),
    };
    let version = Version::unescape(escaped).map_err(|error| bad(&error))?;
    ModuleVersion::new(path.clone(), version).map_err(|error| bad(&error))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const DATABASES: [&str; 2] = ["localhost.localdev/sumdb", "localhost.localdev"];

    fn at(path: &str) -> Result<Route, RouteError> {
        route(path, &BasePath::default(), &DATABASES)
    }

    fn file(module: &str, kind: Kind) -> Route {
        Route::File(Artifact { module: ModuleVersion::parse(module).unwrap(), kind })
    }

    #[test]
    fn the_goproxy_protocol() {
        assert_eq!(at("/example.com/a/@v/v1.0.0.zip"), Ok(file("example.com/a@v1.0.0", Kind::Zip)));
        assert_eq!(at("/example.com/!up/@v/v1.0.0.mod"), Ok(file("example.com/Up@v1.0.0", Kind::Mod)));
        assert_eq!(at("/example.com/%21up/@v/v1.0.0.info"), Ok(file("example.com/Up@v1.0.0", Kind::Info)));
        let path = ModulePath::parse("example.com/a").unwrap();
        assert_eq!(at("/example.com/a/@v/list"), Ok(Route::List(path.clone())));
        assert_eq!(at("/example.com/a/@latest"), Ok(Route::Latest(path.clone())));
        assert!(matches!(at("/example.com/a/@v/main.info"), Ok(Route::Query(..))));
        assert!(matches!(at("/example.com/a/@v/v2.0.0.info"), Ok(Route::Query(..))));
        assert!(matches!(at("/example.com/a/@v/main.zip"), Err(RouteError::BadVersion { .. })));
        assert_eq!(at("/"), Ok(Route::Home));
    }

    #[test]
    fn the_database_by_name_and_at_the_root() {
        let supported = Route::Sumdb(0, SumdbRoute::Supported);
        assert_eq!(at("/sumdb/localhost.localdev/sumdb/supported"), Ok(supported));
        assert_eq!(at("/sumdb/localhost.localdev/latest"), Ok(Route::Sumdb(1, SumdbRoute::Latest)));
        assert_eq!(at("/latest"), Ok(Route::Sumdb(0, SumdbRoute::Latest)));
        let lookup = SumdbRoute::Lookup(ModuleVersion::parse("example.com/Up@v1.0.0").unwrap());
        assert_eq!(at("/lookup/example.com/!up@v1.0.0"), Ok(Route::Sumdb(0, lookup)));
        assert!(matches!(at("/tile/8/0/x001/234.p/5"), Ok(Route::Sumdb(0, SumdbRoute::Tile(_)))));
        assert!(matches!(at("/tile/8/0/x1/234"), Err(RouteError::BadTile { .. })));
        assert!(matches!(at("/tile/4/0/001"), Err(RouteError::BadTile { .. })));
        assert_eq!(at("/tile/8/data/001"), Err(RouteError::DataTile));
        assert!(matches!(at("/sumdb/sum.golang.org/supported"), Err(RouteError::NoSuchDatabase(_))));
        assert!(matches!(at("/supported"), Err(RouteError::NoSuchPath(_))));
    }

    #[test]
    fn a_base_path_is_part_of_every_path() {
        let base = BasePath::parse("go/mirror/").unwrap();
        assert_eq!(base.as_str(), "/go/mirror");
        assert_eq!(route("/go/mirror/latest", &base, &DATABASES), Ok(Route::Sumdb(0, SumdbRoute::Latest)));
        assert_eq!(route("/go/mirror", &base, &DATABASES), Ok(Route::Home));
        assert!(matches!(route("/latest", &base, &DATABASES), Err(RouteError::NoSuchPath(_))));
        assert!(matches!(route("/go/mirrored/latest", &base, &DATABASES), Err(RouteError::NoSuchPath(_))));
        assert!(BasePath::parse("/a/../b").is_err() && BasePath::parse("/a b").is_err());
    }

    #[test]
    fn malformed_paths_each_have_their_own_reason() {
        assert_eq!(at("/example.com/../@v/list"), Err(RouteError::BadElement("..".to_owned())));
        assert_eq!(at("/example.com/%2e%2E/@v/list"), Err(RouteError::BadElement("..".to_owned())));
        assert_eq!(at("/example.com//a/@v/list"), Err(RouteError::BadElement(String::new())));
        assert_eq!(at("/example.com/a%00/@v/list"), Err(RouteError::BadCharacter('\0')));
        assert_eq!(at("/example.com/a%5cb/@v/list"), Err(RouteError::BadCharacter('\\')));
        assert_eq!(at("/example.com%2Fa/@v/list"), Err(RouteError::EncodedSlash));
        assert_eq!(at("/example.com/%zz/@v/list"), Err(RouteError::BadPercent));
        assert_eq!(at("/example.com/%"), Err(RouteError::BadPercent));
        assert_eq!(at("/example.com/%ff/@v/list"), Err(RouteError::NotUtf8));
        assert_eq!(at(&format!("/{}", "a".repeat(MAX_PATH))), Err(RouteError::TooLong));
        assert!(matches!(at("/Example.com/a/@v/list"), Err(RouteError::BadModule { .. })));
        assert!(matches!(at("/example.com/%252e/@v/list"), Err(RouteError::BadModule { .. })));
        assert!(matches!(at("/example.com/a/@v/v1.0.0.exe"), Err(RouteError::NoSuchPath(_))));
    }
}
