//! The chain of upstreams, written as `go` writes GOPROXY.
//!
//! `https://a,https://b|file:///c`: sources in order. Behind a `,` the next source is asked only when this one says
//! 404 or 410; behind a `|` after any failure (`go help goproxy`). A `direct` at the end of a chain is what `go`'s own
//! default has; it names the origin repositories, which this mirror fetches private modules from and no others: a public
//! module that no proxy has is then reported absent, and a client with `,direct` of its own goes there itself. `off` ends
//! the chain.

use std::fmt;
use std::path::PathBuf;

use url::Url;

use super::direct;
use super::login::{Credentials, has_login, may_log_in};
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
    Direct(direct::Settings),
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

/// A source, and how it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The source to ask.
    pub source: Source,
    /// Whether any failure of it (not only 404 and 410) leads on to the next: a `|` follows it.
    pub on_any_failure: bool,
    /// The modules that it is asked about; no pattern means all of them.
    pub serves: Patterns,
    /// Counts for the ranking: twice the weight, half the time.
    pub weight: u16,
    /// How long it may take, if that is not the usual.
    pub timeouts: Option<Timeouts>,
    /// What it wants to know before it answers.
    pub credentials: Option<Credentials>,
    /// Its modules are private: to a login that it does not accept, it may say that they do not exist.
    pub private: bool,
    /// It may redirect to an address inside, even if it has a public address itself.
    pub redirects_inside: bool,
}

impl Link {
    /// A source that is asked like any other.
    pub fn plain(source: Source, on_any_failure: bool) -> Self {
        Self {
            source,
            on_any_failure,
            serves: Patterns::default(),
            weight: 1,
            timeouts: None,
            credentials: None,
            private: false,
            redirects_inside: false,
        }
    }

    /// Whether a login is sent to it.
    pub(super) fn logs_in(&self) -> bool {
        self.credentials.is_some() || matches!(&self.source, Source::Http(url) if has_login(url))
    }
}

/// Sources in the order to ask them. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    links: Vec<Link>,
}

/// More sources than anybody has mirrors. Bounds the time one absent module can take.
const MAX_SOURCES: usize = 16;

/// Why a chain cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// No proxy in it.
    #[error("the upstream {0:?} names no proxy: give at least one url, such as https://proxy.golang.org")]
    Empty(String),
    /// Not a url of a kind we can speak.
    #[error("the upstream {0:?} is not a url: it must start with https://, http:// or file://")]
    NotAUrl(String),
    /// A query or fragment can be no prefix of a path.
    #[error("the upstream {0:?} has a `?` or `#` behind it: give the address up to the path only")]
    QueryOrFragment(String),
    /// Whoever is on the way could read the login.
    #[error("the upstream {0:?} would get a login over plain http, for everybody on the way to read: make it https")]
    PlainLogin(String),
    /// A `direct` or `off` with something behind it.
    #[error("the upstream chain goes on after {0:?}: `go` would never reach {1:?}; drop one of them")]
    AfterEnd(String, String),
    /// Longer than the bound.
    #[error("the upstream chain has more than {MAX_SOURCES} sources")]
    TooMany,
}

impl Chain {
    /// Parses GOPROXY syntax.
    ///
    /// ```
    /// use sumgate::upstream::Chain;
    /// let chain = Chain::parse("https://proxy.golang.org|https://example.com/go/,direct").unwrap();
    /// assert_eq!(chain.to_string(), "https://proxy.golang.org|https://example.com/go");
    /// assert!(Chain::parse("direct").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, ChainError> {
        let mut links = Vec::new();
        let mut ended: Option<&str> = None;
        for piece in text.split_inclusive([',', '|']) {
            let on_any_failure = piece.ends_with('|');
            let name = piece.trim_end_matches([',', '|']).trim();
            if name.is_empty() {
                continue;
            }
            if let Some(end) = ended {
                return Err(ChainError::AfterEnd(end.to_owned(), typed_without_logins(name)));
            }
            if matches!(name, "direct" | "off") {
                ended = Some(name);
                continue;
            }
            links.push(Link::plain(Source::parse(name)?, on_any_failure));
        }
        if links.is_empty() { Err(ChainError::Empty(typed_without_logins(text))) } else { Self::of(links) }
    }

    /// A chain of these links.
    pub fn of(links: Vec<Link>) -> Result<Self, ChainError> {
        match links.len() {
            0 => Err(ChainError::Empty(String::new())),
            1..=MAX_SOURCES => Ok(Self { links }),
            _ => Err(ChainError::TooMany),
        }
    }

    /// The links, in the order to ask them.
    pub(crate) fn links(&self) -> &[Link] {
        &self.links
    }
}

impl Source {
    /// Reads the url of a proxy or of a folder.
    pub fn parse(name: &str) -> Result<Self, ChainError> {
        let no_url = || ChainError::NotAUrl(typed_without_logins(name));
        let url = Url::parse(name).map_err(|_| no_url())?;
        if url.query().is_some() || url.fragment().is_some() {
            // What stands there may be a token.
            let address = name.split(['?', '#']).next().unwrap_or_default();
            return Err(ChainError::QueryOrFragment(typed_without_logins(address)));
        }
        match url.scheme() {
            "https" | "http" if has_login(&url) && !may_log_in(&url) => {
                Err(ChainError::PlainLogin(typed_without_logins(name)))
            }
            "https" | "http" if url.has_host() => Ok(Self::Http(url)),
            "file" => url.to_file_path().map(Self::Dir).map_err(|()| no_url()),
            _ => Err(no_url()),
        }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, link) in self.links.iter().enumerate() {
            write!(f, "{}", link.source)?;
            if i + 1 < self.links.len() {
                f.write_str(if link.on_any_failure { "|" } else { "," })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn separators_keep_their_meaning() {
        let chain = Chain::parse("https://a.example|http://b.example/x/,file:///tree").unwrap();
        let any: Vec<bool> = chain.links().iter().map(|link| link.on_any_failure).collect();
        assert_eq!(any, [true, false, false]);
        assert_eq!(chain.to_string(), "https://a.example|http://b.example/x,file:///tree");
    }

    #[test]
    fn gos_own_default_is_understood() {
        assert_eq!(Chain::parse("https://proxy.golang.org,direct").unwrap().to_string(), "https://proxy.golang.org");
    }

    #[test]
    fn what_cannot_be_asked_is_said() {
        let link = Link::plain(Source::parse("https://u:word@a.example").unwrap(), false);
        assert!(!format!("{link:?}").contains("word"), "{link:?}");
        assert_eq!(Chain::parse(" "), Err(ChainError::Empty(" ".to_owned())));
        assert_eq!(Chain::parse("off"), Err(ChainError::Empty("off".to_owned())));
        assert_eq!(Chain::parse("proxy.golang.org"), Err(ChainError::NotAUrl("proxy.golang.org".to_owned())));
        assert_eq!(Chain::parse("ftp://a.example"), Err(ChainError::NotAUrl("ftp://a.example".to_owned())));
        assert_eq!(
            Chain::parse("https://u:word@a.example/x?token"),
            Err(ChainError::QueryOrFragment("https://a.example/x".to_owned()))
        );
        assert_eq!(
            Chain::parse("off,https://a.example"),
            Err(ChainError::AfterEnd("off".to_owned(), "https://a.example".to_owned()))
        );
        assert_eq!(Chain::parse(&"https://a.example,".repeat(17)), Err(ChainError::TooMany));
    }

    #[test]
    fn credentials_are_never_shown() {
        let chain = Chain::parse("https://user:secret@a.example/go").unwrap();
        assert_eq!(chain.to_string(), "https://a.example/go");
        for wrong in [
            "htps://user:secret@a.example",
            "https://user:secret@a.example?x",
            "https://user:se/cret@a.example",
            "http://user:secret@a.example",
        ] {
            let words = Chain::parse(wrong).unwrap_err().to_string();
            assert!(words.contains("a.example") && !words.contains("cret"), "{words}");
        }
        let words = Chain::parse("off,https://user:secret@a.example").unwrap_err().to_string();
        assert!(!words.contains("secret"), "{words}");
        assert!(Chain::parse("http://user:secret@127.0.0.1:8080").is_ok(), "it stays on this machine");
    }
}
