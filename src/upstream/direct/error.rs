//! Why version control gave no answer.

use std::time::Duration;

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
    #[error(
        "{message}. The host may answer so without a valid login: check the login of this mirror for {host} (netrc, git \
         credentials, an ssh key, GOAUTH)"
    )]
    Hidden {
        /// The host.
        host: String,
        /// The message of `go`.
        message: String,
    },
    /// There is no page that names a repository.
    #[error("`{what}` failed: {message}")]
    NoPage {
        /// The command.
        what: String,
        /// Its message.
        message: String,
        /// The host answered.
        answered: bool,
    },
    /// The command failed.
    #[error("`{what}` failed: {message}")]
    Failed {
        /// The command.
        what: String,
        /// Its message.
        message: String,
    },
}

impl DirectError {
    pub(super) fn host(doing: &str, error: &dyn std::error::Error) -> Self {
        Self::Host(format!("cannot {doing}: {error}"))
    }

    /// The same, with the host of a module that it may hide.
    pub(super) fn of_the_host_of(self, module: &ModulePath) -> Self {
        match self {
            Self::Hidden { message, .. } => {
                Self::Hidden { host: module.as_ref().split('/').next().unwrap_or_default().to_owned(), message }
            }
            error => error,
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoGo | Self::Host(_) => Fault::Host,
            Self::Busy => Fault::Busy,
            Self::Timeout { .. } => Fault::Timeout,
            Self::Absent(_) => Fault::Absent,
            Self::Hidden { .. } | Self::NoPage { .. } | Self::Failed { .. } => Fault::Upstream,
        }
    }
}
