//! What there is to check, and how much of what is wrong is told.

use std::path::Path;

use crate::finding::{Code, Finding, Place, Unaudited};
use gomodule::artifact::Kind;
use gomodule::gosum::AnyHash;
use gomodule::module::ModuleVersion;

/// Nobody mends more by hand than this, and a file of 16 MiB may have 8 million wrong lines. A constant of ours.
pub(super) const MAX_FINDINGS: usize = 100;

/// What there is to check, in the order of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A hash to hold against the record.
    Hash(HashAt),
    /// A module version that `go` would download, without a hash.
    Named(NamedAt),
    /// Something that is wrong whatever the database says.
    Finding(Finding),
    /// Something that cannot be checked whatever the database says.
    Unchecked(Unaudited),
}

/// A hash of one file of a module version, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashAt {
    /// Where.
    pub place: Place,
    /// Whose hash.
    pub module: ModuleVersion,
    /// Of its zip or its go.mod.
    pub kind: Kind,
    /// The hash.
    pub hash: AnyHash,
}

/// A module version that a line names, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedAt {
    /// Where.
    pub place: Place,
    /// Which.
    pub module: ModuleVersion,
    /// The line in words.
    pub line: String,
}

/// Says how many findings of a file are not told one by one.
pub(super) fn more(file: &Path, code: Code, found: usize) -> Option<Finding> {
    let untold = found.checked_sub(MAX_FINDINGS).filter(|untold| *untold > 0)?;
    let message =
        format!("{untold} more such lines in this file are not listed: expected at most {MAX_FINDINGS}, found {found}");
    Some(Finding::new(code, message).at(file))
}
