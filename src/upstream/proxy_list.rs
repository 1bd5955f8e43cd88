//! A list of upstreams in the syntax of GOPROXY.
//!
//! `https://a,https://b|file:///c`: sources in order. After `,` the next source is a fallback for 404 and 410, after `|` for
//! any failure (`go help goproxy`). `off` ends the list. So does `direct`, as in `go`'s own default: this mirror uses version
//! control for private modules only. A public module that no proxy has is reported absent, and a client with its own
//! `,direct` fetches it itself.

use std::fmt;

use super::config::{Source, SourceError, UpstreamConfig, with_scheme};
use super::login::Credentials;
use crate::base::without_login::typed_without_logins;

/// Sources in order. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyList {
    upstreams: Vec<UpstreamConfig>,
}

/// Limits the time that one absent module can take; no known list has more than a handful.
const MAX_SOURCES: usize = 32;

/// Why a proxy list cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyListError {
    /// It names no proxy.
    #[error("the upstream {0:?} names no proxy: give at least one URL, such as https://proxy.golang.org")]
    Empty(String),
    /// One of its sources is invalid.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// `direct` or `off` is not the last element.
    #[error("the proxy list continues after {0:?}, where `go` stops: remove {0:?} or {1:?}")]
    AfterEnd(String, String),
    /// Longer than the limit.
    #[error("the proxy list has more than {MAX_SOURCES} sources")]
    TooMany,
}

impl ProxyList {
    /// Parses GOPROXY syntax.
    ///
    /// ```
    /// use sumgate::upstream::ProxyList;
    /// let list = ProxyList::parse("https://proxy.golang.org|https://example.com/go/,direct").unwrap();
    /// assert_eq!(list.to_string(), "https://proxy.golang.org|https://example.com/go");
    /// assert!(ProxyList::parse("direct").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, ProxyListError> {
        let mut upstreams = Vec::new();
        let mut ended: Option<&str> = None;
        for piece in text.split_inclusive([',', '|']) {
            let on_any_failure = piece.ends_with('|');
            let name = piece.trim_end_matches([',', '|']).trim();
            if name.is_empty() {
                continue;
            }
            if let Some(end) = ended {
                return Err(ProxyListError::AfterEnd(end.to_owned(), typed_without_logins(&with_scheme(name))));
            }
            if matches!(name, "direct" | "off") {
                ended = Some(name);
                continue;
            }
            upstreams.push(UpstreamConfig::plain(Source::parse(name)?, on_any_failure));
        }
        if upstreams.is_empty() { Err(ProxyListError::Empty(typed_without_logins(text))) } else { Self::of(upstreams) }
    }

    /// A list of these sources.
    pub fn of(upstreams: Vec<UpstreamConfig>) -> Result<Self, ProxyListError> {
        match upstreams.len() {
            0 => Err(ProxyListError::Empty(String::new())),
            1..=MAX_SOURCES => Ok(Self { upstreams }),
            _ => Err(ProxyListError::TooMany),
        }
    }

    /// The same list with the login of `go`.
    #[must_use]
    pub fn as_go(self, login: &Credentials) -> Self {
        Self { upstreams: self.upstreams.into_iter().map(|upstream| upstream.as_go(login)).collect() }
    }

    pub(crate) fn upstreams(&self) -> &[UpstreamConfig] {
        &self.upstreams
    }
}

impl fmt::Display for ProxyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, upstream) in self.upstreams.iter().enumerate() {
            write!(f, "{}", upstream.source)?;
            if i + 1 < self.upstreams.len() {
                f.write_str(if upstream.on_any_failure { "|" } else { "," })?;
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
        let list = ProxyList::parse("https://a.example|http://b.example/x/,file:///tree").unwrap();
        let any: Vec<bool> = list.upstreams().iter().map(|upstream| upstream.on_any_failure).collect();
        assert_eq!(any, [true, false, false]);
        assert_eq!(list.to_string(), "https://a.example|http://b.example/x,file:///tree");
    }

    #[test]
    fn gos_own_default_is_understood() {
        assert_eq!(
            ProxyList::parse("https://proxy.golang.org,direct").unwrap().to_string(),
            "https://proxy.golang.org"
        );
    }

    #[test]
    fn a_server_without_a_scheme_is_https_as_for_go() {
        for (text, url) in [
            ("proxy.golang.org,direct", "https://proxy.golang.org"),
            ("localhost:8443/go", "https://localhost:8443/go"),
            ("u:word@a.example/go", "https://a.example/go"),
            ("[::1]:8443", "https://[::1]:8443"),
        ] {
            assert_eq!(ProxyList::parse(text).unwrap().to_string(), url);
        }
    }

    #[test]
    fn a_folder_is_shown_as_a_url_that_can_be_parsed_again() {
        for folder in ["/go proxy/100%/a,b|c?#", "/tree/é"] {
            let source = Source::Dir(folder.into());
            assert!(source.to_string().is_ascii() && !source.to_string().contains(' '), "{source}");
            let list = ProxyList::parse(&source.to_string()).unwrap();
            assert_eq!(list.upstreams()[0].source, source);
        }
        assert_eq!(Source::Dir("/go proxy".into()).to_string(), "file:///go%20proxy");
    }

    #[test]
    fn invalid_lists_are_refused() {
        let config = UpstreamConfig::plain(Source::parse("https://u:word@a.example").unwrap(), false);
        assert!(!format!("{config:?}").contains("word"), "{config:?}");
        assert_eq!(ProxyList::parse(" "), Err(ProxyListError::Empty(" ".to_owned())));
        assert_eq!(ProxyList::parse("off"), Err(ProxyListError::Empty("off".to_owned())));
        for word in ["proxy", "/srv/go", "noproxy"] {
            assert_eq!(ProxyList::parse(word), Err(SourceError::NotAUrl(word.to_owned()).into()));
        }
        assert_eq!(ProxyList::parse("ftp://a.example"), Err(SourceError::NotAUrl("ftp://a.example".to_owned()).into()));
        assert_eq!(
            ProxyList::parse("https://u:word@a.example/x?token"),
            Err(SourceError::QueryOrFragment("https://a.example/x".to_owned()).into())
        );
        assert_eq!(
            ProxyList::parse("off,https://a.example"),
            Err(ProxyListError::AfterEnd("off".to_owned(), "https://a.example".to_owned()))
        );
        assert_eq!(ProxyList::parse(&"https://a.example,".repeat(33)), Err(ProxyListError::TooMany));
    }

    #[test]
    fn credentials_are_never_shown() {
        let list = ProxyList::parse("https://user:secret@a.example/go").unwrap();
        assert_eq!(list.to_string(), "https://a.example/go");
        for wrong in [
            "htps://user:secret@a.example",
            "https://user:secret@a.example?x",
            "https://user:se/cret@a.example",
            "http://user:secret@a.example",
        ] {
            let words = ProxyList::parse(wrong).unwrap_err().to_string();
            assert!(words.contains("a.example") && !words.contains("cret"), "{words}");
        }
        for wrong in [
            "off,https://user:secret@a.example",
            "off,user:secret@a.example",
            "user:secret@a.example?x",
            "user:secret@:",
        ] {
            let words = ProxyList::parse(wrong).unwrap_err().to_string();
            assert!(!words.contains("secret"), "{words}");
        }
        assert!(ProxyList::parse("http://user:secret@127.0.0.1:8080").is_ok(), "it stays on this machine");
    }
}
