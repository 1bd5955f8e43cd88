//! The severity of findings.

use std::fmt;

/// The severity of a finding. `--deny` sets the lowest one that fails a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Severity {
    /// Information; nothing is wrong.
    Note,
    /// Something to fix that does not change what a build uses today.
    Warning,
    /// A build uses or may use other code than others do, or has less protection than expected.
    Error,
}

impl Severity {
    /// The name in all formats and in `--deny`.
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
