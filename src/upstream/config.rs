//! The configuration of one source.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::direct::settings::DirectSettings;
use super::login::{Credentials, has_login, may_log_in};
use super::scope::Scope;
use super::secret::without_credentials;
use super::times::Timeouts;
use crate::base::without_login::typed_without_logins;
use gomodule::module::Patterns;

/// How long an absence in version control is remembered at most: long enough for the requests of one `go get`. Its author tags a
/// version and builds with it at once, and `go` alone sees it.
const ABSENT_FROM_GIT: Duration = Duration::from_secs(5);

/// One server or folder that speaks the GOPROXY protocol. Its `Debug` is its `Display`, which has no login.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// A proxy.
    Http(Url),
    /// A folder laid out as a GOPROXY tree (`file://`).
    Dir(PathBuf),
    /// Version control.
    Direct(DirectSettings),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Credentials belong in no log and no answer.
            Self::Http(url) => f.write_str(without_credentials(url).as_str().trim_end_matches('/')),
            Self::Dir(dir) => f.write_str(&folder_url(dir)),
            Self::Direct(_) => f.write_str("direct"),
        }
    }
}

/// Why a source cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Not a URL of a supported scheme.
    #[error(
        "the upstream {0:?} is not a URL: it must start with https://, http:// or file://, or be the address of an https server"
    )]
    NotAUrl(String),
    /// No path can be appended to a query or a fragment.
    #[error("the upstream {0:?} ends with a query or fragment: remove everything from `?` or `#` on")]
    QueryOrFragment(String),
    /// The login would go over the network unencrypted.
    #[error("the upstream {0:?} has a login, which would go unencrypted over plain http: make it https")]
    PlainLogin(String),
}

impl Source {
    /// How long an absence from here is remembered, if `limit` is the setting.
    pub(super) fn absent_for(&self, limit: Duration) -> Duration {
        match self {
            Self::Direct(_) => limit.min(ABSENT_FROM_GIT),
            Self::Http(_) | Self::Dir(_) => limit,
        }
    }

    /// Parses the URL of a proxy or of a folder. Without a scheme it is https.
    pub fn parse(name: &str) -> Result<Self, SourceError> {
        let name = &*with_scheme(name);
        let not_a_url = || SourceError::NotAUrl(typed_without_logins(name));
        let url = Url::parse(name).map_err(|_| not_a_url())?;
        if url.query().is_some() || url.fragment().is_some() {
            // The query may be a token.
            let address = name.split(['?', '#']).next().unwrap_or_default();
            return Err(SourceError::QueryOrFragment(typed_without_logins(address)));
        }
        match url.scheme() {
            "https" | "http" if has_login(&url) && !may_log_in(&url) => {
                Err(SourceError::PlainLogin(typed_without_logins(name)))
            }
            "https" | "http" if url.has_host() => Ok(Self::Http(url)),
            "file" => url.to_file_path().map(Self::Dir).map_err(|()| not_a_url()),
            _ => Err(not_a_url()),
        }
    }
}

/// The URL that `go` reads in an element of GOPROXY: names without a scheme are of https servers. Single words are reserved, and
/// absolute paths are errors.
pub(crate) fn with_scheme(name: &str) -> Cow<'_, str> {
    let is_server = name.contains(['.', ':', '/']) && !name.contains(":/") && !name.starts_with('/');
    if is_server { format!("https://{name}").into() } else { name.into() }
}

/// The URL of a folder. `,` and `|` separate the URLs of a proxy list, so they are encoded too.
pub(super) fn folder_url(folder: &Path) -> String {
    let url = Url::from_file_path(folder).map_or_else(|()| format!("file://{}", folder.display()), String::from);
    url.replace(',', "%2C").replace('|', "%7C")
}

/// A source and its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// The source.
    pub source: Source,
    /// The next source is a fallback for any failure, not only for 404 and 410: a `|` follows.
    pub on_any_failure: bool,
    /// The modules that it may be asked about.
    pub scope: Scope,
    /// Divides the expected time in the ranking.
    pub weight: u16,
    /// Timeouts, if not the defaults.
    pub timeouts: Option<Timeouts>,
    /// Its login, other than one in its URL.
    pub credentials: Option<Credentials>,
    /// It is of the settings of `go`, and gets the login that `go` would send.
    pub as_go: bool,
    /// It may redirect to an internal address, even from a public address.
    pub redirects_inside: bool,
}

impl UpstreamConfig {
    /// A source with the default settings.
    pub fn plain(source: Source, on_any_failure: bool) -> Self {
        Self {
            source,
            on_any_failure,
            scope: Scope::Public(Patterns::default()),
            weight: 1,
            timeouts: None,
            credentials: None,
            as_go: false,
            redirects_inside: false,
        }
    }

    /// With the login of `go`, which is sent over https only. One in the url comes first.
    #[must_use]
    pub fn as_go(self, login: &Credentials) -> Self {
        let gets_it = matches!(&self.source, Source::Http(url) if url.scheme() == "https" && !has_login(url));
        Self { credentials: Some(login.clone()).filter(|_| gets_it), as_go: true, ..self }
    }

    pub(super) fn logs_in(&self) -> bool {
        self.credentials.is_some() || matches!(&self.source, Source::Http(url) if has_login(url))
    }
}
