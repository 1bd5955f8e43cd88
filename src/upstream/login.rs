//! Logins for sources, read from files and environment variables or given by the commands of GOAUTH, never by the settings.
//!
//! A login is sent as `Authorization` (RFC 9110 section 11.6.2): `Bearer` (RFC 6750) or `Basic` (RFC 7617), only over TLS or to
//! this machine (`127.0.0.0/8`, `::1`, `localhost`), where a proxy may run beside the mirror. Credentials have no `Display`,
//! their `Debug` shows nothing, and an error never quotes a secret.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode};
use url::Url;

use super::authorization::{authorization, basic};
use super::goauth::{GoAuth, GoAuthError};
use super::inside::literal;
use super::netrc::{self, authority, login_for};
use crate::base::bounded::text_bounded;
use crate::base::clock::Clock;
use crate::base::tree::open_file;
use crate::go::environment::{GoEnv, GoEnvError};

/// A token has up to a few thousand bytes.
const MAX_SECRET: u64 = 64 << 10;

/// How to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// With the login and password of the host in `.netrc`.
    Netrc,
    /// With a token.
    Bearer(Secret),
    /// With a name and a password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// With the commands of this GOAUTH; `None` is that of `go env GOAUTH`.
    GoAuth(Option<String>),
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// This file has only the secret in it.
    File(PathBuf),
    /// This environment variable.
    Variable(String),
}

impl fmt::Display for Secret {
    /// The place, never the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Variable(name) => write!(f, "the variable {name}"),
        }
    }
}

/// Why there is no login.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The place of `.netrc` is unknown.
    #[error("cannot find .netrc: there is no home folder, and NETRC is not set")]
    NoHome,
    /// `.netrc` does not name the machine, or not with both.
    #[error(
        "{} has no login and password for {machine}: expected a line \"machine {machine} login NAME password PASSWORD\"",
        netrc.display()
    )]
    NotInNetrc {
        /// Which file.
        netrc: PathBuf,
        /// The host, with its port unless it is the usual one.
        machine: String,
    },
    /// The secret is missing or malformed.
    #[error("{0} {1}")]
    Invalid(Secret, String),
    /// The file cannot be opened.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The secret has a control character.
    #[error("the secret has characters that are not valid in an HTTP header")]
    InvalidHeader,
    /// The value of GOAUTH is invalid.
    #[error(transparent)]
    GoAuth(#[from] GoAuthError),
    /// `go env` failed.
    #[error(transparent)]
    GoEnv(#[from] GoEnvError),
}

/// The headers of a login.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    /// The value of `Authorization`.
    Fixed(HeaderValue),
    GoAuth(Arc<GoAuth>),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

impl Credentials {
    fn basic(user: &str, password: &str) -> Result<Self, LoginError> {
        Ok(Self(Kind::Fixed(basic(user, password).map_err(|_| LoginError::InvalidHeader)?)))
    }

    /// Those that `go` sends if this is its GOAUTH: nothing is read, and no command runs, before the first request.
    pub fn of_go(goauth: &str) -> Self {
        Self(Kind::GoAuth(Arc::new(GoAuth::of_go(goauth, netrc::path().as_deref(), Clock::System))))
    }

    /// Runs the commands that give logins, if they have not run yet.
    pub(crate) async fn prepare(&self, url: &Url) {
        self.headers(url).await;
    }

    /// The login in a URL, if it is text.
    pub(super) fn in_url(url: &Url) -> Option<Self> {
        let text = |part: &str| percent_decode_str(part).decode_utf8().ok().map(String::from);
        let (user, password) = (text(url.username())?, text(url.password().unwrap_or_default())?);
        if has_login(url) { Self::basic(&user, &password).ok() } else { None }
    }

    /// The headers of a request for this URL, which a login may be sent to.
    pub(super) async fn headers(&self, url: &Url) -> HeaderMap {
        match &self.0 {
            Kind::Fixed(value) => HeaderMap::from_iter([(AUTHORIZATION, value.clone())]),
            Kind::GoAuth(commands) => commands.headers(url).await,
        }
    }

    /// A server answered a request with the headers that were `sent`.
    pub(super) fn answered(&self, url: &Url, sent: &HeaderMap, status: StatusCode) {
        if let Kind::GoAuth(commands) = &self.0 {
            commands.answered(url, sent, status);
        }
    }

    /// Other headers than those that were `sent` in a request that was refused, if there are others now.
    pub(super) async fn renewed(&self, url: &Url, sent: HeaderMap, refusal: &Response) -> Option<HeaderMap> {
        match &self.0 {
            Kind::Fixed(_) => None,
            Kind::GoAuth(commands) => commands.renewed(url, sent, refusal).await,
        }
    }
}

impl Login {
    /// Reads the secret for the source at `url`. Blocks.
    pub fn read(&self, url: &Url) -> Result<Credentials, LoginError> {
        match self {
            Self::Netrc => {
                let path = netrc::path().ok_or(LoginError::NoHome)?;
                let text = netrc::read(&path);
                let text = text.map_err(|cause| LoginError::Unreadable { path: path.clone(), cause })?;
                match login_for(&text, url) {
                    Some((user, password)) => Credentials::basic(&user, &password),
                    None => Err(LoginError::NotInNetrc { netrc: path, machine: authority(url) }),
                }
            }
            Self::Bearer(secret) => {
                let token = secret.read()?;
                if token.contains(char::is_whitespace) {
                    return Err(secret.invalid("has white space in it, which is not valid in a token"));
                }
                let value = authorization("Bearer", &token).map_err(|_| LoginError::InvalidHeader)?;
                Ok(Credentials(Kind::Fixed(value)))
            }
            Self::Basic { user, password } => Credentials::basic(user, &password.read()?),
            Self::GoAuth(value) => {
                let value =
                    value.clone().map_or_else(|| Ok(GoEnv::read()?.get("GOAUTH").to_owned()), Ok::<_, LoginError>)?;
                Ok(Credentials(Kind::GoAuth(Arc::new(GoAuth::new(&value, netrc::path().as_deref(), Clock::System)?))))
            }
        }
    }
}

impl Secret {
    /// The secret is invalid. `why` continues the message after the name of its place.
    pub(crate) fn invalid(&self, why: &str) -> LoginError {
        LoginError::Invalid(self.clone(), why.to_owned())
    }

    /// Reads it. Blocks.
    pub(crate) fn read(&self) -> Result<String, LoginError> {
        let text = match self {
            Self::File(path) => {
                let file = open_file(path);
                let file = file.map_err(|cause| LoginError::Unreadable { path: path.clone(), cause })?;
                let text = text_bounded(file, MAX_SECRET).map_err(|_| self.invalid("is not text"))?;
                text.ok_or_else(|| self.invalid(&format!("has more than {MAX_SECRET} bytes")))?
            }
            Self::Variable(name) => std::env::var(name).map_err(|_| self.invalid("is not set"))?,
        };
        // Editors end a file with a line break.
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() { Err(self.invalid("is empty")) } else { Ok(text.to_owned()) }
    }
}

/// Whether a login may be sent to this address.
pub fn may_log_in(url: &Url) -> bool {
    let is_local = literal(url).is_some_and(|ip| ip.is_loopback()) || url.host_str() == Some("localhost");
    url.scheme() == "https" || (url.scheme() == "http" && is_local)
}

pub(super) fn has_login(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn value(credentials: &Credentials) -> HeaderValue {
        let Kind::Fixed(value) = &credentials.0 else { panic!("no fixed header") };
        value.clone()
    }

    #[test]
    fn secrets_are_read_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            Secret::File(folder.path().join(name))
        };
        let url = Url::parse("https://a.example").unwrap();
        let bearer = Login::Bearer(write("token", "abc123\n")).read(&url).unwrap();
        assert_eq!(value(&bearer), "Bearer abc123");
        assert_eq!(format!("{bearer:?} {:?}", value(&bearer)), "Credentials(…) Sensitive");
        let basic = Login::Basic { user: "me".to_owned(), password: write("password", "open sesame") };
        assert_eq!(value(&basic.read(&url).unwrap()), "Basic bWU6b3BlbiBzZXNhbWU=");
        for wrong in ["", "\n", "abc 123", "abc\n123\n", "abc\u{1}23"] {
            let words = Login::Bearer(write("wrong", wrong)).read(&url).unwrap_err().to_string();
            assert!(!words.contains("123"), "{words}");
        }
        assert!(Login::Bearer(Secret::File(folder.path().join("nothing"))).read(&url).is_err());
    }

    #[test]
    fn logins_go_only_over_tls_or_to_this_machine() {
        let may = |url: &str| may_log_in(&Url::parse(url).unwrap());
        for right in ["https://a.example", "http://127.0.0.1:8080", "http://[::1]", "http://localhost/go"] {
            assert!(may(right), "{right}");
        }
        for wrong in
            ["http://a.example", "http://10.0.0.1", "http://localhost.a.example", "file:///etc", "http://127.example"]
        {
            assert!(!may(wrong), "{wrong}");
        }
    }
}
