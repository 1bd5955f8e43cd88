//! What one source may hear of: decided by the name of a module alone, as `go` matches it: unescaped (`go help private`).

use gomodule::module::{ModulePath, Patterns};

/// Shorter paths that a source is asked about to learn what its answer means. Hosts with deeper groups have a page for each
/// path; for version control each is a run of `go`.
const MAX_SHORTER: usize = 8;

/// The modules that a source may hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Public modules that match; no pattern means all of them.
    Public(Patterns),
    /// Private modules. To a login that it does not accept, the source may say that they do not exist.
    Private(Patterns),
}

impl Scope {
    pub(crate) fn is_everything(&self) -> bool {
        matches!(self, Self::Public(patterns) if patterns.is_empty())
    }

    pub(super) fn has(&self, path: &ModulePath) -> bool {
        match self {
            Self::Public(patterns) => patterns.is_empty() || patterns.matches(path),
            // Toolchains are public, whatever the patterns say, as for the database.
            Self::Private(patterns) => patterns.exempts(path),
        }
    }

    pub(super) fn private(&self) -> Option<&Patterns> {
        if let Self::Private(patterns) = self { Some(patterns) } else { None }
    }

    /// The paths above a module that may be heard of as well, the longest first.
    pub(super) fn above(&self, module: &ModulePath) -> impl Iterator<Item = ModulePath> {
        module.prefixes().map(|(above, _)| above).filter(|above| self.has(above)).take(MAX_SHORTER)
    }
}
