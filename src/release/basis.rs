//! The expected h1 of a file, and why it is the expected one.

use std::fmt;

use crate::sumdb::{ModuleRecord, ProvenHash};
use gomodule::dirhash::H1;

/// The expected h1 of a file, and why it is the expected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// It is in a proved record of a database.
    Proven(ProvenHash),
    /// Trust on first use: the module is exempt, and this is the h1 of the first download.
    Pinned(H1),
}

impl Basis {
    pub(crate) fn h1(&self) -> H1 {
        match self {
            Self::Proven(proven) => proven.h1(),
            Self::Pinned(h1) => *h1,
        }
    }

    pub(crate) fn record(&self) -> Option<&ModuleRecord> {
        if let Self::Proven(proven) = self { Some(proven.record()) } else { None }
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proven(proven) => proven.fmt(f),
            Self::Pinned(_) => f.write_str("pinned on first use; not covered by the database"),
        }
    }
}
