//! The door of the fuzz targets (`fuzz/src/lib.rs`) to parsers that are private to this crate. Nothing else uses it, and it
//! may change with every release.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use hyper::header::{HeaderMap, HeaderValue, RANGE};

use crate::base::toml_file::Diagnostics;
use crate::gate::Manifest;
use crate::mirror::{self, BasePath, Info, RequestedRange, Route};
use crate::settings::Settings;
use crate::sumdb::{Ages, DatabaseId, KNOWN_SIZES};
use crate::upstream::{self, LoginError};
use gomodule::module::Version;
use gomodule::proxy_request::Request;

/// What the path of an HTTP request asks for, written anew as the path that asks for it.
pub fn path(raw: &str) -> Option<String> {
    const NAME: &str = "sum.golang.org";
    let request = mirror::route(raw, &BasePath::default(), &[(DatabaseId::FIRST, NAME)]).ok()?;
    Some(match request {
        Route::Home => "/".to_owned(),
        Route::Module(request) => format!("/{request}"),
        Route::Database(_, request) => format!("/sumdb/{NAME}/{request}"),
    })
}

/// The part of `length` bytes that a header `Range` asks for, if it asks for one that is there.
pub fn range(header: &[u8], length: u64) -> Option<(u64, u64)> {
    let request = HeaderMap::from_iter([(RANGE, HeaderValue::from_bytes(header).ok()?)]);
    match mirror::requested_range(&request, "\"tag\"", length) {
        RequestedRange::Bytes(first, last) => Some((first, last)),
        RequestedRange::Whole | RequestedRange::Unsatisfiable => None,
    }
}

/// An `.info`, written anew.
pub fn info(body: &[u8]) -> Option<Vec<u8>> {
    Some(Info::read(body).ok()?.text().to_vec())
}

/// What is passed on of the answer to a request.
pub fn answer(request: &Request, body: &[u8]) -> Option<Vec<u8>> {
    Some(mirror::answer(request, body.to_vec()).ok()?.to_vec())
}

/// The versions in a list.
pub fn versions(list: &[u8]) -> Vec<Version> {
    mirror::versions_of(list)
}

/// The configuration of `serve`; no secret is read for it, so what names one is an error.
pub fn settings(text: &str) -> Result<Settings, Diagnostics> {
    Settings::read_with(text, Path::new("/"), &|_, _| Err(LoginError::NoHome))
}

/// A manifest of what a check saw, written anew.
pub fn manifest(text: &str) -> Option<String> {
    Some(Manifest::parse(text).ok()?.text())
}

/// Login and password of a host.
pub fn netrc(text: &str, host: &str) -> Option<(String, String)> {
    upstream::netrc(text, host)
}

/// What is kept of the heads that were seen of sum.golang.org, at this time.
pub fn heads(text: &str, seconds: u64) -> String {
    Ages::read(text, &KNOWN_SIZES, UNIX_EPOCH + Duration::from_secs(seconds)).0.text()
}
