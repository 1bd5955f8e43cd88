//! Which modules one source may be asked about: decided by the unescaped name alone, as in `go` (`go help private`).

use gomodule::module::{ModulePath, Patterns};

/// Shorter paths that a source is asked about to interpret its 404. With version control each one is a run of `go`.
const MAX_SHORTER: usize = 8;

/// The modules that a source may be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Public modules that match; without patterns all of them.
    Public(Patterns),
    /// Private modules. To a request without a valid login the source may answer that they do not exist.
    Private(Patterns),
}

impl Scope {
    pub(crate) fn is_everything(&self) -> bool {
        matches!(self, Self::Public(patterns) if patterns.is_empty())
    }

    pub(super) fn has(&self, path: &ModulePath) -> bool {
        match self {
            Self::Public(patterns) => patterns.is_empty() || patterns.matches(path),
            // Toolchains are public under any pattern, as for the database.
            Self::Private(patterns) => patterns.exempts(path),
        }
    }

    pub(super) fn private(&self) -> Option<&Patterns> {
        if let Self::Private(patterns) = self { Some(patterns) } else { None }
    }

    /// The shorter paths above a module that are in this scope, the longest first.
    pub(super) fn above(&self, module: &ModulePath) -> impl Iterator<Item = ModulePath> {
        module.prefixes().map(|(above, _)| above).filter(|above| self.has(above)).take(MAX_SHORTER)
    }
}
