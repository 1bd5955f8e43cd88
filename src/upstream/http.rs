//! The one HTTP client of the program: its time-outs, redirects and bounds.
//!
//! Everything that dials does so through [`HttpClient`], so that a bound written here holds everywhere.

mod coding;
pub(super) mod error;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;
use url::Url;

use self::coding::Gunzip;
pub use self::error::HttpError;
use super::config::UpstreamConfig;
use super::dialer::{Dialer, Network};
use super::login::Credentials;
use super::proxy_variables::ProxyVariables;
use super::redirect::follow;
use super::secret::without_credentials;
use super::times::Timeouts;
use crate::base::text::one_line;

/// Names of codings are short (IANA's registry of HTTP codings).
const MAX_CODING: usize = 40;
/// A refusal's reason is for a person; `go` itself shows about 600 bytes.
const MAX_REASON: usize = 600;

/// The client. Cheap to clone; clones share one connection pool.
#[derive(Clone, Debug)]
pub struct HttpClient {
    wire: Wire,
    timeouts: Timeouts,
    credentials: Option<Credentials>,
    /// A public server may redirect to an address inside.
    pub(super) redirects_inside: bool,
}

/// Answers in the place of servers, in a unit test.
#[cfg(test)]
pub(crate) trait Script: std::fmt::Debug + Send + Sync {
    /// The answer for `url`, and how long it takes.
    fn answer(&self, url: &Url) -> (Duration, reqwest::Response);
}

#[derive(Clone, Debug)]
enum Wire {
    /// Nobody: nothing may be dialled.
    Offline,
    /// Servers.
    Dialer(Dialer),
    /// A unit test.
    #[cfg(test)]
    Script(Arc<dyn Script>),
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub(super) struct Answer {
    /// What was asked, without credentials.
    pub(super) url: String,
    response: reqwest::Response,
    /// The body is compressed, although that was not requested.
    gunzip: Option<Gunzip>,
    stall: Duration,
    /// It came from another server than the one that was asked: nothing of it is to be quoted.
    pub(super) elsewhere: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Condition {
    /// Nothing.
    None,
    /// Only what is not the body of this entity tag (RFC 9110 section 13.1.2). The answer may be 304.
    Unless(String),
    /// From this byte on, if the body still has this entity tag (sections 13.1.5 and 14.2). The answer may be 206.
    From(u64, String),
}

impl Condition {
    fn headers(&self) -> HeaderMap {
        let headers = match self {
            Self::None => vec![],
            Self::Unless(tag) => vec![(header::IF_NONE_MATCH, tag.clone())],
            Self::From(first, tag) => vec![(header::RANGE, format!("bytes={first}-")), (header::IF_RANGE, tag.clone())],
        };
        // The tags came in a header, so they can go out in one.
        headers.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?))).collect()
    }

    fn met(&self, status: StatusCode) -> bool {
        matches!((self, status.as_u16()), (_, 200) | (Self::Unless(_), 304) | (Self::From(..), 206))
    }
}

impl HttpClient {
    /// Builds the client: rustls with the system's roots, and the proxies of the environment.
    pub fn new() -> Result<Self, HttpError> {
        let proxies = ProxyVariables::of_environment().map_err(|error| HttpError::setup(&error))?;
        Self::within(Timeouts::default(), Arc::new(proxies), Network::REAL)
    }

    /// The same with other timeouts, proxies, or in another network.
    pub(super) fn within(
        timeouts: Timeouts,
        proxies: Arc<ProxyVariables>,
        network: Network,
    ) -> Result<Self, HttpError> {
        let dialer = Dialer::new(timeouts, proxies, network).map_err(|error| HttpError::setup(&error))?;
        Ok(Self { wire: Wire::Dialer(dialer), timeouts, ..Self::offline() })
    }

    /// A client for unit tests that asks a script.
    #[cfg(test)]
    pub(crate) fn scripted(script: Arc<dyn Script>) -> Self {
        Self { wire: Wire::Script(script), ..Self::offline() }
    }

    /// A client for one source: with its time-outs and its login. What is as usual is shared.
    pub(super) fn for_upstream(&self, config: &UpstreamConfig) -> Result<Self, HttpError> {
        let timeouts = config.timeouts.unwrap_or(self.timeouts);
        let client = match &self.wire {
            Wire::Dialer(dialer) if timeouts != self.timeouts => {
                Self::within(timeouts, Arc::clone(&dialer.proxies), dialer.network)?
            }
            _ => Self { timeouts, ..self.clone() },
        };
        let (credentials, redirects_inside) = (config.credentials.clone(), config.redirects_inside);
        Ok(Self { credentials, redirects_inside, ..client })
    }

    /// A client that never dials.
    pub fn offline() -> Self {
        Self { wire: Wire::Offline, timeouts: Timeouts::default(), credentials: None, redirects_inside: false }
    }

    /// Whether it never dials.
    pub fn is_offline(&self) -> bool {
        matches!(self.wire, Wire::Offline)
    }

    /// Asks `url` under a condition: an answer is status 200, or what the condition allows; everything else is an error.
    pub(super) async fn ask(&self, url: Url, condition: &Condition) -> Result<Answer, HttpError> {
        let address = without_credentials(&url);
        let shown = address.to_string();
        let Timeouts { connect, first_byte, stall, .. } = self.timeouts;
        let credentials = self.credentials.clone().or_else(|| Credentials::in_url(&url));
        let mut headers = condition.headers();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(credentials) = &credentials {
            headers.insert(header::AUTHORIZATION, credentials.header());
        }
        let answered = async {
            match &self.wire {
                Wire::Offline => Err(HttpError::Offline(shown.clone())),
                Wire::Dialer(dialer) => follow(dialer, address, headers, self.redirects_inside).await,
                #[cfg(test)]
                Wire::Script(script) => {
                    let (after, response) = script.answer(&address);
                    tokio::time::sleep(after).await;
                    Ok((response, false))
                }
            }
        };
        let Ok(answered) = timeout(connect + first_byte, answered).await else {
            return Err(HttpError::Timeout(shown));
        };
        let (response, elsewhere) = answered?;
        let silent = credentials.is_some() || elsewhere;
        let mut answer = Answer { url: shown, response, gunzip: None, stall, elsewhere };
        let status = answer.status();
        if condition.met(status) {
            return answer.decoded();
        }
        let reason = if silent { String::new() } else { answer.reason().await };
        let url = answer.url.clone();
        if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
            return Err(HttpError::Absent { url, reason });
        }
        // Dates are rare, and need a clock that agrees with the server's.
        let retry_after = answer.header(header::RETRY_AFTER).and_then(|wait| wait.trim().parse().ok());
        let retry_after = retry_after.map(Duration::from_secs);
        Err(HttpError::Status { url, status: status.as_u16(), reason, retry_after })
    }

    /// Asks `url` for a small body, at most `limit` bytes.
    pub async fn get_small(&self, url: Url, limit: usize) -> Result<Vec<u8>, HttpError> {
        self.ask(url, &Condition::None).await?.small(limit).await
    }
}

impl Answer {
    /// The same with its body decoded. A part of a coded body cannot be decoded.
    fn decoded(self) -> Result<Self, HttpError> {
        let coding = self.header(header::CONTENT_ENCODING).unwrap_or("identity").trim().to_ascii_lowercase();
        match &*coding {
            "identity" | "" => Ok(self),
            "gzip" | "x-gzip" if self.status() != StatusCode::PARTIAL_CONTENT => {
                Ok(Self { gunzip: Some(Gunzip::new()), ..self })
            }
            _ => Err(HttpError::Coding { url: self.url, found: one_line(&coding, MAX_CODING) }),
        }
    }

    /// The next bytes of the body; `None` at its end. A body shorter than its announced length is an error.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        let Some(gunzip) = &mut self.gunzip else { return received(&mut self.response, &self.url, self.stall).await };
        let invalid = |_| HttpError::Coding { url: self.url.clone(), found: "an invalid gzip body".to_owned() };
        loop {
            if let Some(decoded) = gunzip.next().map_err(invalid)? {
                return Ok(Some(decoded));
            }
            match received(&mut self.response, &self.url, self.stall).await? {
                Some(compressed) => gunzip.push(compressed),
                None => return gunzip.finish().map_err(invalid),
            }
        }
    }

    pub(super) async fn small(mut self, limit: usize) -> Result<Vec<u8>, HttpError> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if body.len() + chunk.len() > limit {
                return Err(HttpError::TooLarge { url: self.url, limit: limit as u64 });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The beginning of a refusal's body, on one line, if it is text. Of a server that got a login nothing is shown: it may
    /// repeat what it got. Nor of one that another server named: it may be none that the client could ask.
    async fn reason(&mut self) -> String {
        let mut words = Vec::new();
        while words.len() < MAX_REASON
            && let Ok(Some(chunk)) = self.chunk().await
        {
            words.extend_from_slice(&chunk);
        }
        words.truncate(MAX_REASON);
        let words = one_line(&String::from_utf8_lossy(&words), MAX_REASON);
        let is_page = words.split(' ').any(|word| word.starts_with('<'));
        if words.is_empty() || is_page { String::new() } else { format!(": {words}") }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    fn header(&self, name: HeaderName) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The strong entity tag of the body, if it has one and the bytes are those of the body. A weak one does not tell two
    /// bodies apart byte by byte.
    pub(super) fn tag(&self) -> Option<String> {
        self.any_tag().filter(|tag| tag.starts_with('"') && self.gunzip.is_none())
    }

    /// The entity tag, strong or weak: good enough to ask whether anything changed.
    pub(super) fn any_tag(&self) -> Option<String> {
        self.header(header::ETAG).map(str::to_owned)
    }

    /// Where the body starts, if it is a part (`Content-Range: bytes FIRST-LAST/LENGTH`).
    pub(super) fn first_byte(&self) -> Option<u64> {
        self.header(header::CONTENT_RANGE)?.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
    }
}

/// The next bytes as they come, unless nothing comes for the time `stall`.
async fn received(response: &mut reqwest::Response, url: &str, stall: Duration) -> Result<Option<Bytes>, HttpError> {
    match timeout(stall, response.chunk()).await {
        Ok(chunk) => chunk.map_err(|error| HttpError::transport(url, &error)),
        Err(_) => Err(HttpError::Timeout(url.to_owned())),
    }
}
