//! Styles, script and icon, which are built in.

use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, HeaderValue};
use hyper::{Response, StatusCode};

use super::headers::answer;

/// The path of each file, its type and its content.
const ASSETS: [(&str, &str, &str); 3] = [
    ("/-/page.css", "text/css; charset=utf-8", include_str!("page.css")),
    ("/-/page.js", "text/javascript; charset=utf-8", include_str!("page.js")),
    ("/-/icon.svg", "image/svg+xml", include_str!("icon.svg")),
];
/// In links, so that a browser takes the files of another version.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The file at a path.
pub(super) fn asset(path: &str) -> Option<Response<Bytes>> {
    let (_, kind, content) = ASSETS.into_iter().find(|(name, ..)| *name == path)?;
    let mut response = answer(StatusCode::OK, kind, Bytes::from_static(content.as_bytes()));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=600"));
    Some(response)
}
