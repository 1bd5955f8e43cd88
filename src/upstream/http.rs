//! The only HTTP client of the program, so that its timeouts, redirects and limits hold everywhere.

mod coding;
mod condition;
pub(super) mod error;
mod pace;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;
use url::Url;

use self::coding::Gunzip;
pub(super) use self::condition::Condition;
pub use self::error::HttpError;
use self::pace::Pace;
use super::config::UpstreamConfig;
use super::dialer::{Dialer, DialerError, Network};
use super::login::Credentials;
use super::proxy_variables::ProxyVariables;
use super::redirect::follow;
use super::roots::Roots;
use super::secret::without_credentials;
use super::times::Timeouts;
use crate::base::text::one_line;

/// Names of codings are short (IANA's registry of HTTP codings).
const MAX_CODING: usize = 40;
/// Limit of a quoted error body; `go` shows about 600 bytes.
const MAX_REASON: usize = 600;
/// How long its body is waited for: a server sends so few bytes with the head. The request keeps its slot meanwhile.
const REASON_WAIT: Duration = Duration::from_secs(1);

/// The client. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    pub(super) transport: Transport,
    timeouts: Timeouts,
    credentials: Option<Credentials>,
    /// Answers and chunks of bodies that have arrived.
    arrived: Arc<AtomicU64>,
    /// A public server may redirect to an internal address.
    pub(super) redirects_inside: bool,
}

/// Answers instead of servers, in a unit test.
#[cfg(test)]
pub(crate) trait Script: std::fmt::Debug + Send + Sync {
    /// The delay and the answer for `url`.
    fn answer(&self, url: &Url) -> (Duration, reqwest::Response);

    /// Whether another server sends it, after a redirect.
    fn is_elsewhere(&self, _url: &Url) -> bool {
        false
    }
}

#[derive(Clone, Debug)]
pub(super) enum Transport {
    Offline,
    Dialer(Dialer),
    #[cfg(test)]
    Script(Arc<dyn Script>),
}

/// An answer whose body is not read yet.
#[derive(Debug)]
pub(super) struct Answer {
    /// The requested URL, without credentials.
    pub(super) url: String,
    response: reqwest::Response,
    /// The body is compressed, although that was not requested.
    gunzip: Option<Gunzip>,
    stall: Duration,
    pace: Pace,
    /// Another server sent it, after a redirect, so it must not be quoted.
    pub(super) elsewhere: bool,
    /// Of the client.
    arrived: Arc<AtomicU64>,
}

impl HttpClient {
    /// Builds the client: rustls with the system's roots, or those built in if it has none, and the proxies of the environment.
    pub fn new() -> Result<Self, HttpError> {
        let proxies = ProxyVariables::of_environment().map_err(|error| HttpError::setup(&error))?;
        Self::within(Timeouts::default(), &Arc::new(proxies), Network::REAL)
    }

    /// The same, but the certificates are read at the first request: a command that makes none ends sooner.
    pub(crate) fn when_needed() -> Result<Self, HttpError> {
        let proxies = ProxyVariables::of_environment().map_err(|error| HttpError::setup(&error))?;
        let timeouts = Timeouts::default();
        Self::dialing(timeouts, Ok(Dialer::when_needed(timeouts, Arc::new(proxies), Network::REAL, None)))
    }

    /// The same as [`Self::new`] with other timeouts, proxies, or in another network.
    pub(super) fn within(
        timeouts: Timeouts,
        proxies: &Arc<ProxyVariables>,
        network: Network,
    ) -> Result<Self, HttpError> {
        Self::dialing(timeouts, Dialer::new(timeouts, proxies, network))
    }

    /// A client for servers on this machine alone: it reads no certificates, so that TLS fails, and no variables.
    pub(crate) fn on_this_machine() -> Result<Self, HttpError> {
        let timeouts = Timeouts::default();
        let dialer = Dialer::when_needed(timeouts, Arc::default(), Network::REAL, Some(Roots::Nowhere));
        Self::dialing(timeouts, Ok(dialer))
    }

    fn dialing(timeouts: Timeouts, dialer: Result<Dialer, DialerError>) -> Result<Self, HttpError> {
        let transport = Transport::Dialer(dialer.map_err(|error| HttpError::setup(&error))?);
        Ok(Self { transport, timeouts, ..Self::offline() })
    }

    /// The roots with which it verifies servers.
    pub(crate) fn roots(&self) -> Roots {
        let Transport::Dialer(dialer) = &self.transport else { return Roots::Nowhere };
        dialer.known_roots().unwrap_or(Roots::System)
    }

    /// A client for unit tests that asks a script.
    #[cfg(test)]
    pub(crate) fn scripted(script: Arc<dyn Script>) -> Self {
        Self { transport: Transport::Script(script), ..Self::offline() }
    }

    /// A client for one source, with its timeouts and its login. Default connections are shared.
    pub(super) fn for_upstream(&self, config: &UpstreamConfig) -> Result<Self, HttpError> {
        let client = match config.timeouts {
            Some(timeouts) if timeouts != self.timeouts => self.with_timeouts(timeouts)?,
            _ => self.clone(),
        };
        let (credentials, redirects_inside) = (config.credentials.clone(), config.redirects_inside);
        Ok(Self { credentials, redirects_inside, ..client })
    }

    /// The same with other timeouts and connections of its own.
    pub(crate) fn with_timeouts(&self, timeouts: Timeouts) -> Result<Self, HttpError> {
        match &self.transport {
            Transport::Dialer(dialer) => Self::dialing(timeouts, Ok(dialer.with_timeouts(timeouts))),
            Transport::Offline => Ok(Self { timeouts, arrived: Arc::default(), ..self.clone() }),
            #[cfg(test)]
            Transport::Script(_) => Ok(Self { timeouts, arrived: Arc::default(), ..self.clone() }),
        }
    }

    /// The same with connections of its own.
    pub(crate) fn on_other_connections(&self) -> Result<Self, HttpError> {
        Ok(Self { arrived: Arc::clone(&self.arrived), ..self.with_timeouts(self.timeouts)? })
    }

    /// How many answers and chunks of bodies have arrived, also at clones. While it does not change, no server answers.
    pub(crate) fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }

    /// A client that never connects.
    pub fn offline() -> Self {
        Self {
            transport: Transport::Offline,
            timeouts: Timeouts::default(),
            credentials: None,
            arrived: Arc::default(),
            redirects_inside: false,
        }
    }

    /// The same without its login.
    pub(super) fn without_login(&self) -> Self {
        Self { credentials: None, ..self.clone() }
    }

    /// Whether it never connects.
    pub fn is_offline(&self) -> bool {
        matches!(self.transport, Transport::Offline)
    }

    /// Requests `url` under a condition. Any status except 200 and that of the condition is an error.
    pub(super) async fn ask(&self, url: Url, condition: &Condition) -> Result<Answer, HttpError> {
        let address = without_credentials(&url);
        let shown = address.to_string();
        if self.is_offline() {
            return Err(HttpError::Offline(shown));
        }
        let stall = self.timeouts.stall;
        let credentials = self.credentials.clone().or_else(|| Credentials::in_url(&url));
        let mut headers = condition.headers();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let ((response, elsewhere), logged_in) = match &credentials {
            Some(credentials) => self.send_with(credentials, &address, &headers).await?,
            None => (self.send(&address, &headers, HeaderMap::new()).await?, false),
        };
        self.arrived.fetch_add(1, Ordering::Relaxed);
        let silent = logged_in || elsewhere;
        let (arrived, pace) = (Arc::clone(&self.arrived), Pace::new(stall));
        let answer = Answer { url: shown, response, gunzip: None, stall, pace, elsewhere, arrived };
        let status = answer.status();
        if condition.met(status) {
            return answer.decoded();
        }
        let url = answer.url.clone();
        // A date is rare, and needs a clock that agrees with the server's.
        let retry_after = answer.header(header::RETRY_AFTER).and_then(|wait| wait.trim().parse().ok());
        let retry_after = retry_after.map(Duration::from_secs);
        let reason = if silent { String::new() } else { answer.reason().await };
        if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
            return Err(HttpError::Absent { url, reason });
        }
        Err(HttpError::Status { url, status: status.as_u16(), reason, retry_after })
    }

    /// Sends a request with a login, if there is one for this url, and once more if it is refused and there is another login
    /// by now. Returns whether the server got a login.
    async fn send_with(
        &self,
        credentials: &Credentials,
        url: &Url,
        headers: &HeaderMap,
    ) -> Result<((reqwest::Response, bool), bool), HttpError> {
        let login = credentials.headers(url).await;
        let logged_in = !login.is_empty();
        let (response, elsewhere) = self.send_as(credentials, url, headers, login.clone()).await?;
        if elsewhere {
            return Ok(((response, elsewhere), logged_in));
        }
        match credentials.renewed(url, login, &response).await {
            Some(login) => Ok((self.send_as(credentials, url, headers, login).await?, true)),
            None => Ok(((response, elsewhere), logged_in)),
        }
    }

    async fn send_as(
        &self,
        credentials: &Credentials,
        url: &Url,
        headers: &HeaderMap,
        login: HeaderMap,
    ) -> Result<(reqwest::Response, bool), HttpError> {
        let (response, elsewhere) = self.send(url, headers, login.clone()).await?;
        if !elsewhere {
            credentials.answered(url, &login, response.status());
        }
        Ok((response, elsewhere))
    }

    /// The answer, and whether another server sent it.
    async fn send(
        &self,
        url: &Url,
        headers: &HeaderMap,
        login: HeaderMap,
    ) -> Result<(reqwest::Response, bool), HttpError> {
        let answered = async {
            match &self.transport {
                Transport::Offline => Err(HttpError::Offline(url.to_string())),
                Transport::Dialer(dialer) => {
                    follow(dialer, url.clone(), headers.clone(), login, self.redirects_inside).await
                }
                #[cfg(test)]
                Transport::Script(script) => {
                    let (after, response) = script.answer(url);
                    tokio::time::sleep(after).await;
                    Ok((response, script.is_elsewhere(url)))
                }
            }
        };
        let limit = self.timeouts.connect + self.timeouts.first_byte;
        timeout(limit, answered).await.unwrap_or_else(|_| Err(HttpError::Timeout(url.to_string())))
    }

    /// Requests a body of at most `limit` bytes.
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
            _ if self.status() == StatusCode::NOT_MODIFIED => Ok(self),
            "gzip" | "x-gzip" if self.status() != StatusCode::PARTIAL_CONTENT => {
                Ok(Self { gunzip: Some(Gunzip::new()), ..self })
            }
            _ => Err(HttpError::Coding { url: self.url, found: one_line(&coding, MAX_CODING) }),
        }
    }

    /// The next bytes of the body; `None` at its end. A body shorter than its announced length is an error.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        let Some(mut gunzip) = self.gunzip.take() else { return self.received().await };
        let url = self.url.clone();
        let invalid = |_| HttpError::Coding { url: url.clone(), found: "an invalid gzip body".to_owned() };
        let decoded = loop {
            if let Some(decoded) = gunzip.next().map_err(invalid)? {
                break Some(decoded);
            }
            match self.received().await? {
                Some(compressed) => gunzip.push(compressed),
                None => break gunzip.finish().map_err(invalid)?,
            }
        };
        self.gunzip = Some(gunzip);
        Ok(decoded)
    }

    /// The next bytes as they come.
    async fn received(&mut self) -> Result<Option<Bytes>, HttpError> {
        let Ok(received) = timeout(self.stall, self.response.chunk()).await else {
            return Err(HttpError::Timeout(self.url.clone()));
        };
        self.arrived.fetch_add(1, Ordering::Relaxed);
        let received = received.map_err(|error| HttpError::transport(&self.url, &error))?;
        let slow = |bytes| HttpError::Slow { url: self.url.clone(), bytes, window: self.stall };
        // The end of a body is in time.
        received.as_ref().map_or(Ok(()), |bytes| self.pace.received(bytes.len())).map_err(slow)?;
        Ok(received)
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

    /// The beginning of an error body, on one line, if it is text. The caller does not quote a server that got a login, which it
    /// may repeat, and no server after a redirect, which the client may have no access to.
    async fn reason(self) -> String {
        let Ok(mut answer) = self.decoded() else { return String::new() };
        let mut body = Vec::new();
        let read = async {
            while body.len() < MAX_REASON
                && let Ok(Some(chunk)) = answer.chunk().await
            {
                body.extend_from_slice(&chunk);
            }
        };
        // What has come by then is enough.
        let _ = timeout(REASON_WAIT, read).await;
        body.truncate(MAX_REASON);
        let text = one_line(&String::from_utf8_lossy(&body), MAX_REASON);
        let is_page = text.split(' ').any(|word| word.starts_with('<'));
        if text.is_empty() || is_page { String::new() } else { format!(": {text}") }
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

    /// The entity tag, strong or weak: enough to revalidate.
    pub(super) fn any_tag(&self) -> Option<String> {
        self.header(header::ETAG).map(str::to_owned)
    }

    /// The first byte of a partial body (`Content-Range: bytes FIRST-LAST/LENGTH`).
    pub(super) fn first_byte(&self) -> Option<u64> {
        self.header(header::CONTENT_RANGE)?.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, reason = "a test may panic, and measure")]

    use std::io::Write;

    use futures_util::{StreamExt, stream};
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use tokio::time::Instant;

    use super::*;

    /// Sends one answer: status, coding, body, and whether the end of the body never comes.
    #[derive(Debug)]
    struct Server(u16, &'static str, Vec<u8>, bool);

    impl Script for Server {
        fn answer(&self, _: &Url) -> (Duration, reqwest::Response) {
            let first = stream::iter([Ok::<_, std::io::Error>(Frame::data(Bytes::from(self.2.clone())))]);
            let rest = stream::iter(self.3.then_some(())).then(|()| std::future::pending());
            let body = reqwest::Body::wrap(StreamBody::new(first.chain(rest)));
            let answer = hyper::Response::builder().status(self.0).header(header::CONTENT_ENCODING, self.1);
            let answer = answer.header(header::ETAG, "\"1\"");
            (Duration::ZERO, answer.body(body).unwrap().into())
        }
    }

    async fn get(server: Server) -> Result<Vec<u8>, HttpError> {
        let client = HttpClient::scripted(Arc::new(server));
        client.get_small(Url::parse("https://a.example/x").unwrap(), 100).await
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn the_reason_in_an_error_body_is_decoded_or_not_quoted() {
        for (coding, body, expected) in [
            ("identity", b"no such tag".to_vec(), ": no such tag"),
            ("gzip", gzip("no such tag\n"), ": no such tag"),
            ("gzip", b"no such tag".to_vec(), ""),
            ("br", b"no such tag".to_vec(), ""),
        ] {
            let Err(HttpError::Absent { reason, .. }) = get(Server(404, coding, body, false)).await else { panic!() };
            assert_eq!(reason, expected, "{coding}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_reason_in_an_error_body_is_not_waited_for() {
        let start = Instant::now();
        let answer = get(Server(500, "identity", b"cannot clone".to_vec(), true)).await;
        let Err(HttpError::Status { status: 500, reason, .. }) = answer else { panic!("{answer:?}") };
        assert_eq!(reason, ": cannot clone");
        assert!(start.elapsed() <= Duration::from_secs(1), "{:?}", start.elapsed());
    }

    /// A download without a strong entity tag starts over.
    #[tokio::test]
    async fn a_body_that_is_decoded_is_never_resumed() {
        let url = Url::parse("https://a.example/x").unwrap();
        for (coding, expected) in [("identity", Some("\"1\"".to_owned())), ("gzip", None)] {
            let client = HttpClient::scripted(Arc::new(Server(200, coding, gzip("text"), false)));
            let answer = client.ask(url.clone(), &Condition::None).await.unwrap();
            assert_eq!(answer.tag(), expected, "{coding}");
        }
    }

    #[tokio::test]
    async fn an_empty_body_is_empty_in_any_coding_that_is_decoded() {
        for coding in ["identity", "gzip", "x-gzip"] {
            assert_eq!(get(Server(200, coding, Vec::new(), false)).await.unwrap(), b"", "{coding}");
        }
    }
}
