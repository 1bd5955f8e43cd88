//! Why version control gave nothing.

use std::time::Duration;

use crate::base::fault::Fault;

/// Why version control gave nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectError {
    /// Nothing can be fetched without it.
    #[error(
        "there is no `go` command on the PATH of this mirror, and a private module goes `direct`, which needs it and git: \
         install them there, or give the module an upstream with [[private]] and url"
    )]
    NoGo,
    /// This machine did not let it run.
    #[error("cannot run `go` for a private module: {0}")]
    Host(String),
    /// It took too long.
    #[error("`{what}` did not end within {} seconds", patience.as_secs())]
    Timeout {
        /// What ran.
        what: String,
        /// For how long.
        patience: Duration,
    },
    /// There is no such thing: the repository was read.
    #[error("{0}")]
    Absent(String),
    /// The host says that it has no such thing, or shows a page that names no repository. To a stranger it says the same of
    /// what it hides.
    #[error(
        "{words}. The host may say so to a stranger only: check the login of this mirror for {host} (netrc, git \
         credentials, an ssh key, GOAUTH)"
    )]
    Hidden {
        /// Where a login may be missing.
        host: String,
        /// What was said.
        words: String,
    },
    /// It failed.
    #[error("`{what}` failed: {words}")]
    Failed {
        /// What ran.
        what: String,
        /// What it said.
        words: String,
    },
}

impl DirectError {
    pub(super) fn host(doing: &str, error: &dyn std::error::Error) -> Self {
        Self::Host(format!("cannot {doing}: {error}"))
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoGo | Self::Host(_) => Fault::Host,
            Self::Timeout { .. } => Fault::Timeout,
            Self::Absent(_) => Fault::Absent,
            Self::Hidden { .. } | Self::Failed { .. } => Fault::Upstream,
        }
    }
}
