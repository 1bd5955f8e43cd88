//! What a page of another origin may read: public files and the log, so that it can verify them in the browser (CORS).
//!
//! What is proved, or is in a public log, is the same everywhere. Names and files of private modules, lists, the page and the API
//! are not readable from elsewhere, nor is any error: it can quote an upstream, or a policy.

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::body::Body;
use crate::mirror::route::Route;
use crate::release::Expectations;
use crate::upstream::database_request::DatabaseRequest;
use gomodule::proxy_request::Request;

/// Beyond those that every page may read. Not `ETag`, which shows when the file was stored, nor what the policy says of it.
const EXPOSED: HeaderValue = HeaderValue::from_static("Accept-Ranges, Content-Range");
/// For a part of a file, or for a copy that the page has. `Disable-Module-Fetch` is left out: it shows what is stored.
const ALLOWED: HeaderValue = HeaderValue::from_static("If-None-Match, If-Range, Range");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");
/// Seconds: browsers keep it for two hours at most.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// Whether pages of other origins may read the answer.
pub(super) fn is_public(route: &Route, expectations: &Expectations) -> bool {
    let path = match route {
        Route::Module(Request::File(artifact)) => &artifact.module.path,
        Route::Database(_, DatabaseRequest::Lookup(module)) => &module.path,
        Route::Database(..) => return true,
        Route::Home | Route::Module(_) => return false,
    };
    !expectations.exempt.exempts(path) && !expectations.withhold(path)
}

/// Lets pages of other origins read this answer.
pub(super) fn allow(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    response
}

/// The answer to the question of a browser whether it may send a request to something public; `None` if it is another question.
pub(super) fn preflight(headers: &HeaderMap) -> Option<Response<Body>> {
    let asks = [header::ORIGIN, header::ACCESS_CONTROL_REQUEST_METHOD];
    if !asks.iter().all(|name: &HeaderName| headers.contains_key(name)) {
        return None;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    Some(response)
}
