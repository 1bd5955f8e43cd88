//! The right h1 of a file, and on what basis it is right.

use std::fmt;

use crate::sumdb::{Attested, ProvenHash};
use gomodule::dirhash::H1;

/// The right h1 of a file, and on what basis it is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// A proved record of a database has it.
    Proven(ProvenHash),
    /// Trust on first use: the module is exempt, and the first bytes that were seen had it.
    Pinned(H1),
}

impl Basis {
    pub(crate) fn h1(&self) -> H1 {
        match self {
            Self::Proven(proven) => proven.h1(),
            Self::Pinned(h1) => *h1,
        }
    }

    pub(crate) fn record(&self) -> Option<&Attested> {
        if let Self::Proven(proven) = self { Some(proven.attested()) } else { None }
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
