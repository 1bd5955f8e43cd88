//! One source, and how it is asked.

use std::fmt;
use std::path::PathBuf;

use url::Url;

use super::direct::command::Settings;
use super::login::{Credentials, has_login, may_log_in};
use super::scope::Scope;
use super::secret::{typed_without_logins, without_credentials};
use super::times::Timeouts;
use gomodule::module::Patterns;

/// One place that serves the GOPROXY protocol. Its `Debug` is its `Display`, which has no login.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// A proxy spoken to over HTTP; the url has no trailing `/`.
    Http(Url),
    /// A folder laid out as a GOPROXY tree (`file://`).
    Dir(PathBuf),
    /// Version control.
    Direct(Settings),
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
            Self::Dir(dir) => write!(f, "file://{}", dir.display()),
            Self::Direct(_) => f.write_str("direct"),
        }
    }
}

/// Why a source cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Not a url of a kind we can speak.
    #[error("the upstream {0:?} is not a url: it must start with https://, http:// or file://")]
    NotAUrl(String),
    /// A query or fragment can be no prefix of a path.
    #[error("the upstream {0:?} has a `?` or `#` behind it: give the address up to the path only")]
    QueryOrFragment(String),
    /// Whoever is on the way could read the login.
    #[error("the upstream {0:?} would get a login over plain http, for everybody on the way to read: make it https")]
    PlainLogin(String),
}

impl Source {
    /// Reads the url of a proxy or of a folder.
    pub fn parse(name: &str) -> Result<Self, SourceError> {
        let no_url = || SourceError::NotAUrl(typed_without_logins(name));
        let url = Url::parse(name).map_err(|_| no_url())?;
        if url.query().is_some() || url.fragment().is_some() {
            // What stands there may be a token.
            let address = name.split(['?', '#']).next().unwrap_or_default();
            return Err(SourceError::QueryOrFragment(typed_without_logins(address)));
        }
        match url.scheme() {
            "https" | "http" if has_login(&url) && !may_log_in(&url) => {
                Err(SourceError::PlainLogin(typed_without_logins(name)))
            }
            "https" | "http" if url.has_host() => Ok(Self::Http(url)),
            "file" => url.to_file_path().map(Self::Dir).map_err(|()| no_url()),
            _ => Err(no_url()),
        }
    }
}

/// A source, and how it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// The source to ask.
    pub source: Source,
    /// Whether any failure of it (not only 404 and 410) leads on to the next: a `|` follows it.
    pub on_any_failure: bool,
    /// The modules that it is asked about.
    pub scope: Scope,
    /// Counts for the ranking: twice the weight, half the time.
    pub weight: u16,
    /// How long it may take, if that is not the usual.
    pub timeouts: Option<Timeouts>,
    /// What it wants to know before it answers.
    pub credentials: Option<Credentials>,
    /// It may redirect to an address inside, even if it has a public address itself.
    pub redirects_inside: bool,
}

impl UpstreamConfig {
    /// A source that is asked like any other.
    pub fn plain(source: Source, on_any_failure: bool) -> Self {
        Self {
            source,
            on_any_failure,
            scope: Scope::Public(Patterns::default()),
            weight: 1,
            timeouts: None,
            credentials: None,
            redirects_inside: false,
        }
    }

    pub(super) fn logs_in(&self) -> bool {
        self.credentials.is_some() || matches!(&self.source, Source::Http(url) if has_login(url))
    }
}
