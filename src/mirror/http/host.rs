//! Which hosts a request may name.
//!
//! A web page can point its own name to this machine (DNS rebinding) and then read answers of the mirror. The browser still
//! sends the name of the page as `Host`, so the mirror answers requests for its own names only.

use std::net::{IpAddr, Ipv6Addr};

use hyper::Version;
use hyper::header::{HOST, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;

use crate::base::text::safe_start;

/// A DNS name has at most 253 characters (RFC 1035, 2.3.4, in text form).
const MAX_NAME: usize = 253;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hosts {
    /// Every IP address, since a page cannot have one as its name; `localhost`; and these names.
    Named(Vec<String>),
    /// Only this host and port.
    Own(String),
}

impl Default for Hosts {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a valid host name: expected one such as mirror.example.com, without scheme, port and path")]
pub(crate) struct HostError(String);

impl Hosts {
    pub(crate) fn named(names: &[String]) -> Result<Self, HostError> {
        let is_name = |name: &str| {
            let of_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            (1..=MAX_NAME).contains(&name.len()) && name.chars().all(of_name)
        };
        match names.iter().find(|name| !is_name(name)) {
            Some(wrong) => Err(HostError(wrong.clone())),
            None => Ok(Self::Named(names.iter().map(|name| canonical(name)).collect())),
        }
    }

    /// Why a request is refused, if it is: it names another host, none, or several.
    pub(super) fn refuses(&self, head: &Parts) -> Option<String> {
        let mut named = head.headers.get_all(HOST).iter().map(HeaderValue::as_bytes).peekable();
        // Health checks send such requests. A page in a browser cannot.
        if matches!(self, Self::Named(_)) && head.version == Version::HTTP_10 && named.peek().is_none() {
            return None;
        }
        let (Some(Ok(host)), None) = (named.next().map(std::str::from_utf8), named.next()) else {
            return Some("this mirror answers only requests with exactly one Host header".to_owned());
        };
        // The URL may name a host too, as in requests to a proxy.
        let authority = head.uri.authority().map(Authority::as_str);
        let wrong = [Some(host), authority].into_iter().flatten().find(|host| !self.has(host))?;
        Some(match self {
            Self::Own(_) => "this mirror answers only requests for its own address".to_owned(),
            Self::Named(_) => {
                let shown = safe_start(wrong, MAX_NAME);
                format!(
                    "{shown:?} is not a host name of this mirror: expected an IP address, localhost, or a name given with \
                     --host NAME. If it is a name of this mirror, start it with that flag (SUMGATE_HOST)"
                )
            }
        })
    }

    fn has(&self, host: &str) -> bool {
        match self {
            Self::Own(own) => own == host,
            Self::Named(names) => without_port(host).is_some_and(|name| {
                let is_known = |name: String| is_address(&name) || name == "localhost" || names.contains(&name);
                is_address(name) || is_known(canonical(name))
            }),
        }
    }
}

/// The name in a `name:port`, where the port may be missing.
fn without_port(host: &str) -> Option<&str> {
    let at = host.rfind(':').filter(|at| !host[*at..].contains(']'));
    let (name, port) = at.map_or((host, ""), |at| (&host[..at], &host[at + 1..]));
    port.bytes().all(|byte| byte.is_ascii_digit()).then_some(name)
}

/// Without regard to case and to the final dot.
fn canonical(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_suffix('.').map(str::to_owned).unwrap_or(name)
}

/// Whether this is an IP address as URLs have it: IPv6 in brackets.
fn is_address(name: &str) -> bool {
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => name.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn addresses_localhost_and_given_names_are_served() {
        let hosts = Hosts::named(&["Mirror.example.com".to_owned(), "cache".to_owned()]).unwrap();
        for own in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "10.1.2.3:1",
            "[::1]:8080",
            "[fe80::1]",
            "localhost",
            "LOCALHOST:8080",
            "mirror.example.com",
            "mirror.EXAMPLE.com.:443",
            "cache:",
        ] {
            assert!(hosts.has(own), "{own}");
        }
        for other in [
            "evil.example",
            "evil.example:8080",
            "mirror.example.com.evil.example",
            "x.cache",
            "127.0.0.1.evil.example",
            "127.1",
            "0x7f.1",
            "::1",
            "::1:80",
            "[::1",
            "[evil]",
            "localhost.evil.example",
            "localhost:80@evil.example",
            "evil.example:80:localhost",
            "",
            ":80",
            ".",
        ] {
            assert!(!hosts.has(other), "{other}");
        }
        assert!(Hosts::Own("127.0.0.1:1".to_owned()).has("127.0.0.1:1"));
        assert!(!Hosts::Own("127.0.0.1:1".to_owned()).has("localhost:1"));
    }

    #[test]
    fn invalid_names_are_refused() {
        for wrong in ["", "http://a", "a:80", "a/b", "a b", "*", &"a".repeat(254)] {
            assert!(Hosts::named(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
