//! Why a URL gave no body.

use std::error::Error;
use std::io;
use std::time::Duration;

use url::Url;

use crate::base::fault::in_full;
use crate::telemetry::Outcome;
use crate::upstream::secret::without_credentials;

/// Why a URL gave no body.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// 404 or 410.
    #[error("{url}: not found{}", quoted(reason))]
    Absent {
        /// The URL.
        url: String,
        /// `: ` and the server's message, or empty.
        reason: String,
    },
    /// Any other status than 200.
    #[error("{url}: HTTP status {status}{reason}")]
    Status {
        /// The URL.
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
        /// The URL.
        url: String,
        /// The limit.
        limit: u64,
    },
    /// The body has a coding that was not requested and cannot be decoded.
    #[error("{url}: expected a body without Content-Encoding, or a gzip one, found {found}")]
    Coding {
        /// What was asked.
        url: String,
        /// Which one.
        found: String,
    },
    /// Bytes arrived, but too few.
    #[error("{url}: the upstream is too slow: {bytes} bytes arrived within {} seconds", window.as_secs())]
    Slow {
        /// The URL.
        url: String,
        /// How many.
        bytes: u64,
        /// Within this time.
        window: Duration,
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
        /// The URL.
        url: String,
        /// The rule that forbids it.
        cause: String,
    },
    /// There was no connection: it was refused, the name has no address, the handshake failed.
    #[error("{url}: {cause}")]
    Unconnected {
        /// The URL.
        url: String,
        /// The library's message, with all its causes.
        cause: String,
        /// The last of the causes, in few words.
        why: String,
        /// There was no answer to the handshake.
        silent: bool,
    },
    /// There is no client, for this reason: the settings of this machine do not allow one.
    #[error("HTTP client: {0}")]
    Setup(String),
    /// The connection failed.
    #[error("{url}: {cause}")]
    Transport {
        /// The URL.
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
    /// The cause alone. The URL has the name of a module, which other clients must not learn.
    pub(crate) fn without_url(&self) -> String {
        let text = self.to_string();
        match text.split_once(": ") {
            Some((url, cause)) if url.contains("://") => cause.to_owned(),
            _ => text,
        }
    }

    /// How the request ended, for its numbers.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Absent { .. } => Outcome::NotFound,
            Self::Status { status: 401 | 403 | 451, .. } => Outcome::Refused,
            Self::Timeout(_) | Self::Unconnected { silent: true, .. } => Outcome::Timeout,
            _ => Outcome::Failed,
        }
    }

    /// Whether a retry may succeed: too many requests, a server error, a failed connection.
    pub fn passes(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            Self::Timeout { .. } | Self::Unconnected { .. } | Self::Transport { .. } => true,
            Self::Absent { .. }
            | Self::Coding { .. }
            | Self::Slow { .. }
            | Self::TooLarge { .. }
            | Self::Offline { .. }
            | Self::Setup(_)
            | Self::Redirect { .. } => false,
        }
    }

    /// Whether the failure is one of the whole server, rather than of one path: there is no connection, or there are too many
    /// requests, or it asks for a pause.
    pub(in crate::upstream) fn is_of_the_server(&self) -> bool {
        match self {
            Self::Status { status, retry_after, .. } => *status == 429 || (*status == 503 && retry_after.is_some()),
            error => matches!(error, Self::Unconnected { .. }),
        }
    }

    /// Whether there was no answer, or not the rest of one, although there was a connection.
    pub(in crate::upstream) fn is_silence(&self) -> bool {
        matches!(self, Self::Timeout(_) | Self::Transport { .. } | Self::Slow { .. })
    }

    /// Whether the server answered, with whatever.
    pub(crate) fn is_answer(&self) -> bool {
        !matches!(self, Self::Timeout(_) | Self::Unconnected { .. } | Self::Transport { .. } | Self::Setup(_))
    }

    /// What is wrong, without the URL.
    pub fn why(&self) -> String {
        match self {
            Self::Unconnected { why, .. } => why.clone(),
            Self::Transport { cause, .. } | Self::Redirect { cause, .. } => cause.clone(),
            Self::Status { status, reason, .. } => format!("HTTP status {status}{reason}"),
            Self::Timeout(_) => "no answer in time".to_owned(),
            Self::Absent { .. }
            | Self::TooLarge { .. }
            | Self::Coding { .. }
            | Self::Slow { .. }
            | Self::Setup(_)
            | Self::Offline(_) => self.to_string(),
        }
    }

    /// The server's `Retry-After`, if it sent one.
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Status { retry_after, .. } = self { *retry_after } else { None }
    }

    /// That there is no client.
    pub(in crate::upstream) fn setup(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Setup(in_full(error))
    }

    /// That the request for `url` failed.
    pub(in crate::upstream) fn transport(url: &str, error: &reqwest::Error) -> Self {
        let (url, silent) = (url.to_owned(), error.is_timeout());
        if silent && !error.is_connect() {
            return Self::Timeout(url);
        }
        // The library's message has the URL with the credentials in it; only its causes are kept.
        let cause = error.source().map_or_else(|| "the request failed".to_owned(), in_full);
        if !error.is_connect() {
            return Self::Transport { url, cause };
        }
        let why = if silent { "no answer to the handshake in time".to_owned() } else { last_cause(error) };
        Self::Unconnected { url, cause: if silent { why.clone() } else { cause }, why, silent }
    }

    /// The same error of a request through this proxy: if there was no connection, it may be the proxy's fault.
    pub(in crate::upstream) fn through(self, proxy: Option<&Url>) -> Self {
        match (self, proxy) {
            (Self::Unconnected { url, cause, why, silent }, Some(proxy)) => {
                Self::Unconnected { url, cause: named(proxy, &cause), why: named(proxy, &why), silent }
            }
            (error, _) => error,
        }
    }
}

/// A cause that names the proxy, without its login.
fn named(proxy: &Url, cause: &str) -> String {
    format!("through the proxy {}: {cause}", without_credentials(proxy).as_str().trim_end_matches('/'))
}

/// The last of the causes, without the number that the system has for it.
fn last_cause(error: &reqwest::Error) -> String {
    let mut last: &(dyn Error + 'static) = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    match last.downcast_ref::<io::Error>() {
        Some(error) if error.raw_os_error().is_some() => error.kind().to_string(),
        _ => last.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fault::Fault;
    use crate::upstream::UpstreamError;

    #[test]
    fn settings_that_allow_no_client_are_the_fault_of_this_machine_and_do_not_pass() {
        let error = HttpError::setup(&io::Error::other("SSL_CERT_FILE names nothing"));
        assert_eq!(error.to_string(), "HTTP client: SSL_CERT_FILE names nothing");
        assert!(!error.passes());
        assert_eq!(UpstreamError::from(error).fault(), Fault::Host);
    }
}
