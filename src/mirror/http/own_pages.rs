//! Requests for what is not of a module proxy: the page for browsers at `/`, and everything below `/-/`.
//!
//! A higher room answers them. They come after the check of the `Host` header, and hold a request slot of their client.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{ACCEPT, HOST, HeaderMap, HeaderName};
use hyper::http::request::Parts;
use hyper::{Method, Response};

use super::body::Body;
use crate::mirror::route::BasePath;

/// What is ours. No module path has an element `-`.
const OWN: &str = "/-/";
/// How long a client may take to send a body of a megabyte: 50 KB/s.
const BODY_TIME: Duration = Duration::from_secs(20);

/// A request for the page or the API.
pub(crate) struct OwnRequest {
    pub(crate) method: Method,
    /// Also behind a trusted proxy.
    pub(crate) client: IpAddr,
    /// Below the base path.
    pub(crate) path: String,
    /// As it was sent, without the `?`.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    /// The base path, without a trailing `/`.
    pub(crate) base: String,
    /// The URL of the mirror as this client knows it, without a trailing `/`.
    pub(crate) url: String,
    body: Incoming,
}

/// Why a body is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is too long: expected at most {0} bytes")]
    TooLong(usize),
    #[error("the body did not come within {} s", BODY_TIME.as_secs())]
    TooSlow,
    #[error("the body could not be read: {0}")]
    Unreadable(String),
}

/// What such a request is answered with.
pub(crate) enum OwnBody {
    Whole(Bytes),
    /// Pieces that come at any time, until the client leaves or the stream ends. No piece is asked for before the client has room.
    Pieces(BoxStream<'static, Bytes>),
}

impl From<Bytes> for OwnBody {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }
}

type Answering = Pin<Box<dyn Future<Output = Response<OwnBody>> + Send>>;

/// Answers such requests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct OwnPages(Arc<dyn Fn(OwnRequest) -> Answering + Send + Sync>);

impl OwnPages {
    pub(crate) fn new(answer: impl Fn(OwnRequest) -> Answering + Send + Sync + 'static) -> Self {
        Self(Arc::new(answer))
    }

    pub(super) async fn answer(&self, request: OwnRequest) -> Response<Body> {
        self.0(request).await.map(|body| match body {
            OwnBody::Whole(bytes) => Body::Memory(bytes),
            OwnBody::Pieces(pieces) => Body::stream(pieces),
        })
    }
}

impl fmt::Debug for OwnPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnPages")
    }
}

impl OwnRequest {
    /// The request, if it is one of these. What a trusted proxy says of the scheme is believed.
    pub(super) fn of(head: &Parts, body: Incoming, base: &BasePath, client: IpAddr, is_of_proxy: bool) -> Option<Self> {
        let below = path_of(head, base)?;
        let is_https = is_of_proxy && head.headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
        let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        Some(Self {
            method: head.method.clone(),
            client,
            path: below.to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers.clone(),
            base: base.as_str().to_owned(),
            url: format!("http{}://{host}{}", if is_https { "s" } else { "" }, base.as_str()),
            body,
        })
    }

    /// Whether a proxy passed it on.
    pub(crate) fn is_forwarded(&self) -> bool {
        let is_of_proxy = |name: &HeaderName| {
            matches!(name.as_str(), "forwarded" | "via" | "x-real-ip" | "cf-connecting-ip" | "true-client-ip")
                || name.as_str().starts_with("x-forwarded-")
        };
        self.headers.keys().any(is_of_proxy)
    }

    /// The host of the request.
    pub(crate) fn host(&self) -> Option<&str> {
        self.headers.get(HOST)?.to_str().ok()
    }

    /// Reads a body of at most `max` bytes.
    pub(crate) async fn body(self, max: usize) -> Result<Bytes, BodyError> {
        // Before a client sends it all.
        if self.body.size_hint().lower() > max as u64 {
            return Err(BodyError::TooLong(max));
        }
        let read = tokio::time::timeout(BODY_TIME, Limited::new(self.body, max).collect()).await;
        let read = read.map_err(|_| BodyError::TooSlow)?;
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => BodyError::TooLong(max),
            None => BodyError::Unreadable(error.to_string()),
        };
        Ok(read.map_err(failed)?.to_bytes())
    }
}

/// The path of such a request below the base path.
fn path_of<'h>(head: &'h Parts, base: &BasePath) -> Option<&'h str> {
    let below = head.uri.path().strip_prefix(base.as_str())?;
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    let is_home = matches!(below, "" | "/") && is_read && is_browser(&head.headers);
    if is_home { Some("/") } else { below.starts_with(OWN).then_some(below) }
}

/// Whether the client is a browser: others do not ask for HTML by name.
fn is_browser(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|line| line.split(','))
        .any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "text/html"))
}
