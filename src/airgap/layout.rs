//! The names in an export: those of a module proxy that also serves the checksum databases.
//!
//! ```text
//! M/@v/V.{info,mod,zip}              `go help goproxy`
//! M/@v/list                          the versions whose zip is there
//! M/@latest                          the .info of the newest version, whose .mod and .info are there, too
//! sumdb/NAME/supported               an empty file: a client of this folder asks for the database here
//! sumdb/NAME/latest                  the signed tree head
//! sumdb/NAME/lookup/M@V              a record, and the head again
//! sumdb/NAME/tile/8/LEVEL/INDEX…     tiles (https://go.dev/design/25530-sumdb)
//! SHA256SUMS                         the list of contents (`content_list`)
//! ```
//!
//! A name has one spelling: a parsed name is formatted again and compared. So a name with `..`, with a second escaping, or
//! with anything else that a file system may read as another name, is invalid.

use crate::upstream::database_request::DatabaseRequest;
use gomodule::proxy_request::Request;

/// The longest name. Module paths and versions are much shorter.
pub(crate) const MAX_NAME: usize = 1024;
/// Entries of an export. A go.sum of the largest monorepos has ten thousand versions, with three files, a record and a tile each.
pub(crate) const MAX_ENTRIES: usize = 200_000;

/// The name of the list of contents.
pub(super) const LIST: &str = "SHA256SUMS";
/// The longest list: as many entries, with names of 250 bytes.
pub(super) const MAX_LIST: u64 = 64 << 20;

/// An entry of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExportEntry {
    /// A file of a module version, the `.info` of the newest one, or the list of versions.
    Module(Request),
    /// The signed tree head, a record or a tile of the named database.
    Database(String, DatabaseRequest),
    /// The list of contents.
    List,
}

/// Why a name is not one of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    #[error("is longer than {MAX_NAME} bytes")]
    TooLong,
    #[error("is of an unknown database: name it with --sumdb")]
    UnknownDatabase,
    #[error("is not a name that an export has")]
    Unknown,
}

impl ExportEntry {
    /// Parses a name; `databases` are the names of the known databases.
    pub(crate) fn parse(name: &str, databases: &[String]) -> Result<Self, NameError> {
        if name.len() > MAX_NAME {
            return Err(NameError::TooLong);
        }
        let entry = if name == LIST {
            Some(Self::List)
        } else if let Some(rest) = name.strip_prefix("sumdb/") {
            let of = |database: &&String| rest.strip_prefix(database.as_str()).is_some_and(|r| r.starts_with('/'));
            let database = databases.iter().find(of).ok_or(NameError::UnknownDatabase)?;
            let request = DatabaseRequest::parse(&rest[database.len() + 1..]).ok();
            request.map(|request| Self::Database(database.clone(), request))
        } else {
            let request = Request::parse(name).ok();
            request.filter(|it| !matches!(it, Request::Query(..))).map(Self::Module)
        };
        entry.filter(|entry| entry.name() == name).ok_or(NameError::Unknown)
    }

    /// The only spelling of its name.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Module(request) => request.to_string(),
            Self::Database(database, request) => format!("sumdb/{database}/{request}"),
            Self::List => LIST.to_owned(),
        }
    }

    pub(crate) fn max_len(&self) -> u64 {
        match self {
            Self::Module(request) => request.max_len() as u64,
            Self::Database(_, DatabaseRequest::Tile(tile)) => tile.byte_len() as u64,
            Self::Database(_, request) => request.max_len() as u64,
            Self::List => MAX_LIST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        let databases = ["localhost.localdev/sumdb".to_owned()];
        for name in [
            "example.com/!upper/@v/v1.0.0.mod",
            "example.com/!upper/@latest",
            "example.com/!upper/@v/list",
            "SHA256SUMS",
            "sumdb/localhost.localdev/sumdb/supported",
            "sumdb/localhost.localdev/sumdb/latest",
            "sumdb/localhost.localdev/sumdb/lookup/example.com/!upper@v1.0.0",
            "sumdb/localhost.localdev/sumdb/tile/8/0/x001/234.p/56",
        ] {
            assert_eq!(ExportEntry::parse(name, &databases).map(|entry| entry.name()), Ok(name.to_owned()));
        }
        for name in [
            "",
            "../example.com/a/@v/v1.0.0.zip",
            "/example.com/a/@v/v1.0.0.mod",
            "example.com/a/../a/@v/v1.0.0.mod",
            "example.com/./a/@v/v1.0.0.mod",
            "example.com//a/@v/v1.0.0.mod",
            "example.com/Upper/@v/v1.0.0.mod",
            "example.com/a/@v/v1.0.0.mod/",
            "example.com/a/@v/v1.0.0.ziphash",
            "example.com/a/@v/main.info",
            "example.com\\a/@v/v1.0.0.mod",
            "sumdb/localhost.localdev/sumdb",
            "sumdb/localhost.localdev/sumdb/../latest",
            "sumdb/other.example/latest",
            "sumdb/localhost.localdev/sumdb/tile/8/0/1",
            "sumdb/localhost.localdev/sumdb/tile/8/data/000",
            "sha256sums",
        ] {
            assert!(ExportEntry::parse(name, &databases).is_err(), "{name}");
        }
        assert!(ExportEntry::parse(&format!("example.com/{}/@v/v1.0.0.mod", "a".repeat(2000)), &databases).is_err());
    }
}
