//! Stage `respond`: status, headers and body of an answer (RFC 9110).

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};

use super::body::Body;
use crate::base::fault::{Fault, in_full};
use crate::base::request_context::RequestId;
use crate::base::text::{one_line, safe_lines};
use crate::mirror::error::MirrorError;
use crate::mirror::metadata::cache::{Cached, Freshness};
use crate::mirror::metadata::client_text;
use crate::release::Released;
use gomodule::artifact::Kind;

/// For proved bytes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// For what upstreams may change.
const MUTABLE: &str = "no-cache";

/// It is on every answer, in the log, and in the text of every error of plain text.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The stable name of a refusal.
pub(super) const REFUSED: HeaderName = HeaderName::from_static("x-sumgate-refused");
/// What a rule of the policy that only warns says of the file.
const WARNING: HeaderName = HeaderName::from_static("x-sumgate-warning");
/// Longest warning in a header, in characters. Servers in front of the mirror accept 8 KiB of headers, and there are at most nine rules.
const MAX_WARNING: usize = 600;
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

#[derive(Clone, Copy, Debug)]
pub(super) enum BodyKind {
    /// `.info` of a canonical version.
    Info,
    /// `.info` of a query, `@latest`.
    Resolved,
    /// `@v/list`, a signed head, a lookup: they change.
    Text,
    Tile,
}

pub(super) fn small(kind: BodyKind, body: Bytes) -> Response<Body> {
    let (content_type, cache) = match kind {
        BodyKind::Info => (JSON, IMMUTABLE),
        BodyKind::Resolved => (JSON, MUTABLE),
        BodyKind::Text => (TEXT, MUTABLE),
        BodyKind::Tile => ("application/octet-stream", IMMUTABLE),
    };
    let mut response = Response::new(Body::Memory(body));
    set(response.headers_mut(), header::CONTENT_TYPE, content_type);
    set(response.headers_mut(), header::CACHE_CONTROL, cache);
    response
}

/// The mirror in a few lines. Browsers get a page at the same address.
pub(super) fn home(text: Bytes) -> Response<Body> {
    let mut response = small(BodyKind::Text, text);
    set(response.headers_mut(), header::VARY, "Accept");
    response
}

/// An answer that changes: with its `Age`, and with a `Warning` (RFC 7234 section 5.5) if it is stale.
pub(super) fn cached(kind: BodyKind, cached: Cached) -> Response<Body> {
    let mut response = small(kind, cached.body);
    let warning = match cached.freshness {
        Freshness::Fresh | Freshness::Uncached | Freshness::Stored => None,
        Freshness::Refreshing => Some("110 sumgate \"Response is Stale\""),
        Freshness::UpstreamsDown => Some("111 sumgate \"Revalidation Failed\""),
        Freshness::NewestUnknown => {
            Some("199 sumgate \"The newest version is not known here: retractions may be missing\"")
        }
    };
    if let Some(warning) = warning {
        set(response.headers_mut(), header::WARNING, warning);
    }
    if !matches!(cached.freshness, Freshness::Stored | Freshness::NewestUnknown) {
        set_text(response.headers_mut(), header::AGE, cached.age.as_secs().to_string());
    }
    response
}

/// An error: `text/plain`, since `go` shows only that to its user. Paths in it are relative to the folder `data`.
pub(super) fn error(error: &MirrorError, data: &Path) -> Response<Body> {
    let text = client_text::for_client(&in_full(error), data);
    let mut response = refusal(status(error.fault()), &text);
    if let Some((code, _)) = error.refusal() {
        set(response.headers_mut(), REFUSED, code);
    }
    if error.fault() == Fault::Busy {
        set(response.headers_mut(), header::RETRY_AFTER, BUSY_FOR);
    }
    if let MirrorError::NotYet { .. } = error {
        // Seconds. The database shows new versions after some minutes.
        set(response.headers_mut(), header::RETRY_AFTER, "60");
    }
    response
}

/// The only place where a fault becomes a status. After a `,` in GOPROXY `go` asks the next proxy after 404 and 410 only. So 404
/// means absent, by the rules of `mirror/absence`, or that this mirror does not serve such requests; a refusal as 404 would let
/// `,direct` bypass the mirror.
fn status(fault: Fault) -> StatusCode {
    match fault {
        Fault::Request => StatusCode::BAD_REQUEST,
        Fault::Absent | Fault::NotServed => StatusCode::NOT_FOUND,
        Fault::Refused => StatusCode::FORBIDDEN,
        Fault::Upstream => StatusCode::BAD_GATEWAY,
        Fault::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Fault::Misbehaviour | Fault::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Fault::Host => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Seconds: as long as a request waits for the others of its client (`connection_limits`), and half as long as it waits for a
/// slot of its upstream.
const BUSY_FOR: &str = "30";

/// The answer if a client has too many requests under way.
pub(super) fn busy() -> Response<Body> {
    let why = "the mirror is busy, and this client has too many unfinished requests: try again later";
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, why);
    set(response.headers_mut(), header::RETRY_AFTER, BUSY_FOR);
    // Another client needs the connection.
    set(response.headers_mut(), header::CONNECTION, "close");
    response
}

/// A status with a reason, which may quote untrusted input.
pub(super) fn refusal(status: StatusCode, reason: &str) -> Response<Body> {
    let mut response = small(BodyKind::Text, Bytes::from(safe_lines(reason) + "\n"));
    *response.status_mut() = status;
    set(response.headers_mut(), header::CACHE_CONTROL, "no-store");
    response
}

/// A proved file, or the requested part of it.
pub(super) fn file(request: &HeaderMap, kind: Kind, released: &Released) -> Response<Body> {
    let length = released.identity().size();
    // The tag names these bytes: two valid zips of one version may differ.
    let tag = format!("\"{}-{}\"", hex::encode(&released.h1().as_bytes()[..8]), released.identity().stamp());
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    set(headers, header::CACHE_CONTROL, IMMUTABLE);
    set(headers, header::ACCEPT_RANGES, "bytes");
    set_text(headers, header::ETAG, tag.clone());
    set(headers, header::CONTENT_TYPE, if kind == Kind::Zip { "application/zip" } else { TEXT });
    if request.get(header::IF_NONE_MATCH).is_some_and(|tags| any_matches(tags, &tag)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    let (offset, part) = match requested_range(request, &tag, length) {
        RequestedRange::Whole => (0, length),
        RequestedRange::Bytes(first, last) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set_text(response.headers_mut(), header::CONTENT_RANGE, format!("bytes {first}-{last}/{length}"));
            (first, last - first + 1)
        }
        RequestedRange::Unsatisfiable => {
            let mut response = refusal(StatusCode::RANGE_NOT_SATISFIABLE, "the range starts after the end of the file");
            set_text(response.headers_mut(), header::CONTENT_RANGE, format!("bytes */{length}"));
            return response;
        }
    };
    let in_memory = released.bytes().and_then(|bytes| {
        let (start, end) = (usize::try_from(offset).ok()?, usize::try_from(offset + part).ok()?);
        (end <= bytes.len()).then(|| bytes.slice(start..end))
    });
    *response.body_mut() =
        in_memory.map_or_else(|| Body::file(Arc::clone(released.file()), offset, part), Body::Memory);
    response
}

/// Adds a header for each warning. Caches must ask again for such a file: the rule may deny it later.
pub(super) fn warn(response: &mut Response<Body>, warnings: &[String]) {
    let headers = response.headers_mut();
    if !warnings.is_empty() && headers.get(header::CACHE_CONTROL).is_some_and(|control| control == IMMUTABLE) {
        set(headers, header::CACHE_CONTROL, MUTABLE);
    }
    for warning in warnings {
        // Of one line, without a control character. A reason may have others than ASCII.
        if let Ok(value) = HeaderValue::from_bytes(one_line(warning, MAX_WARNING).as_bytes()) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

/// Adds the id of its request to an answer, and to the text of an error. Sets the headers of every answer, and removes the body of
/// an answer to HEAD.
pub(super) fn finish(method: &Method, id: &RequestId, mut response: Response<Body>) -> Response<Body> {
    // The page and the API have errors of their own form.
    let is_text = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == TEXT);
    let is_error = is_text && (response.status().is_client_error() || response.status().is_server_error());
    if let Body::Memory(text) = response.body()
        && is_error
    {
        let text = client_text::that_go_shows(&String::from_utf8_lossy(text), &format!("request {id}"));
        *response.body_mut() = Body::Memory(text.into());
    }
    let mut response = complete(response);
    set_text(response.headers_mut(), REQUEST_ID, id.as_str().to_owned());
    if *method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

/// Sets the headers of every answer that do not depend on its request, unless they are set.
pub(super) fn complete(mut response: Response<Body>) -> Response<Body> {
    if response.status() != StatusCode::NOT_MODIFIED
        && !response.headers().contains_key(header::CONTENT_LENGTH)
        && let Some(length) = response.body().len()
    {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if !response.headers().contains_key(header::X_CONTENT_TYPE_OPTIONS) {
        set(response.headers_mut(), header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    }
    response
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RequestedRange {
    Whole,
    /// First and last byte, both included.
    Bytes(u64, u64),
    Unsatisfiable,
}

/// RFC 9110 section 14. The answer to several ranges, or to an invalid one, may be the whole file.
pub(crate) fn requested_range(request: &HeaderMap, tag: &str, length: u64) -> RequestedRange {
    let Some(range) = request.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return RequestedRange::Whole;
    };
    if request.get(header::IF_RANGE).is_some_and(|only_if| only_if.as_bytes() != tag.as_bytes()) {
        return RequestedRange::Whole;
    }
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|spec| spec.split_once('-')) else {
        return RequestedRange::Whole;
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>());
    match (digits(first), digits(last)) {
        (Some(Ok(first)), Some(Ok(last))) if first > last => RequestedRange::Whole,
        (Some(Ok(first)), Some(_)) if first >= length => RequestedRange::Unsatisfiable,
        (Some(Ok(first)), Some(Ok(last))) => RequestedRange::Bytes(first, last.min(length - 1)),
        (Some(Ok(first)), Some(Err(_))) if last.is_empty() => RequestedRange::Bytes(first, length - 1),
        (Some(Err(_)), Some(Ok(0))) if first.is_empty() => RequestedRange::Unsatisfiable,
        (Some(Err(_)), Some(Ok(suffix))) if first.is_empty() && length > 0 => {
            RequestedRange::Bytes(length.saturating_sub(suffix), length - 1)
        }
        _ => RequestedRange::Whole,
    }
}

fn any_matches(tags: &HeaderValue, tag: &str) -> bool {
    let tags = tags.to_str().unwrap_or_default();
    tags.split(',').map(|one| one.trim().trim_start_matches("W/")).any(|one| one == tag || one == "*")
}

/// A constant, which costs no memory.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

fn set_text(headers: &mut HeaderMap, name: HeaderName, value: String) {
    // Every value is made here, of characters that are valid in headers.
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::upstream::{SourceFailure, UpstreamError};

    #[test]
    fn a_full_queue_is_503_with_a_time_to_wait() {
        let full = UpstreamError::Source("https://a.example".to_owned(), SourceFailure::Busy);
        let answer = error(&full.into(), Path::new("/data"));
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers().get(header::RETRY_AFTER).unwrap(), BUSY_FOR);
    }

    fn part(range: &str, length: u64) -> RequestedRange {
        let mut request = HeaderMap::new();
        request.insert(header::RANGE, range.parse().unwrap());
        requested_range(&request, "\"tag\"", length)
    }

    #[test]
    fn only_a_single_valid_range_is_served_as_a_part() {
        assert_eq!(part("bytes=0-0", 10), RequestedRange::Bytes(0, 0));
        assert_eq!(part("bytes=2-", 10), RequestedRange::Bytes(2, 9));
        assert_eq!(part("bytes=2-100", 10), RequestedRange::Bytes(2, 9));
        assert_eq!(part("bytes=-3", 10), RequestedRange::Bytes(7, 9));
        assert_eq!(part("bytes=-30", 10), RequestedRange::Bytes(0, 9));
        assert_eq!(part("bytes=10-", 10), RequestedRange::Unsatisfiable);
        assert_eq!(part("bytes=-0", 10), RequestedRange::Unsatisfiable);
        assert_eq!(part("bytes=0-1,4-5", 10), RequestedRange::Whole);
        assert_eq!(part("bytes=5-2", 10), RequestedRange::Whole);
        assert_eq!(part("bytes=+1-2", 10), RequestedRange::Whole);
        assert_eq!(part("lines=1-2", 10), RequestedRange::Whole);
        assert_eq!(part("bytes=99999999999999999999-", 10), RequestedRange::Whole);
        assert_eq!(part("bytes=-", 10), RequestedRange::Whole);
    }

    #[test]
    fn a_range_with_another_tag_is_the_whole_file() {
        let mut request = HeaderMap::new();
        request.insert(header::RANGE, "bytes=1-2".parse().unwrap());
        request.insert(header::IF_RANGE, "\"other\"".parse().unwrap());
        assert_eq!(requested_range(&request, "\"tag\"", 10), RequestedRange::Whole);
        request.insert(header::IF_RANGE, "\"tag\"".parse().unwrap());
        assert_eq!(requested_range(&request, "\"tag\"", 10), RequestedRange::Bytes(1, 2));
    }
}
