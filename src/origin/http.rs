//! The one HTTP client of the program: its time-outs, redirects and bounds.
//!
//! Everything that dials does so through [`HttpClient`], so that a bound written here holds everywhere.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::{StatusCode, redirect};
use url::Url;

/// A handshake that takes longer does not get better by waiting; below Go's own 30 s dial time-out.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence on an open connection. A proxy may have to clone a repository before its first byte.
const SILENCE_TIMEOUT: Duration = Duration::from_mins(1);
/// A module zip of the largest size (500 MiB) at 1 MB/s, rounded up.
const WHOLE_TIMEOUT: Duration = Duration::from_mins(15);
/// Go's `net/http` follows ten.
const MAX_REDIRECTS: usize = 10;
/// Enough for the 256 tiles that an audit asks for at once; idle connections beyond are closed.
const MAX_IDLE_PER_HOST: usize = 256;
/// A refusal's reason is for a person; `go` itself shows about 600 bytes.
const MAX_REASON: usize = 600;

/// The client. Cheap to clone; clones share one connection pool.
#[derive(Clone, Debug)]
pub struct HttpClient {
    /// None where nothing may be dialled.
    inner: Option<reqwest::Client>,
}

/// Why a url gave no body.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// 404 or 410.
    #[error("{url}: not found{reason}")]
    Absent {
        /// What was asked.
        url: String,
        /// `: ` and the server's words, or empty.
        reason: String,
    },
    /// Any other status than 200.
    #[error("{url}: HTTP status {status}{reason}")]
    Status {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
        /// `: ` and the server's words, or empty.
        reason: String,
    },
    /// Larger than the bound for this kind of answer.
    #[error("{url}: the answer is larger than {limit} bytes")]
    TooLarge {
        /// What was asked.
        url: String,
        /// The bound.
        limit: u64,
    },
    /// Not in time.
    #[error("{url}: no answer in time")]
    Timeout {
        /// What was asked.
        url: String,
    },
    /// Nothing may be dialled.
    #[error("not here, and nothing is asked of the network (offline): {url}")]
    Offline {
        /// What would have been asked.
        url: String,
    },
    /// No connection, or it broke.
    #[error("{url}: {cause}")]
    Transport {
        /// What was asked.
        url: String,
        /// The library's words, with all its causes.
        cause: String,
    },
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub struct Answer {
    url: String,
    response: reqwest::Response,
}

impl HttpClient {
    /// Builds the client: rustls with the system's roots, `HTTP(S)_PROXY` and `NO_PROXY` honoured.
    pub fn new() -> Result<Self, HttpError> {
        let inner = reqwest::Client::builder()
            .user_agent(concat!("sumgate/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_TIMEOUT)
            .timeout(WHOLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .redirect(redirect::Policy::custom(follow))
            .build()
            .map_err(|error| HttpError::Transport {
                url: "HTTP client".to_owned(),
                cause: crate::fault::in_full(&error),
            })?;
        Ok(Self { inner: Some(inner) })
    }

    /// A client that never dials.
    pub fn offline() -> Self {
        Self { inner: None }
    }

    /// Whether it never dials.
    pub fn is_offline(&self) -> bool {
        self.inner.is_none()
    }

    /// Asks `url`; an answer is status 200, everything else is an error.
    pub async fn get(&self, url: Url) -> Result<Answer, HttpError> {
        let shown = without_credentials(&url);
        let Some(inner) = &self.inner else { return Err(HttpError::Offline { url: shown }) };
        let response = inner.get(url).send().await.map_err(|error| transport(&shown, &error))?;
        match response.status() {
            StatusCode::OK => Ok(Answer { url: shown, response }),
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                Err(HttpError::Absent { url: shown, reason: reason(response).await })
            }
            status => Err(HttpError::Status { url: shown, status: status.as_u16(), reason: reason(response).await }),
        }
    }

    /// Asks `url` for a small body, at most `limit` bytes.
    pub async fn get_small(&self, url: Url, limit: usize) -> Result<Vec<u8>, HttpError> {
        let mut answer = self.get(url).await?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > limit {
                return Err(HttpError::TooLarge { url: answer.url, limit: limit as u64 });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

impl Answer {
    /// The next piece of the body; `None` at its end. A body shorter than its announced length is an error.
    pub async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, HttpError> {
        self.response.chunk().await.map_err(|error| transport(&self.url, &error))
    }

    /// What was asked, without credentials.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Bounded, and never from https to http: a redirect must not undo what TLS gave.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let from_tls = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
    if from_tls && attempt.url().scheme() != "https" {
        return attempt.error("a redirect from https to http is not followed");
    }
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error("too many redirects");
    }
    attempt.follow()
}

fn transport(url: &str, error: &reqwest::Error) -> HttpError {
    if error.is_timeout() {
        return HttpError::Timeout { url: url.to_owned() };
    }
    // The library puts the url into its words, with the credentials; only the causes are kept.
    let cause = std::error::Error::source(error).map_or_else(|| "the request failed".to_owned(), crate::fault::in_full);
    HttpError::Transport { url: url.to_owned(), cause }
}

/// The beginning of a refusal's body, on one line, if it is text.
async fn reason(response: reqwest::Response) -> String {
    let mut body = response.bytes_stream();
    let mut words = Vec::new();
    while let Some(Ok(chunk)) = body.next().await {
        words.extend_from_slice(&chunk);
        if words.len() >= MAX_REASON {
            words.truncate(MAX_REASON);
            break;
        }
    }
    let words = String::from_utf8_lossy(&words);
    let words: Vec<&str> =
        words.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    if words.is_empty() || words.iter().any(|word| word.starts_with('<')) {
        return String::new();
    }
    format!(": {}", words.join(" "))
}

fn without_credentials(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.into()
}
