//! Stage `route`: the path of a request → what it asks for. Pure.
//!
//! The GOPROXY protocol (`go help goproxy`), the database below `/sumdb/` (`go help module-auth`), and the first database also at
//! the root, for `GOSUMDB="NAME URL"`. Paths are percent-decoded once, then `!`-unescaped. Each kind of invalid path has its
//! own error; nothing is guessed or cleaned up, except that several `/` count as one.

use percent_encoding::percent_decode_str;

use crate::base::fault::Fault;
use crate::sumdb::DatabaseId;
use crate::upstream::database_request::{DatabaseRequest, DatabaseRequestError};
use gomodule::proxy_request::{Request, RequestError};

/// Twice the longest path that `go` can send. Module paths and versions have lower bounds of their own.
const MAX_PATH: usize = 2048;

/// The prefix of all paths of the mirror: empty, or `/a/b`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BasePath(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the base path {0:?} is invalid: expected /like/this, with letters, digits, '-', '_', '.' and '~' only")]
pub(crate) struct BasePathError(String);

impl BasePath {
    /// Parses `/a/b`, with or without the outer slashes.
    pub(crate) fn parse(text: &str) -> Result<Self, BasePathError> {
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

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The mirror itself.
    Home,
    Module(Request),
    Database(DatabaseId, DatabaseRequest),
}

/// Why a path is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RouteError {
    /// After 404 `go` asks the next proxy, or the database itself.
    #[error("not found: this mirror does not serve a checksum database at {0:?}")]
    NoSuchDatabase(String),
    #[error("the path is longer than {MAX_PATH} bytes")]
    TooLong,
    #[error("the path is not UTF-8 once it is percent-decoded")]
    NotUtf8,
    #[error("the path has a '%' without two hex digits after it")]
    BadPercent,
    #[error("the path has the invalid character {0:?}")]
    BadCharacter(char),
    /// An encoded `/` would make one element look like two.
    #[error("the path has an encoded '/' (%2F)")]
    EncodedSlash,
    #[error("the path has the invalid element {0:?}")]
    BadElement(String),
    #[error(transparent)]
    Module(#[from] RequestError),
    #[error(transparent)]
    Database(#[from] DatabaseRequestError),
}

impl RouteError {
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::NoSuchDatabase(_) | Self::Database(DatabaseRequestError::DataTile) => Fault::NotServed,
            Self::Module(error) | Self::Database(DatabaseRequestError::Module(error)) => match error {
                RequestError::NoSuchPath(_) | RequestError::NoSuchVersion(..) => Fault::NotServed,
                _ => Fault::Request,
            },
            _ => Fault::Request,
        }
    }
}

/// What `raw`, the path of a request as it was sent, asks for. `databases` are the names.
pub(crate) fn route(raw: &str, base: &BasePath, databases: &[(DatabaseId, &str)]) -> Result<Route, RouteError> {
    let path = decode(raw)?;
    let Some(path) = path.strip_prefix(base.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
        return Err(RequestError::NoSuchPath(path).into());
    };
    let path = path.strip_prefix('/').unwrap_or_default();
    if path.is_empty() {
        return Ok(Route::Home);
    }
    if let Some(rest) = path.strip_prefix("sumdb/") {
        // Names may contain `/`, so one may be a prefix of another: the longest match counts.
        let named = databases
            .iter()
            .filter_map(|(id, name)| Some((*id, *name, rest.strip_prefix(name)?.strip_prefix('/')?)))
            .max_by_key(|(_, name, _)| name.len());
        return match named {
            Some((id, _, rest)) => Ok(Route::Database(id, DatabaseRequest::parse(rest)?)),
            None => Err(RouteError::NoSuchDatabase(rest.to_owned())),
        };
    }
    if path == "latest" || path.starts_with("lookup/") || path.starts_with("tile/") {
        return Ok(Route::Database(DatabaseId::FIRST, DatabaseRequest::parse(path)?));
    }
    Ok(Route::Module(Request::parse(path)?))
}

/// Percent-decodes once, and refuses ambiguous paths.
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
    let mut path = percent_decode_str(raw).decode_utf8().map_err(|_| RouteError::NotUtf8)?.into_owned();
    // A proxy in front of the mirror may join two paths with one `/` too many.
    let mut last = None;
    path.retain(|c| last.replace(c) != Some('/') || c != '/');
    if let Some(bad) = path.chars().find(|c| c.is_control() || *c == '\\') {
        return Err(RouteError::BadCharacter(bad));
    }
    if path != "/" {
        let elements = path.strip_prefix('/').unwrap_or(&path).trim_end_matches('/');
        if let Some(bad) = elements.split('/').find(|element| matches!(*element, "" | "." | "..")) {
            return Err(RouteError::BadElement(bad.to_owned()));
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use gomodule::artifact::{Artifact, Kind};
    use gomodule::module::{ModulePath, ModuleVersion};

    const DATABASES: [(DatabaseId, &str); 2] =
        [(DatabaseId::FIRST, "localhost.localdev/sumdb"), (DatabaseId::nth(1), "localhost.localdev")];

    fn at(path: &str) -> Result<Route, RouteError> {
        route(path, &BasePath::default(), &DATABASES)
    }

    fn file(module: &str, kind: Kind) -> Route {
        Route::Module(Request::File(Artifact { module: ModuleVersion::parse(module).unwrap(), kind }))
    }

    #[test]
    fn the_goproxy_protocol() {
        assert_eq!(at("/example.com/a/@v/v1.0.0.zip"), Ok(file("example.com/a@v1.0.0", Kind::Zip)));
        assert_eq!(at("/example.com/!up/@v/v1.0.0.mod"), Ok(file("example.com/Up@v1.0.0", Kind::Mod)));
        assert_eq!(at("/example.com/%21up/@v/v1.0.0.info"), Ok(file("example.com/Up@v1.0.0", Kind::Info)));
        let path = ModulePath::parse("example.com/a").unwrap();
        assert_eq!(at("/example.com/a/@v/list"), Ok(Route::Module(Request::List(path.clone()))));
        assert_eq!(at("/example.com/a/@latest"), Ok(Route::Module(Request::Latest(path.clone()))));
        assert!(matches!(at("/example.com/a/@v/main.info"), Ok(Route::Module(Request::Query(..)))));
        assert!(matches!(at("/example.com/a/@v/v2.0.0.info"), Ok(Route::Module(Request::Query(..)))));
        assert!(matches!(at("/example.com/a/@v/main.zip"), Err(RouteError::Module(RequestError::BadVersion(..)))));
        assert_eq!(at("/"), Ok(Route::Home));
        assert_eq!(at("//"), Ok(Route::Home));
        assert_eq!(at("//example.com///a//@v/v1.0.0.zip"), Ok(file("example.com/a@v1.0.0", Kind::Zip)));
    }

    #[test]
    fn the_database_is_served_by_name_and_at_the_root() {
        let supported = Route::Database(DatabaseId::FIRST, DatabaseRequest::Supported);
        assert_eq!(at("/sumdb/localhost.localdev/sumdb/supported"), Ok(supported));
        assert_eq!(
            at("/sumdb/localhost.localdev/latest"),
            Ok(Route::Database(DatabaseId::nth(1), DatabaseRequest::Latest))
        );
        assert_eq!(at("/latest"), Ok(Route::Database(DatabaseId::FIRST, DatabaseRequest::Latest)));
        let lookup = DatabaseRequest::Lookup(ModuleVersion::parse("example.com/Up@v1.0.0").unwrap());
        assert_eq!(at("/lookup/example.com/!up@v1.0.0"), Ok(Route::Database(DatabaseId::FIRST, lookup)));
        assert!(matches!(
            at("/tile/8/0/x001/234.p/5"),
            Ok(Route::Database(DatabaseId::FIRST, DatabaseRequest::Tile(_)))
        ));
        assert!(matches!(at("/tile/8/0/x1/234"), Err(RouteError::Database(DatabaseRequestError::BadTile(..)))));
        assert!(matches!(at("/tile/4/0/001"), Err(RouteError::Database(DatabaseRequestError::Height(_)))));
        assert_eq!(at("/tile/8/data/001"), Err(DatabaseRequestError::DataTile.into()));
        assert!(matches!(at("/sumdb/sum.golang.org/supported"), Err(RouteError::NoSuchDatabase(_))));
        assert!(matches!(at("/supported"), Err(RouteError::Module(RequestError::NoSuchPath(_)))));
    }

    #[test]
    fn a_base_path_is_part_of_every_path() {
        let base = BasePath::parse("go/mirror/").unwrap();
        assert_eq!(base.as_str(), "/go/mirror");
        assert_eq!(
            route("/go/mirror/latest", &base, &DATABASES),
            Ok(Route::Database(DatabaseId::FIRST, DatabaseRequest::Latest))
        );
        assert_eq!(route("/go/mirror", &base, &DATABASES), Ok(Route::Home));
        assert!(matches!(route("/latest", &base, &DATABASES), Err(RouteError::Module(RequestError::NoSuchPath(_)))));
        assert!(matches!(
            route("/go/mirrored/latest", &base, &DATABASES),
            Err(RouteError::Module(RequestError::NoSuchPath(_)))
        ));
        assert!(BasePath::parse("/a/../b").is_err() && BasePath::parse("/a b").is_err());
    }

    #[test]
    fn each_kind_of_invalid_path_has_its_own_error() {
        assert_eq!(at("/example.com/../@v/list"), Err(RouteError::BadElement("..".to_owned())));
        assert_eq!(at("/example.com/%2e%2E/@v/list"), Err(RouteError::BadElement("..".to_owned())));
        assert_eq!(at("//example.com/..//@v/list"), Err(RouteError::BadElement("..".to_owned())));
        assert_eq!(at("/example.com/a%00/@v/list"), Err(RouteError::BadCharacter('\0')));
        assert_eq!(at("/example.com/a%5cb/@v/list"), Err(RouteError::BadCharacter('\\')));
        assert_eq!(at("/example.com%2Fa/@v/list"), Err(RouteError::EncodedSlash));
        assert_eq!(at("/example.com/%zz/@v/list"), Err(RouteError::BadPercent));
        assert_eq!(at("/example.com/%"), Err(RouteError::BadPercent));
        assert_eq!(at("/example.com/%ff/@v/list"), Err(RouteError::NotUtf8));
        assert_eq!(at(&format!("/{}", "a".repeat(MAX_PATH))), Err(RouteError::TooLong));
        assert!(matches!(at("/Example.com/a/@v/list"), Err(RouteError::Module(RequestError::BadModule(..)))));
        assert!(matches!(at("/example.com/%252e/@v/list"), Err(RouteError::Module(RequestError::BadModule(..)))));
        assert!(matches!(at("/example.com/a/@v/v1.0.0.exe"), Err(RouteError::Module(RequestError::NoSuchPath(_)))));
    }
}
