//! A checksum database: its verifier key and its address, in the syntax of GOSUMDB.
//!
//! `name` or `name+hash+key`, optionally followed by a space and a URL (`go help environment`). A bare name needs a built-in
//! key; without a URL the address is `https://name`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tlog::{SUM_GOLANG_ORG, VerifierKey};
use url::Url;

use super::error::{Question, SumdbError};
use super::lookup::LookupError;
use crate::base::without_login::typed_without_logins;
use crate::upstream::{Credentials, ProxyList, UpstreamConfig};

/// The alias for networks that cannot reach sum.golang.org: the same key, another address.
const CHINA_ALIAS: &str = "sum.golang.google.cn";

/// One exchange with a database, a lookup with its tiles: a cold one of sum.golang.org takes about a second, and a first lookup,
/// for which it fetches the module, some seconds.
const EXCHANGE: Duration = Duration::from_secs(15);

/// A checksum database.
#[derive(Clone, Debug)]
pub struct Database {
    key: VerifierKey,
    /// The key is that of sum.golang.org.
    is_public: bool,
    url: Url,
    /// The URL was given, rather than derived from the name.
    url_given: bool,
    /// Proxies that may pass it on, asked before a URL that was not given.
    pub(super) proxies: Vec<UpstreamConfig>,
    /// Proxies that may pass it on, asked if the URL does not answer.
    pub(super) fallbacks: Vec<UpstreamConfig>,
    /// The folder of an export, read instead of any address.
    pub(super) export: Option<PathBuf>,
    /// The login of `go`, for its own address.
    pub(super) login: Option<Credentials>,
    /// How long one exchange may take, a lookup with its tiles.
    pub(super) exchange: Duration,
}

/// Why a database setting cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// Nothing to verify against.
    #[error(
        "the database is {0:?}: sumgate proves every byte against a database; exempt modules with --nosumdb instead"
    )]
    Off(String),
    /// More than a name and a URL.
    #[error("the database {0:?} has more than two words: write NAME or NAME+HASH+KEY, then a URL if needed")]
    TooManyWords(String),
    /// A name without a built-in key.
    #[error("there is no built-in key for the database {0:?}: give its verifier key, NAME+HASH+KEY")]
    UnknownName(String),
    /// The verifier key is damaged: its text, and the fault.
    #[error("invalid verifier key {0:?}: {1}")]
    BadKey(String, String),
    /// The address is not an http(s) URL.
    #[error("invalid database URL {0:?}: it must start with https:// or http:// and have no ?, # or user name")]
    BadUrl(String),
}

impl Database {
    /// Parses GOSUMDB syntax.
    ///
    /// ```
    /// use sumgate::sumdb::Database;
    /// let database = Database::parse("sum.golang.org").unwrap();
    /// assert_eq!(database.url().as_str(), "https://sum.golang.org/");
    /// assert!(Database::parse("off").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, DatabaseError> {
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or("off");
        if name == "off" {
            return Err(DatabaseError::Off(typed_without_logins(text)));
        }
        let address = words.next();
        if words.next().is_some() {
            return Err(DatabaseError::TooManyWords(typed_without_logins(text)));
        }
        let key_text = match name {
            "sum.golang.org" | CHINA_ALIAS => SUM_GOLANG_ORG,
            other if other.contains('+') => other,
            other => return Err(DatabaseError::UnknownName(typed_without_logins(other))),
        };
        let key = VerifierKey::parse(key_text)
            .map_err(|error| DatabaseError::BadKey(key_text.to_owned(), error.to_string()))?;
        let url = match (address, name) {
            (Some(address), _) => parse_url(address)?,
            (None, CHINA_ALIAS) => parse_url(&format!("https://{CHINA_ALIAS}"))?,
            (None, _) => parse_url(&format!("https://{}", key.name()))?,
        };
        // Compared once: each request asks.
        let is_public = key.to_string() == SUM_GOLANG_ORG;
        Ok(Self {
            key,
            is_public,
            url,
            url_given: address.is_some(),
            proxies: Vec::new(),
            fallbacks: Vec::new(),
            export: None,
            login: None,
            exchange: EXCHANGE,
        })
    }

    /// Asks the proxies of a list first, as `go` does unless GOSUMDB has a URL.
    #[must_use]
    pub fn through_proxies(mut self, list: &ProxyList) -> Self {
        if !self.url_given {
            self.proxies = list.upstreams().to_vec();
        }
        self
    }

    /// Asks the proxies of a list if the database's own address does not answer.
    #[must_use]
    pub fn with_fallbacks(mut self, list: &ProxyList) -> Self {
        // A lookup contains a module path, and some proxies may not receive every path.
        self.fallbacks = list.upstreams().iter().filter(|proxy| proxy.scope.is_everything()).cloned().collect();
        self
    }

    /// Sends the login of `go` to its own address, and to the proxies that are asked first.
    #[must_use]
    pub fn as_go(mut self, login: &Credentials) -> Self {
        self.proxies = self.proxies.into_iter().map(|proxy| proxy.as_go(login)).collect();
        self.login = Some(login.clone());
        self
    }

    /// Limits one exchange, a lookup with its tiles, to this time.
    #[must_use]
    pub fn within(mut self, exchange: Duration) -> Self {
        self.exchange = exchange;
        self
    }

    /// Reads the database from an export: a folder with `latest`, `lookup/…` and `tile/…`.
    #[must_use]
    pub fn from_export(mut self, folder: PathBuf) -> Self {
        self.export = Some(folder);
        self
    }

    /// Its own addresses: only the given URL; else that of its name, and for the public database also that of its alias.
    pub(super) fn urls(&self) -> Vec<Url> {
        let mut urls = vec![self.url.clone()];
        if self.is_public() && !self.url_given {
            let names = [self.name(), CHINA_ALIAS].map(|name| Url::parse(&format!("https://{name}")));
            urls.extend(names.into_iter().flatten().filter(|url| *url != self.url));
        }
        urls
    }

    /// The key that verifies its heads.
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Its name, which may contain `/`.
    pub fn name(&self) -> &str {
        self.key.name()
    }

    /// Its address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether it is sum.golang.org, which must not receive private module paths.
    pub fn is_public(&self) -> bool {
        self.is_public
    }

    pub(super) fn asked_for(&self, what: impl fmt::Display) -> Question {
        Question { database: self.name().to_owned(), what: what.to_string() }
    }

    /// The error for an answer that does not verify.
    pub(super) fn unverified(&self, what: impl fmt::Display, cause: impl Into<LookupError>) -> SumdbError {
        SumdbError::Unverified(self.asked_for(what), cause.into())
    }

    /// Its value in GOSUMDB: the name if `go` has the key built in, else the key.
    pub fn for_go(&self) -> String {
        if self.is_public() { self.name().to_owned() } else { self.key.to_string() }
    }
}

fn parse_url(text: &str) -> Result<Url, DatabaseError> {
    let bad = || DatabaseError::BadUrl(typed_without_logins(text));
    let url = Url::parse(text).map_err(|_| bad())?;
    let plain =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() || !plain {
        return Err(bad());
    }
    Ok(url)
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if self.url_given {
            write!(f, " ({})", self.url.as_str().trim_end_matches('/'))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn every_form_of_gosumdb_is_parsed() {
        let alias = Database::parse("sum.golang.google.cn").unwrap();
        assert_eq!((alias.name(), alias.url().as_str()), ("sum.golang.org", "https://sum.golang.google.cn/"));
        let with_url = Database::parse("sum.golang.org  http://127.0.0.1:8080/base").unwrap();
        assert_eq!(with_url.url().as_str(), "http://127.0.0.1:8080/base");
        assert_eq!(with_url.for_go(), "sum.golang.org");
        assert_eq!(with_url.urls().len(), 1, "a given url is the only one");
        let shown = |database: Database| database.urls().into_iter().map(String::from).collect::<Vec<_>>();
        assert_eq!(shown(alias), ["https://sum.golang.google.cn/", "https://sum.golang.org/"]);
        assert_eq!(
            shown(Database::parse("sum.golang.org").unwrap()),
            ["https://sum.golang.org/", "https://sum.golang.google.cn/"]
        );
        let keyed = Database::parse(SUM_GOLANG_ORG).unwrap();
        assert_eq!(keyed.url().as_str(), "https://sum.golang.org/");
    }

    #[test]
    fn invalid_values_are_refused_without_credentials() {
        assert!(matches!(Database::parse("off"), Err(DatabaseError::Off(_))));
        assert!(matches!(Database::parse(""), Err(DatabaseError::Off(_))));
        assert!(matches!(Database::parse("sum.example.org"), Err(DatabaseError::UnknownName(_))));
        assert!(matches!(Database::parse("sum.golang.org a b"), Err(DatabaseError::TooManyWords(_))));
        assert!(matches!(Database::parse("sum.golang.org ftp://x"), Err(DatabaseError::BadUrl(_))));
        assert!(matches!(Database::parse("sum.golang.org http://u:p@x"), Err(DatabaseError::BadUrl(_))));
        for text in ["sum.golang.org https://u:word@x", "sum.golang.org a https://u:word@x", "https://u:word@x"] {
            let told = Database::parse(text).unwrap_err().to_string();
            assert!(told.contains("https://x") && !told.contains("word@"), "{told}");
        }
        let changed = SUM_GOLANG_ORG.replace("033de0ae", "033de0af");
        assert!(matches!(Database::parse(&changed), Err(DatabaseError::BadKey(..))));
    }
}
