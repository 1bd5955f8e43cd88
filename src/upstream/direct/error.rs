//! Why version control gave no answer.

use std::time::Duration;

use super::advice::Advice;
use crate::base::fault::Fault;
use gomodule::module::ModulePath;

/// Why version control gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectError {
    /// The `go` command was not found.
    #[error(
        "there is no `go` command on the PATH of this mirror; a private module that is fetched `direct` needs it and git: \
         install both, or give the module an upstream with [[private]] and url"
    )]
    NoGo,
    /// This machine could not run `go`.
    #[error("cannot run `go` for a private module: {0}")]
    Host(String),
    /// Too many runs wait.
    #[error("too many requests wait for `go` and git: try again later")]
    Busy,
    /// It took too long.
    #[error("`{what}` did not end within {} seconds", timeout.as_secs())]
    Timeout {
        /// The command.
        what: String,
        /// Its timeout.
        timeout: Duration,
    },
    /// The repository was read and does not have it.
    #[error("{0}")]
    Absent(String),
    /// The host answered "not found", or with a page that names no repository. It may answer the same without a valid login.
    #[error("{message}{advice}")]
    Hidden {
        /// The message of `go`.
        message: String,
        /// What to do.
        advice: Box<Advice>,
    },
    /// The `go` here is older than the module needs. Contains its message.
    #[error("the `go` of this mirror is too old for this module: update it there, not where you build ({0})")]
    OldGo(String),
    /// There is no page that names a repository.
    #[error("`{what}` failed: {message}{advice}")]
    NoPage {
        /// The command.
        what: String,
        /// Its message.
        message: String,
        /// The host answered.
        answered: bool,
        /// What to do.
        advice: Box<Advice>,
    },
    /// The command failed.
    #[error("`{what}` failed: {message}{advice}")]
    Failed {
        /// The command.
        what: String,
        /// Its message.
        message: String,
        /// What to do.
        advice: Box<Advice>,
    },
}

impl DirectError {
    pub(super) fn host(doing: &str, error: &dyn std::error::Error) -> Self {
        Self::Host(format!("cannot {doing}: {error}"))
    }

    /// The same, with the host of the module.
    pub(super) fn of_the_host_of(mut self, module: &ModulePath) -> Self {
        if let Self::Hidden { advice, .. } | Self::NoPage { advice, .. } | Self::Failed { advice, .. } = &mut self {
            let host = module.as_ref().split('/').next().unwrap_or_default();
            **advice = advice.clone().with_host(host);
        }
        self
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoGo | Self::Host(_) | Self::OldGo(_) => Fault::Host,
            Self::Busy => Fault::Busy,
            Self::Timeout { .. } => Fault::Timeout,
            Self::Absent(_) => Fault::Absent,
            Self::Hidden { .. } | Self::NoPage { .. } | Self::Failed { .. } => Fault::Upstream,
        }
    }
}
