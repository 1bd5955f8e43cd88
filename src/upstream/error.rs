//! Why a source, or all sources together, gave nothing.

mod search;

use std::io;
use std::time::Duration;

pub(crate) use self::search::Search;
use super::direct::error::DirectError;
use super::http::HttpError;
use crate::base::fault::Fault;
use gomodule::proxy_request::Request;

/// Why a source, or all sources together, gave nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// One source answered 404 or 410. Whether anything follows from that, the search of all sources decides.
    #[error("not found: {0}")]
    NotFound(String),
    /// Every source that may have it answered 404 or 410.
    #[error(transparent)]
    Nowhere(Nowhere),
    /// There are sources, and none of them may be asked about this path.
    #[error("no source is configured for {0}: every upstream has `serves` patterns, and none matches")]
    NoSource(Request),
    /// A source does not give it out.
    #[error("the upstream {upstream} refuses it (HTTP status {status}){reason}")]
    Refused {
        /// Which source.
        upstream: String,
        /// 403 or 451.
        status: u16,
        /// `: ` and the source's words, or empty.
        reason: String,
    },
    /// A source wants a login, or another one.
    #[error(
        "the upstream {upstream} accepts no request without a valid login (HTTP status 401){reason}: check the login that \
         this mirror sends there (token-file, token-env, user or netrc of its [[upstream]] or [[private]])"
    )]
    LoginNeeded {
        /// Which source.
        upstream: String,
        /// `: ` and the source's words, or empty.
        reason: String,
    },
    /// A source of private modules says that there is no such thing, and has given out nothing yet for the login that is sent
    /// to it: it may say so of all that it hides.
    #[error(
        "the upstream {upstream} has not accepted the login of this mirror for anything yet, and may hide what the login may \
         not see: check the login ({words})"
    )]
    Hidden {
        /// Which source.
        upstream: String,
        /// What it said.
        words: String,
    },
    /// A source failed, and the chain does not lead on from a failure.
    #[error("the upstream failed: {0}")]
    Failed(#[source] HttpError),
    /// A source failed so often that it is left alone for a while: its circuit breaker is open.
    #[error("the upstream {upstream} is temporarily disabled ({} ms left) after repeated failures: {why}", open_for.as_millis())]
    CircuitOpen {
        /// Which source.
        upstream: String,
        /// Its last failure.
        why: String,
        /// For how long.
        open_for: Duration,
    },
    /// A source answered something that no Go module proxy would.
    #[error("the upstream {upstream} does not answer like a Go module proxy: {why}")]
    Nonsense {
        /// Who answered.
        upstream: String,
        /// What is wrong with it.
        why: String,
    },
    /// A `file://` source whose folder is missing or has nothing in it: a file system that is not mounted, most likely.
    #[error("the upstream {upstream} cannot be used: {why}")]
    EmptyRoot {
        /// Which source.
        upstream: String,
        /// What is wrong with it.
        why: String,
    },
    /// Version control gave nothing.
    #[error("direct: {0}")]
    Direct(DirectError),
    /// A `file://` source could not be read, or the staging file not be written.
    #[error("{what}")]
    Io {
        /// Which file.
        what: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// Every source that may have something answered 404 or 410. `Search::conclude` alone makes one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no upstream has it: {words}")]
pub struct Nowhere {
    words: String,
}

impl UpstreamError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Nowhere(_) => Fault::Absent,
            Self::NoSource(_) | Self::Refused { .. } => Fault::Refused,
            Self::Failed(HttpError::Timeout { .. }) => Fault::Timeout,
            // What one source does not have another one may have.
            Self::NotFound(_)
            | Self::LoginNeeded { .. }
            | Self::Hidden { .. }
            | Self::Failed(_)
            | Self::Nonsense { .. }
            | Self::CircuitOpen { .. }
            | Self::EmptyRoot { .. } => Fault::Upstream,
            Self::Direct(error) => error.fault(),
            Self::Io { .. } => Fault::Host,
        }
    }

    pub(crate) fn unwritten(cause: io::Error) -> Self {
        Self::Io { what: "cannot write the staging file".to_owned(), cause }
    }

    /// How soon the same source may do better; `None` if it will say the same again.
    pub(crate) fn passes(&self) -> Option<Duration> {
        match self {
            Self::Failed(error) if error.passes() => Some(error.retry_after().unwrap_or_default()),
            Self::CircuitOpen { open_for, .. } => Some(*open_for),
            _ => None,
        }
    }

    /// Whether a source said that it does not give it out, rather than that something is wrong.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::LoginNeeded { .. } | Self::Hidden { .. })
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
