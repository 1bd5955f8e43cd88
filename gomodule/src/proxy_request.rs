//! Requests of the GOPROXY protocol: the paths below GOPROXY (<https://go.dev/ref/mod#goproxy-protocol>).
//!
//! The folder of a `file://` proxy and the download folder of the module cache have the same file names.

use std::fmt;

use crate::artifact::{Artifact, Kind};
use crate::module::{ModulePath, ModuleVersion, ModuleVersionError, PathError, Query, Version, VersionError};

/// Largest version list, in bytes: half a million versions. The largest known list has a few thousand.
const MAX_LIST: usize = 8 << 20;

/// A request to a module proxy. Its `Display` is the escaped path below GOPROXY, without a leading `/`.
///
/// ```
/// use gomodule::proxy_request::{Request, RequestError};
/// // Upper case is escaped as `!` and lower case.
/// let request = Request::parse("github.com/!azure/azure-sdk-for-go/@v/list").unwrap();
/// assert_eq!(request.module().to_string(), "github.com/Azure/azure-sdk-for-go");
/// assert_eq!(request.to_string(), "github.com/!azure/azure-sdk-for-go/@v/list");
/// assert!(matches!(Request::parse("golang.org/x/text/@latest"), Ok(Request::Latest(_))));
/// assert!(matches!(Request::parse("golang.org/x/text/@v/v0.3.0.zip"), Ok(Request::File(_))));
/// assert!(matches!(Request::parse("golang.org/x/text/@v/master.info"), Ok(Request::Query(..))));
/// // Only `.info` can be requested for a query.
/// assert!(matches!(Request::parse("golang.org/x/text/@v/master.zip"), Err(RequestError::BadVersion(..))));
/// assert!(matches!(Request::parse("github.com/Azure/sdk/@latest"), Err(RequestError::BadModule(..))));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// `M/@v/list`: the tagged versions, one per line.
    List(ModulePath),
    /// `M/@latest`: the `.info` of the newest version.
    Latest(ModulePath),
    /// `M/@v/QUERY.info`, for a query that is not a canonical version of the module.
    Query(ModulePath, Query),
    /// `M/@v/V.info`, `.mod` or `.zip`.
    File(Artifact),
}

/// Why a path is not a valid request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Not the form of any request.
    #[error("not found: {0:?} is not a path of a Go module proxy or checksum database")]
    NoSuchPath(String),
    /// The module path is invalid.
    #[error("{0:?} is not a Go module path: {1}")]
    BadModule(String, PathError),
    /// The version is not canonical.
    #[error("{1:?} is not a version of {0}: {2}")]
    BadVersion(ModulePath, String, ModuleVersionError),
    /// The version is canonical, and the module cannot have it: its major version does not match the path.
    #[error("not found: {0} cannot have the version {1}: {2}")]
    NoSuchVersion(ModulePath, String, ModuleVersionError),
    /// Neither a version nor a query.
    #[error("invalid request for a version of {0}: {1}")]
    BadQuery(ModulePath, VersionError),
}

impl Request {
    /// Parses an escaped path below GOPROXY, without a leading `/`.
    pub fn parse(path: &str) -> Result<Self, RequestError> {
        if let Some(module) = path.strip_suffix("/@latest") {
            return Ok(Self::Latest(module_path(module)?));
        }
        let nowhere = || RequestError::NoSuchPath(path.to_owned());
        let (module, file) = path.split_once("/@v/").ok_or_else(nowhere)?;
        let module = module_path(module)?;
        if file == "list" {
            return Ok(Self::List(module));
        }
        let (version, extension) = file.rsplit_once('.').ok_or_else(nowhere)?;
        let mut kinds = [Kind::Info, Kind::Mod, Kind::Zip].into_iter();
        let kind = kinds.find(|kind| kind.extension() == extension).ok_or_else(nowhere)?;
        match module_version(&module, version) {
            Ok(module) => Ok(Self::File(Artifact { module, kind })),
            // Only `.info` can be requested for queries: branches, hashes, prefixes, `v2.0.0` of a module without `/v2`.
            Err(error) if kind == Kind::Info && may_be_query(&module, version, &error) => {
                match Query::unescape(version) {
                    Ok(query) => Ok(Self::Query(module, query)),
                    Err(why) => Err(RequestError::BadQuery(module, why)),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// The requested module.
    pub fn module(&self) -> &ModulePath {
        match self {
            Self::List(module) | Self::Latest(module) | Self::Query(module, _) => module,
            Self::File(artifact) => &artifact.module.path,
        }
    }

    /// The largest answer, in bytes.
    pub fn max_len(&self) -> usize {
        match self {
            Self::List(_) => MAX_LIST,
            Self::Latest(_) | Self::Query(..) => Kind::Info.max_len(),
            Self::File(artifact) => artifact.kind.max_len(),
        }
    }

    /// The requested file of a version, if it is one.
    pub fn file(self) -> Option<Artifact> {
        if let Self::File(artifact) = self { Some(artifact) } else { None }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(module) => write!(f, "{}/@v/list", module.escaped()),
            Self::Latest(module) => write!(f, "{}/@latest", module.escaped()),
            Self::Query(module, query) => write!(f, "{}/@v/{}.info", module.escaped(), query.escaped()),
            Self::File(artifact) => f.write_str(&artifact.path()),
        }
    }
}

/// A file of a module version in the download folder of a module cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cached {
    /// The go.mod file.
    Mod,
    /// The module zip.
    Zip,
    /// The h1 of the zip (`.ziphash`), which `go` writes when it unpacks the zip.
    ZipHash,
}

/// Parses the path of such a file below `cache/download`; `None` for other files, such as locks and lists.
pub fn cached(name: &str) -> Option<(ModuleVersion, Cached)> {
    if let Some(version) = name.strip_suffix(".ziphash") {
        return Some((Request::parse(&format!("{version}.zip")).ok()?.file()?.module, Cached::ZipHash));
    }
    let Artifact { module, kind } = Request::parse(name).ok()?.file()?;
    match kind {
        Kind::Mod => Some((module, Cached::Mod)),
        Kind::Zip => Some((module, Cached::Zip)),
        Kind::Info => None,
    }
}

/// Parses an escaped module path.
pub fn module_path(escaped: &str) -> Result<ModulePath, RequestError> {
    ModulePath::unescape(escaped).map_err(|why| RequestError::BadModule(escaped.to_owned(), why))
}

/// Parses an escaped version of a module.
pub fn module_version(path: &ModulePath, escaped: &str) -> Result<ModuleVersion, RequestError> {
    let version = Version::unescape(escaped).map_err(ModuleVersionError::from);
    version.and_then(|version| ModuleVersion::new(path.clone(), version)).map_err(|why| {
        let error = if without_incompatible(escaped).is_some() {
            RequestError::NoSuchVersion
        } else {
            RequestError::BadVersion
        };
        error(path.clone(), escaped.to_owned(), why)
    })
}

/// The canonical version in this text, without `+incompatible`.
fn without_incompatible(escaped: &str) -> Option<Version> {
    Version::unescape(escaped.strip_suffix("+incompatible").unwrap_or(escaped)).ok()
}

/// Whether `.info` of a text that is not a version of the module can have an answer. A canonical version is resolved to itself, or
/// to its `+incompatible` form.
fn may_be_query(path: &ModulePath, escaped: &str, error: &RequestError) -> bool {
    let RequestError::NoSuchVersion(..) = error else { return true };
    let incompatible =
        without_incompatible(escaped).and_then(|version| Version::parse(&format!("{version}+incompatible")).ok());
    !escaped.ends_with("+incompatible")
        && incompatible.is_some_and(|version| ModuleVersion::new(path.clone(), version).is_ok())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_request_prints_as_parsed() {
        for path in [
            "example.com/!up/@v/list",
            "example.com/!up/@latest",
            "example.com/!up/@v/main.info",
            "example.com/!up/@v/v2.0.0.info",
            "example.com/!up/@v/v1.0.0-!r!c.info",
            "example.com/!up/@v/v1.0.0.mod",
            "example.com/!up/@v/v2.0.0+incompatible.zip",
        ] {
            let request = Request::parse(path).unwrap();
            assert_eq!((request.to_string().as_str(), request.module().as_ref()), (path, "example.com/Up"));
        }
    }

    #[test]
    fn a_version_that_the_module_cannot_have_is_one_error_for_all_files() {
        for (path, version) in [
            ("example.com/a/v2", "v1.0.0"),
            ("example.com/a/v2", "v3.0.0-rc.1"),
            ("example.com/a/v2", "v2.0.0+incompatible"),
            ("example.com/a", "v1.0.0+incompatible"),
            ("gopkg.in/a.v2", "v3.0.0"),
            ("gopkg.in/a.v2", "v2.0.0+incompatible"),
            ("gopkg.in/a.v2", "v0.0.0-20200101000000-0123456789ab"),
        ] {
            for kind in ["info", "mod", "zip"] {
                let error = Request::parse(&format!("{path}/@v/{version}.{kind}")).unwrap_err();
                assert!(matches!(error, RequestError::NoSuchVersion(..)), "{path}@{version}.{kind}: {error}");
            }
        }
        // `go` may resolve it to v2.0.0+incompatible.
        assert!(matches!(Request::parse("example.com/a/@v/v2.0.0.info"), Ok(Request::Query(..))));
        assert!(matches!(Request::parse("example.com/a/@v/v2.0.0.zip"), Err(RequestError::NoSuchVersion(..))));
    }

    #[test]
    fn invalid_requests_have_a_reason() {
        for path in ["", "supported", "example.com/a", "example.com/a/@v/v1.0.0", "example.com/a/@v/v1.0.0.exe"] {
            assert_eq!(Request::parse(path), Err(RequestError::NoSuchPath(path.to_owned())));
        }
        for path in ["-x/@v/list", "Example.com/a/@latest", "example.com/../a/@v/v1.0.0.mod"] {
            assert!(matches!(Request::parse(path), Err(RequestError::BadModule(..))), "{path}");
        }
        for file in ["main.zip", "v1.0.0-01.mod", "a b.zip"] {
            let path = format!("example.com/a/@v/{file}");
            assert!(matches!(Request::parse(&path), Err(RequestError::BadVersion(..))), "{path}");
        }
        for file in ["..info", "v1.0.0/../x.info", "Main.info"] {
            let path = format!("example.com/a/@v/{file}");
            let error = Request::parse(&path).unwrap_err();
            assert!(matches!(error, RequestError::BadQuery(..)), "{path}");
            assert!(error.to_string().contains("is not a version query: "), "{error}");
        }
    }
}
