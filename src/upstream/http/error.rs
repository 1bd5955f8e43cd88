//! Why a url gave no body.

use std::time::Duration;

use crate::base::fault::in_full;

/// Why a url gave no body.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// 404 or 410.
    #[error("{url}: not found{}", quoted(reason))]
    Absent {
        /// The url.
        url: String,
        /// `: ` and the server's message, or empty.
        reason: String,
    },
    /// Any other status than 200.
    #[error("{url}: HTTP status {status}{reason}")]
    Status {
        /// The url.
        url: String,
        /// The status.
        status: u16,
        /// `: ` and the server's message, or empty.
        reason: String,
        /// `Retry-After` (RFC 9110 section 10.2.3), if it is a number of seconds.
        retry_after: Option<Duration>,
    },
    /// Larger than the limit for this kind of answer.
    #[error("{url}: the answer is larger than {limit} bytes")]
    TooLarge {
        /// The url.
        url: String,
        /// The limit.
        limit: u64,
    },
    /// No answer in time.
    #[error("{0}: no answer in time")]
    Timeout(String),
    /// The client is offline: it never connects.
    #[error("offline: not in the store: {0}")]
    Offline(String),
    /// Too many redirects, or a forbidden one.
    #[error("{url}: {cause}")]
    Redirect {
        /// The url.
        url: String,
        /// The rule that forbids it.
        cause: String,
    },
    /// The connection failed.
    #[error("{url}: {cause}")]
    Transport {
        /// The url.
        url: String,
        /// The library's message, with all its causes.
        cause: String,
    },
}

/// The message of a server, which often begins with "not found", too.
fn quoted(reason: &str) -> String {
    reason.strip_prefix(": ").map_or_else(String::new, |words| format!(": \"{words}\""))
}

impl HttpError {
    /// Whether a retry may succeed: too many requests, a server error, a failed connection.
    pub fn passes(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            Self::Timeout { .. } | Self::Transport { .. } => true,
            Self::Absent { .. } | Self::TooLarge { .. } | Self::Offline { .. } | Self::Redirect { .. } => false,
        }
    }

    /// The server's `Retry-After`, if it sent one.
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Status { retry_after, .. } = self { *retry_after } else { None }
    }

    pub(in crate::upstream) fn transport(url: &str, error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Timeout(url.to_owned());
        }
        // The library's message has the url with the credentials in it; only its causes are kept.
        let cause = std::error::Error::source(error).map_or_else(|| "the request failed".to_owned(), in_full);
        Self::Transport { url: url.to_owned(), cause }
    }
}
