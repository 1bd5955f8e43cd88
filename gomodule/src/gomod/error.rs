//! Why `go` refuses a line of a go.mod or go.work.

use crate::module::ModuleVersionError;

/// A line that `go` refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct GoModError {
    /// The line number, from 1. Of a block that does not end, the line where it begins.
    pub line: u32,
    /// Why the line is refused.
    pub(super) why: Flaw,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("{0}")]
    Form(&'static str),
    #[error("expected a full version such as v1.2.3, found {0:?}")]
    Version(String),
    #[error("expected {expected}, found {found:?}")]
    Expected { expected: &'static str, found: String },
    #[error(
        "{0:?} ends with a major version that no module path can have: expected /v2 or higher, or .vN below gopkg.in"
    )]
    MajorSuffix(String),
    #[error("the major version of {version} does not match the path {path}")]
    Major { path: String, version: String },
    #[error("there is another {0} line above")]
    Repeated(&'static str),
    #[error("another line replaces {0} by something else")]
    Conflict(String),
    #[error("{0} is required and excluded: `go` would change the file")]
    Excluded(String),
    #[error("{0}, and nothing replaces it")]
    Module(#[from] ModuleVersionError),
}

/// The lines that were refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GoModErrors {
    /// The first of them, in the order of the lines.
    pub first: Vec<GoModError>,
    /// The number of all.
    pub count: usize,
}

/// Nobody reads more; a file of 16 MiB may have 8 million.
const MAX_ERRORS: usize = 1_000;

impl GoModErrors {
    pub(super) fn add(&mut self, line: u32, why: Flaw) {
        self.count += 1;
        if self.first.len() < MAX_ERRORS {
            self.first.push(GoModError { line, why });
        }
    }
}
