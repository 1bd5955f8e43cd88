//! What there is to check, and how many findings about it are reported.

use std::path::Path;

use crate::finding::{Change, Code, Finding, Place, Unaudited};
use gomodule::artifact::Kind;
use gomodule::gosum::AnyHash;
use gomodule::module::ModuleVersion;

/// Findings of one kind in one file: more are not fixed by hand, and a file of 16 MiB may have 8 million malformed lines. Our
/// own choice.
pub(super) const MAX_FINDINGS: usize = 100;

/// What there is to check, in the order of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A hash to compare with the record.
    Hash(FoundHash),
    /// A module version that `go` would download, without a hash.
    Named(NamedModule),
    /// A fault that needs no lookup.
    Finding(Finding),
    /// Something that cannot be checked, with or without a lookup.
    Unchecked(Unaudited),
    /// A module that is taken in another version than at the base: nothing to check by itself.
    Change(Change),
}

/// A hash of one file of a module version, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundHash {
    /// The line, or the file of the module cache.
    pub place: Place,
    /// The module version.
    pub module: ModuleVersion,
    /// Its zip or its go.mod.
    pub kind: Kind,
    /// The hash.
    pub hash: AnyHash,
}

impl FoundHash {
    /// Whether it is that of a file in the module cache, and not a line.
    pub(super) fn is_cached(&self) -> bool {
        self.place.line.is_none()
    }
}

/// A module version that a `go` or `toolchain` line names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedModule {
    /// The line.
    pub place: Place,
    /// The module version.
    pub module: ModuleVersion,
    /// The text of the line.
    pub line: String,
}

/// Reports how many findings of a file are not listed.
pub(super) fn more(file: &Path, code: Code, found: usize) -> Option<Finding> {
    let more = found.checked_sub(MAX_FINDINGS).filter(|more| *more > 0)?;
    let message =
        format!("{more} more such lines in this file are not listed: expected at most {MAX_FINDINGS}, found {found}");
    Some(Finding::new(code, message).at(file))
}
