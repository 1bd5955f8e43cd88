//! Access for the fuzz targets (`fuzz/src/lib.rs`) to parsers that are private to this crate. Not a stable interface.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use hyper::header::{HeaderMap, HeaderValue, RANGE};

use crate::base::toml_file::Diagnostics;
use crate::gate::Manifest;
use crate::mirror::{self, BasePath, Info, RequestedRange, Route};
use crate::page;
use crate::settings::Settings;
use crate::sumdb::{Ages, DatabaseId, FirstAskedEntries, KNOWN_SIZES};
use crate::upstream::{self, LoginError};
use gomodule::module::Version;
use gomodule::proxy_request::Request;

/// Parses the path of an HTTP request, and formats it again.
pub fn path(raw: &str) -> Option<String> {
    const NAME: &str = "sum.golang.org";
    let request = mirror::route(raw, &BasePath::default(), &[(DatabaseId::FIRST, NAME)]).ok()?;
    Some(match request {
        Route::Home => "/".to_owned(),
        Route::Module(request) => format!("/{request}"),
        Route::Database(_, request) => format!("/sumdb/{NAME}/{request}"),
    })
}

/// What a text in the search box of the page asks for.
pub fn search(text: &str) -> Option<String> {
    Some(page::search(text).ok()?.to_string())
}

/// Reads the filter of a request for events, and formats it again.
pub fn event_query(query: &str) -> Option<String> {
    page::same_query(query)
}

/// The range that a `Range` header requests from `length` bytes, if it is satisfiable.
pub fn range(header: &[u8], length: u64) -> Option<(u64, u64)> {
    let request = HeaderMap::from_iter([(RANGE, HeaderValue::from_bytes(header).ok()?)]);
    match mirror::requested_range(&request, "\"tag\"", length) {
        RequestedRange::Bytes(first, last) => Some((first, last)),
        RequestedRange::Whole | RequestedRange::Unsatisfiable => None,
    }
}

/// Parses an `.info`, and formats it again.
pub fn info(body: &[u8]) -> Option<Vec<u8>> {
    Some(Info::read(body).ok()?.text().to_vec())
}

/// The body that the mirror passes on for this answer of an upstream.
pub fn answer(request: &Request, body: &[u8]) -> Option<Vec<u8>> {
    Some(mirror::answer(request, body.to_vec()).ok()?.to_vec())
}

/// The versions in a version list.
pub fn versions(list: &[u8]) -> Vec<Version> {
    mirror::versions_of(list)
}

/// Parses the configuration of `serve`. References to secrets are errors, because no secrets are read.
pub fn settings(text: &str) -> Result<Settings, Diagnostics> {
    Settings::read_with(text, Path::new("/"), &|_, _| Err(LoginError::NoHome))
}

/// Parses the manifest of a cache, and formats it again.
pub fn manifest(text: &str) -> Option<String> {
    Some(Manifest::parse(text).ok()?.text())
}

/// Login and password of a host.
pub fn netrc(text: &str, url: &str) -> Option<(String, String)> {
    upstream::netrc(text, &url::Url::parse(url).ok()?)
}

/// Parses the output of a GOAUTH command, and formats its logins again.
pub fn goauth(output: &str) -> Option<String> {
    let set = |(prefix, headers): (String, HeaderMap)| {
        let scheme = if prefix.contains("://") { "" } else { "https://" };
        let lines =
            headers.iter().map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        format!("{scheme}{prefix}\n\n{}\n", lines.collect::<String>())
    };
    Some(upstream::goauth(output).ok()?.into_iter().map(set).collect())
}

/// The observed heads of sum.golang.org that are kept at this time.
pub fn heads(text: &str, seconds: u64) -> String {
    Ages::read(text, &KNOWN_SIZES, UNIX_EPOCH + Duration::from_secs(seconds)).0.text()
}

/// The times of first lookups that are kept.
pub fn first_asked(text: &str) -> String {
    FirstAskedEntries::read(text).text()
}
