//! HTTP_PROXY, HTTPS_PROXY and NO_PROXY, read as `go` reads them (`golang.org/x/net/http/httpproxy`).

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use crate::base::without_login::typed_address_without_login;

/// Schemes of proxies that the HTTP client can use, as `go` names them.
const SCHEMES: [&str; 4] = ["http", "https", "socks5", "socks5h"];

/// A variable that names no usable proxy. A direct connection instead would go around a rule of the network.
#[derive(Debug, thiserror::Error)]
#[error(
    "{variable} has an invalid proxy address: expected http://, https:// or socks5:// with a host, found {found:?}"
)]
pub(super) struct InvalidProxy {
    variable: &'static str,
    found: String,
}

/// The proxies of the environment. ALL_PROXY is not read.
#[derive(Clone, Debug, Default)]
pub(super) struct ProxyVariables {
    http: Option<Url>,
    https: Option<Url>,
    exceptions: Vec<Exception>,
}

/// An element of NO_PROXY.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    All,
    Network(IpNet),
    Address(IpAddr, Option<u16>),
    /// A domain with a leading dot, and whether the name without the dot is excepted too.
    Domain(String, bool, Option<u16>),
    /// No port can equal what was written as one.
    Never,
}

impl ProxyVariables {
    pub(super) fn of_environment() -> Result<Self, InvalidProxy> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads the variables; the upper-case name wins, and an empty value counts as unset.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidProxy> {
        let either = |upper: &str| {
            let set = |name: &str| variable(name).filter(|value| !value.is_empty());
            set(upper).or_else(|| set(&upper.to_ascii_lowercase()))
        };
        let proxy = |name| either(name).map(|value| proxy(name, &value)).transpose();
        let no_proxy = either("NO_PROXY").unwrap_or_default();
        Ok(Self {
            http: proxy("HTTP_PROXY")?,
            https: proxy("HTTPS_PROXY")?,
            exceptions: no_proxy.split(',').filter_map(|element| exception(&element.trim().to_lowercase())).collect(),
        })
    }

    /// The proxy for a request to `url`. Requests to this machine have none.
    pub(super) fn proxy(&self, url: &Url) -> Option<&Url> {
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !is_this_machine(url) && !self.exceptions.iter().any(|one| one.covers(url)))
    }
}

/// The address of a proxy. Without a scheme it is an http proxy.
fn proxy(variable: &'static str, value: &str) -> Result<Url, InvalidProxy> {
    let is_scheme = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric());
    let has_scheme = value.split_once("://").is_some_and(|(start, _)| is_scheme(start));
    let address = if has_scheme { value.to_owned() } else { format!("http://{value}") };
    let url = Url::parse(&address).ok().filter(Url::has_host);
    let Some(mut url) = url.filter(|url| SCHEMES.contains(&url.scheme())) else {
        return Err(InvalidProxy { variable, found: typed_address_without_login(&address) });
    };
    // The proxy looks names up, as with `go`.
    if url.scheme() == "socks5" {
        let _ = url.set_scheme("socks5h");
    }
    Ok(url)
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
        None => false,
    }
}

fn exception(element: &str) -> Option<Exception> {
    if element == "*" {
        return Some(Exception::All);
    }
    if let Ok(network) = element.parse() {
        return Some(Exception::Network(network));
    }
    let (host, port) = split_port(element);
    if host.is_empty() {
        return None;
    }
    let port = match port {
        None | Some("") => None,
        Some(port) => match port.parse() {
            Ok(port) => Some(port),
            Err(_) => return Some(Exception::Never),
        },
    };
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(Exception::Address(address.to_canonical(), port));
    }
    // `*.example.com` is `.example.com`; `example.com` covers itself and the names below it.
    let domain = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
    let is_itself = !domain.starts_with('.');
    let bare = domain.strip_prefix('.').unwrap_or(domain);
    let bare = Host::parse(bare).map_or_else(|_| bare.to_owned(), |host| host.to_string());
    Some(Exception::Domain(format!(".{bare}"), is_itself, port))
}

/// `host:port`, `[v6]:port`; an IPv6 address alone has no port.
fn split_port(element: &str) -> (&str, Option<&str>) {
    if let Some(rest) = element.strip_prefix('[')
        && let Some((host, port)) = rest.split_once("]:")
    {
        return (host, Some(port));
    }
    match element.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (element, None),
    }
}

impl Exception {
    fn covers(&self, url: &Url) -> bool {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address).to_canonical()),
            _ => None,
        };
        let at = |port: &Option<u16>| port.is_none() || *port == url.port_or_known_default();
        match (self, address) {
            (Self::All, _) => true,
            (Self::Network(network), Some(address)) => network.contains(&address),
            (Self::Address(excepted, port), Some(address)) => *excepted == address && at(port),
            (Self::Domain(domain, is_itself, port), None) => {
                let host = url.host_str().unwrap_or_default();
                (host.ends_with(domain) || (*is_itself && host == &domain[1..])) && at(port)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::collections::BTreeMap;

    use super::*;

    /// Go itself answered each of these (the trial `proxies: ...` asks it again).
    const CASES: &str = include_str!("proxy_cases.txt");

    #[test]
    fn go_and_the_mirror_take_the_same_proxy_for_every_url() {
        let mut answers = 0;
        for case in CASES.split("\n\n").skip(1) {
            let variables: BTreeMap<&str, &str> = case.lines().filter_map(|line| line.trim().split_once('=')).collect();
            let read = |name: &str| variables.get(name).map(|value| (*value).to_owned());
            let proxies = ProxyVariables::read(read).unwrap();
            for (url, expected) in case.lines().filter_map(|line| line.strip_prefix("  ")?.split_once(' ')) {
                let found = proxies.proxy(&Url::parse(url).unwrap());
                let found =
                    found.map_or_else(|| "-".to_owned(), |proxy| proxy.as_str().trim_end_matches('/').to_owned());
                assert_eq!(found, expected, "{url} with {variables:?}");
                answers += 1;
            }
        }
        assert!(answers > 600, "{answers}");
    }

    #[test]
    fn an_unusable_proxy_is_an_error_and_shows_no_password() {
        let read = |value: &str| {
            let value = value.to_owned();
            ProxyVariables::read(move |name| (name == "HTTPS_PROXY").then(|| value.clone()))
        };
        for (wrong, shown) in [
            ("ftp://me:word@proxy.example", "ftp://proxy.example"),
            ("https://", "https://"),
            ("proxy .example", "http://proxy .example"),
            ("gopher://proxy.example:70", "gopher://proxy.example:70"),
            // Without a scheme, and with characters that end a login in a url.
            ("me:word@proxy.example:99999", "http://proxy.example:99999"),
            ("me:w#word@proxy.example:3128", "http://proxy.example:3128"),
            ("me:w/word@proxy.example:3128", "http://proxy.example:3128"),
            ("me:w?word@proxy.example:3128", "http://proxy.example:3128"),
            ("me:word, word|word@word@proxy.example:99999/x y", "http://proxy.example:99999/x y"),
            ("me:word://word@proxy.example:99999", "http://proxy.example:99999"),
            ("https://me:w#word@proxy.example:3128", "https://proxy.example:3128"),
        ] {
            let message = read(wrong).map(|_| wrong).unwrap_err().to_string();
            assert!(message.starts_with("HTTPS_PROXY has an invalid proxy address: expected http://"), "{message}");
            assert!(message.ends_with(&format!("found {shown:?}")), "{message}");
            assert!(!message.contains("word"), "{message}");
        }
        let socks = read("socks5://me:word@proxy.example:1080").unwrap();
        let proxy = socks.proxy(&Url::parse("https://a.example").unwrap()).unwrap();
        assert_eq!(proxy.as_str(), "socks5h://me:word@proxy.example:1080", "the proxy looks the name up");
    }
}
