//! Why one source, or all sources together, gave no answer.

mod search;

use std::fmt;
use std::io;
use std::time::Duration;

pub(crate) use self::search::Search;
use super::direct::error::DirectError;
use super::http::HttpError;
use crate::base::fault::Fault;
use crate::telemetry::Outcome;
use gomodule::proxy_request::Request;

/// Why one source, or all sources together, gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// One source answered 404 or 410. `Search` decides what follows from the answers of all sources.
    #[error("not found: {0}")]
    NotFound(String),
    /// Every source that may have the file answered 404 or 410.
    #[error(transparent)]
    Nowhere(Nowhere),
    /// No source may be asked about this path.
    #[error("no source is configured for {0}: every upstream has `serves` patterns, and none matches")]
    NoSource(Request),
    /// The source of this name gave no answer.
    #[error("the upstream {0} {1}")]
    Source(String, SourceFailure),
    /// A request to a source failed.
    #[error("the upstream failed: {0}")]
    Failed(#[from] HttpError),
    /// Version control gave no answer.
    #[error("direct: {0}")]
    Direct(DirectError),
    /// A file of a `file://` source cannot be read, or the staging file cannot be written.
    #[error("{what}")]
    Io {
        /// What cannot be done, and the file.
        what: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// Why one source gave no answer: the message continues after the name of the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceFailure {
    /// It refuses the request with this status, 403 or 451; `: ` and its message follow, or nothing.
    #[error("refuses it (HTTP status {0}){1}")]
    Refused(u16, String),
    /// It requires a login, or another one; `: ` and its message follow, or nothing. Then whose login it got.
    #[error("accepts no request without a valid login (HTTP status 401){0}: check the login that {1}")]
    LoginNeeded(String, LoginOf),
    /// A source of private modules answered "not found", and has accepted the login of this mirror for nothing yet: it may
    /// answer so for everything that it hides.
    #[error(
        "has not accepted the login of this mirror for anything yet, and may hide what the login may not see: check the \
         login ({0})"
    )]
    Hidden(String),
    /// Its circuit breaker is open after repeated failures.
    #[error("is temporarily disabled ({} ms left) after repeated failures: {last_failure}", open_for.as_millis())]
    CircuitOpen {
        /// The last failure.
        last_failure: String,
        /// How long it stays open.
        open_for: Duration,
    },
    /// It failed repeatedly for this path.
    #[error("failed repeatedly for this path, and is asked for it again in {} ms: {last_failure}", open_for.as_millis())]
    PathFailing {
        /// The last failure.
        last_failure: String,
        /// How long it is not asked.
        open_for: Duration,
    },
    /// Too many requests wait for it.
    #[error("has too many unfinished requests: try again later")]
    Busy,
    /// Its answer is not that of a Go module proxy.
    #[error("does not answer like a Go module proxy: {0}")]
    Invalid(String),
    /// The folder of a `file://` source is missing or empty: most likely a file system is not mounted.
    #[error("cannot be used: {0}")]
    EmptyRoot(String),
}

/// Whose login a source gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginOf {
    /// Of the settings of the mirror.
    Mirror,
    /// Of the settings of `go`.
    Go,
}

impl fmt::Display for LoginOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mirror => {
                "this mirror sends there (token-file, token-env, user, netrc or goauth of its [[upstream]] or [[private]])"
            }
            Self::Go => "`go` would send there (GOAUTH, by default the one in .netrc; over https only)",
        })
    }
}

/// Every source that may have the file answered 404 or 410. Only `Search::conclude` makes one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no upstream has it: {0}")]
pub struct Nowhere(String);

impl UpstreamError {
    /// The source `name` sent an answer that no Go module proxy would send.
    pub(crate) fn invalid(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Source(name.into(), SourceFailure::Invalid(why.into()))
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Nowhere(_) => Fault::Absent,
            Self::NoSource(_) | Self::Source(_, SourceFailure::Refused(..)) => Fault::Refused,
            Self::Source(_, SourceFailure::Busy) => Fault::Busy,
            Self::Failed(
                HttpError::Timeout { .. } | HttpError::Slow { .. } | HttpError::Unconnected { silent: true, .. },
            ) => Fault::Timeout,
            Self::Failed(HttpError::Setup(_)) | Self::Io { .. } => Fault::Host,
            // Another source may have what one source does not have.
            Self::NotFound(_) | Self::Failed(_) | Self::Source(..) => Fault::Upstream,
            Self::Direct(error) => error.fault(),
        }
    }

    pub(crate) fn unwritten(cause: io::Error) -> Self {
        Self::Io { what: "cannot write the staging file".to_owned(), cause }
    }

    /// How soon a retry at the same source may succeed; `None` if it will fail again.
    pub(crate) fn passes(&self) -> Option<Duration> {
        match self {
            Self::Failed(error) if error.passes() => Some(error.retry_after().unwrap_or_default()),
            Self::Source(
                _,
                SourceFailure::CircuitOpen { open_for, .. } | SourceFailure::PathFailing { open_for, .. },
            ) => Some(*open_for),
            _ => None,
        }
    }

    /// How the request to a source ended, for its numbers.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::NotFound(_) => Outcome::NotFound,
            Self::Failed(error) => error.outcome(),
            error if error.is_refusal() => Outcome::Refused,
            _ => Outcome::Failed,
        }
    }

    /// Whether a source refuses the file, rather than failing.
    pub(crate) fn is_refusal(&self) -> bool {
        use SourceFailure::{Hidden, LoginNeeded, Refused};
        matches!(self, Self::Source(_, Refused(..) | LoginNeeded(..) | Hidden(_)))
    }
}

impl From<DirectError> for UpstreamError {
    fn from(error: DirectError) -> Self {
        match error {
            DirectError::Absent(words) => Self::NotFound(words),
            error => Self::Direct(error),
        }
    }
}
