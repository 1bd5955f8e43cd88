//! How bad a finding is.

use std::fmt;

/// How bad a finding is. `--deny` names the least one that fails a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Severity {
    /// Worth knowing; nothing is wrong yet.
    Note,
    /// Something that should be mended, and that does not change what a build gets today.
    Warning,
    /// A build gets, or may get, other code than the rest of the world, or less protection than its owner believes.
    Error,
}

impl Severity {
    /// The word in every format and in `--deny`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
