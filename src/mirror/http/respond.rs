//! Stage `respond`: status, headers and body of an answer (RFC 9110).

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};

use super::body::Body;
use crate::base::fault::{Fault, in_full};
use crate::base::text::safe_lines;
use crate::mirror::error::MirrorError;
use crate::mirror::metadata::cache::{Cached, State};
use crate::mirror::metadata::words;
use crate::release::Released;
use gomodule::artifact::Kind;

/// What a proved hash stands for never changes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// What upstream may change at any time.
const MUTABLE: &str = "no-cache";

/// Why something was refused: one of a fixed set of names.
const REFUSED: HeaderName = HeaderName::from_static("x-sumgate-refused");
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

#[derive(Clone, Copy, Debug)]
pub(super) enum Small {
    /// `.info` of a canonical version.
    Info,
    /// `.info` of a query, `@latest`.
    Resolved,
    /// `@v/list`, a signed head, a lookup: newer ones follow.
    Text,
    Tile,
}

pub(super) fn small(kind: Small, body: Bytes) -> Response<Body> {
    let (content_type, cache) = match kind {
        Small::Info => (JSON, IMMUTABLE),
        Small::Resolved => (JSON, MUTABLE),
        Small::Text => (TEXT, MUTABLE),
        Small::Tile => ("application/octet-stream", IMMUTABLE),
    };
    let mut response = Response::new(Body::Memory(body));
    set(response.headers_mut(), header::CONTENT_TYPE, content_type);
    set(response.headers_mut(), header::CACHE_CONTROL, cache);
    response
}

/// An answer that may have changed since: with its `Age`, and a `Warning` (RFC 7234 section 5.5) if it is older than it
/// should be.
pub(super) fn dated(kind: Small, dated: Cached) -> Response<Body> {
    let mut response = small(kind, dated.body);
    let warning = match dated.state {
        State::Fresh | State::Unkept | State::Here => None,
        State::Refreshing => Some("110 sumgate \"Response is Stale\""),
        State::SourcesDown => Some("111 sumgate \"Revalidation Failed\""),
        State::NewestUnknown => {
            Some("199 sumgate \"The newest version is not known here: retractions may be missing\"")
        }
    };
    if let Some(warning) = warning {
        set(response.headers_mut(), header::WARNING, warning);
    }
    if !matches!(dated.state, State::Here | State::NewestUnknown) {
        set(response.headers_mut(), header::AGE, &dated.age.as_secs().to_string());
    }
    response
}

/// An error: `text/plain`, since `go` shows nothing else to its user. Paths in it are relative to the folder `data`.
pub(super) fn error(error: &MirrorError, data: &Path) -> Response<Body> {
    let words = words::for_client(&in_full(error), data);
    let mut response = refusal(status(error.fault()), &words);
    if let Some((code, _)) = error.refusal() {
        set(response.headers_mut(), REFUSED, code);
    }
    if let MirrorError::NotYet { .. } = error {
        // Seconds. The database shows new versions after some minutes.
        set(response.headers_mut(), header::RETRY_AFTER, "60");
    }
    response
}

/// The one place where a fault becomes a status. With a `,` in GOPROXY the `go` command moves on after 404 and 410 only. So 404
/// means absent, by the rules of `mirror/absence`, or that the request is for nothing that is served here; a refusal answered
/// with 404 would let `,direct` walk round the mirror.
fn status(fault: Fault) -> StatusCode {
    match fault {
        Fault::Request => StatusCode::BAD_REQUEST,
        Fault::Absent | Fault::NotServed => StatusCode::NOT_FOUND,
        Fault::Refused => StatusCode::FORBIDDEN,
        Fault::Upstream => StatusCode::BAD_GATEWAY,
        Fault::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Fault::Misbehaviour => StatusCode::SERVICE_UNAVAILABLE,
        Fault::Host => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The answer to one request too many of one client.
pub(super) fn busy(method: &Method) -> Response<Body> {
    let why = "too many requests of this client are under way, and the mirror is short of places: ask again later";
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, why);
    set(response.headers_mut(), header::RETRY_AFTER, "30");
    // Its place is for others.
    set(response.headers_mut(), header::CONNECTION, "close");
    finish(method, response)
}

/// A status with a reason, which may quote what a stranger said.
pub(super) fn refusal(status: StatusCode, reason: &str) -> Response<Body> {
    let mut response = small(Small::Text, Bytes::from(safe_lines(reason) + "\n"));
    *response.status_mut() = status;
    set(response.headers_mut(), header::CACHE_CONTROL, "no-store");
    response
}

/// A proved file, whole or the part that is asked for.
pub(super) fn file(request: &HeaderMap, kind: Kind, released: &Released) -> Response<Body> {
    let length = released.identity().size();
    // Names these very bytes: two honest zips of one version may differ in them.
    let tag = format!("\"{}-{}\"", hex::encode(&released.h1().as_bytes()[..8]), released.identity().stamp());
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    set(headers, header::CACHE_CONTROL, IMMUTABLE);
    set(headers, header::ACCEPT_RANGES, "bytes");
    set(headers, header::ETAG, &tag);
    set(headers, header::CONTENT_TYPE, if kind == Kind::Zip { "application/zip" } else { TEXT });
    if request.get(header::IF_NONE_MATCH).is_some_and(|tags| any_matches(tags, &tag)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    let (offset, part) = match asked_part(request, &tag, length) {
        Part::Whole => (0, length),
        Part::Range(first, last) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes {first}-{last}/{length}"));
            (first, last - first + 1)
        }
        Part::Unsatisfiable => {
            let mut response = refusal(StatusCode::RANGE_NOT_SATISFIABLE, "the range lies behind the end of the file");
            set(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{length}"));
            return response;
        }
    };
    *response.body_mut() = Body::file(Arc::clone(released.file()), offset, part);
    response
}

/// Sets what every answer has, and takes the body off the answer to a HEAD.
pub(super) fn finish(method: &Method, mut response: Response<Body>) -> Response<Body> {
    if response.status() != StatusCode::NOT_MODIFIED {
        let length = HeaderValue::from(response.body().len());
        response.headers_mut().insert(header::CONTENT_LENGTH, length);
    }
    set(response.headers_mut(), header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if *method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    /// First and last byte, both included.
    Range(u64, u64),
    Unsatisfiable,
}

/// RFC 9110 section 14. Several ranges at once, and what cannot be parsed, may be answered with the whole.
pub(crate) fn asked_part(request: &HeaderMap, tag: &str, length: u64) -> Part {
    let Some(range) = request.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return Part::Whole;
    };
    if request.get(header::IF_RANGE).is_some_and(|only_if| only_if.as_bytes() != tag.as_bytes()) {
        return Part::Whole;
    }
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|spec| spec.split_once('-')) else {
        return Part::Whole;
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>());
    match (digits(first), digits(last)) {
        (Some(Ok(first)), Some(Ok(last))) if first > last => Part::Whole,
        (Some(Ok(first)), Some(_)) if first >= length => Part::Unsatisfiable,
        (Some(Ok(first)), Some(Ok(last))) => Part::Range(first, last.min(length - 1)),
        (Some(Ok(first)), Some(Err(_))) if last.is_empty() => Part::Range(first, length - 1),
        (Some(Err(_)), Some(Ok(0))) if first.is_empty() => Part::Unsatisfiable,
        (Some(Err(_)), Some(Ok(suffix))) if first.is_empty() && length > 0 => {
            Part::Range(length.saturating_sub(suffix), length - 1)
        }
        _ => Part::Whole,
    }
}

fn any_matches(tags: &HeaderValue, tag: &str) -> bool {
    let tags = tags.to_str().unwrap_or_default();
    tags.split(',').map(|one| one.trim().trim_start_matches("W/")).any(|one| one == tag || one == "*")
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Every value is made here, of characters that headers may have; if one were not, the header is left out.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn part(range: &str, length: u64) -> Part {
        let mut request = HeaderMap::new();
        request.insert(header::RANGE, range.parse().unwrap());
        asked_part(&request, "\"tag\"", length)
    }

    #[test]
    fn single_ranges_are_cut_and_everything_else_is_the_whole() {
        assert_eq!(part("bytes=0-0", 10), Part::Range(0, 0));
        assert_eq!(part("bytes=2-", 10), Part::Range(2, 9));
        assert_eq!(part("bytes=2-100", 10), Part::Range(2, 9));
        assert_eq!(part("bytes=-3", 10), Part::Range(7, 9));
        assert_eq!(part("bytes=-30", 10), Part::Range(0, 9));
        assert_eq!(part("bytes=10-", 10), Part::Unsatisfiable);
        assert_eq!(part("bytes=-0", 10), Part::Unsatisfiable);
        assert_eq!(part("bytes=0-1,4-5", 10), Part::Whole);
        assert_eq!(part("bytes=5-2", 10), Part::Whole);
        assert_eq!(part("bytes=+1-2", 10), Part::Whole);
        assert_eq!(part("lines=1-2", 10), Part::Whole);
        assert_eq!(part("bytes=99999999999999999999-", 10), Part::Whole);
        assert_eq!(part("bytes=-", 10), Part::Whole);
    }

    #[test]
    fn a_range_of_other_bytes_is_the_whole() {
        let mut request = HeaderMap::new();
        request.insert(header::RANGE, "bytes=1-2".parse().unwrap());
        request.insert(header::IF_RANGE, "\"other\"".parse().unwrap());
        assert_eq!(asked_part(&request, "\"tag\"", 10), Part::Whole);
        request.insert(header::IF_RANGE, "\"tag\"".parse().unwrap());
        assert_eq!(asked_part(&request, "\"tag\"", 10), Part::Range(1, 2));
    }
}
