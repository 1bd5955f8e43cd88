//! The address of the client, if requests come through a proxy.

use std::net::IpAddr;

use hyper::header::HeaderMap;
use ipnet::IpNet;

/// Proxies whose `X-Forwarded-For` is trusted.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedProxies(pub Vec<IpNet>);

impl TrustedProxies {
    /// The client: the last address in the header that is not a trusted proxy. It may have written the ones before.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if self.0.is_empty() {
            return client;
        }
        // An invalid address ends the search: the client may have written it.
        let lines = headers.get_all("x-forwarded-for").iter().rev().map(|value| value.to_str().unwrap_or_default());
        for word in lines.flat_map(|line| line.rsplit(',')) {
            if !self.trusts(client) {
                break;
            }
            let Some(before) = address(word.trim()) else { break };
            client = before;
        }
        client
    }

    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Some proxies add the port.
fn address(word: &str) -> Option<IpAddr> {
    let with_port = || word.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    let bare = word.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(word);
    bare.parse::<IpAddr>().ok().or_else(with_port).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn the_client_is_the_last_address_that_is_not_a_trusted_proxy() {
        let trusted = TrustedProxies(["10.0.0.0/8", "::1/128"].map(|net| net.parse().unwrap()).into());
        let client = |peer: &str, lines: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", hyper::header::HeaderValue::from_bytes(line).unwrap());
            }
            trusted.client(peer.parse().unwrap(), &headers).to_string()
        };
        assert_eq!(client("192.0.2.1", &[b"203.0.113.9"]), "192.0.2.1", "not from a trusted proxy");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[b"203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &[b"198.51.100.1, 203.0.113.9, 10.2.3.4"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &[b"198.51.100.1", b"203.0.113.9:4711"]), "203.0.113.9");
        assert_eq!(client("::1", &[b"[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(client("::ffff:10.0.0.1", &[b"unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[b"203.0.113.9", b"198.51.100.1\xff"]), "10.0.0.1");
        assert_eq!(
            TrustedProxies::default().client("10.0.0.1".parse().unwrap(), &HeaderMap::new()).to_string(),
            "10.0.0.1"
        );
    }
}
