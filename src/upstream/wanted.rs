//! Which file is requested, and from which source.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::upstream::database_request::DatabaseRequest;
use gomodule::proxy_request::Request;

/// A request to a source. Its `Display` is the escaped path below the address of the source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wanted {
    /// To a module proxy.
    Module(Request),
    /// To a checksum database.
    Database(DatabaseRequest),
}

/// What `url.PathEscape` of Go encodes, but for `/`, and for the `!` of escaped upper case.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'=')
    .remove(b'@')
    .remove(b'/')
    .remove(b'!');

/// The answer to a request for a small body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SmallAnswer {
    /// `None` if the entity tag of the request is still current.
    pub(super) body: Option<Vec<u8>>,
    pub(super) tag: Option<String>,
    /// Another server than the source sent it, after a redirect.
    pub(super) elsewhere: bool,
}

impl Wanted {
    /// Its url below `base`. Only version queries have characters that must be percent-encoded.
    pub(super) fn below(&self, base: &Url) -> Url {
        let mut url = base.clone();
        let path = self.to_string();
        url.set_path(&format!("{}/{}", base.path().trim_end_matches('/'), utf8_percent_encode(&path, ENCODED)));
        url
    }

    pub(super) fn max_len(&self) -> usize {
        match self {
            Self::Module(request) => request.max_len(),
            Self::Database(request) => request.max_len(),
        }
    }
}

impl From<&Request> for Wanted {
    fn from(request: &Request) -> Self {
        Self::Module(request.clone())
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module(request) => request.fmt(f),
            Self::Database(request) => request.fmt(f),
        }
    }
}

/// One source of an [`UpstreamPool`](super::UpstreamPool), the same in every pool for the same module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UpstreamId(pub(super) usize);

impl UpstreamId {
    pub(crate) const FIRST: Self = Self(0);

    pub(crate) fn index(self) -> usize {
        self.0
    }
}
