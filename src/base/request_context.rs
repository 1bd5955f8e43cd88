//! Which request an event belongs to: its id, and the client that sent it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};

/// A proxy in front of the mirror may choose the id: nginx has 32 hexadecimal digits, a UUID has 36 characters.
const MAX_GIVEN: usize = 64;
/// The increment of SplitMix64, 2^64 divided by the golden ratio: odd, so that no number comes twice.
const INCREMENT: u64 = 0x9e37_79b9_7f4a_7c15;

/// One request over HTTP. Work without a client, such as a prefetch, has none.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    pub(crate) id: RequestId,
    pub(crate) client: IpAddr,
}

/// What is counted as one client: it may have all 2^64 addresses of an IPv6 network.
pub(crate) fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// It connects an answer with the lines of the log about it. It is not a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(Box<str>);

/// Makes the ids of one mirror: 16 hexadecimal digits, each once, also over restarts unless two random seeds are close.
#[derive(Debug)]
pub(crate) struct RequestIds {
    next: AtomicU64,
}

impl RequestIds {
    /// `seed` must be random.
    pub(crate) fn from_seed(seed: [u8; 8]) -> Self {
        Self { next: AtomicU64::new(u64::from_le_bytes(seed)) }
    }

    /// A system call for each request would cost more than the rest of a small answer; this is SplitMix64 without a lock.
    pub(crate) fn next(&self) -> RequestId {
        let mut bits = self.next.fetch_add(INCREMENT, Ordering::Relaxed);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        RequestId(hex::encode((bits ^ (bits >> 31)).to_be_bytes()).into())
    }
}

impl RequestId {
    /// The id that a trusted proxy gave the request, if it can stand in a header, a log and a terminal.
    pub(crate) fn given(value: &[u8]) -> Option<Self> {
        let is_safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        let is_valid = (1..=MAX_GIVEN).contains(&value.len()) && value.iter().all(is_safe);
        is_valid.then(|| Self(String::from_utf8_lossy(value).into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_id_is_another_one() {
        let (one, other) = (RequestIds::from_seed([0; 8]), RequestIds::from_seed([1; 8]));
        let ids: HashSet<String> =
            (0..1000).flat_map(|_| [&one, &other].map(|ids| ids.next().as_str().to_owned())).collect();
        assert_eq!(ids.len(), 2000);
        assert!(ids.iter().all(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:10.1.2.3"), "10.1.2.3");
    }

    #[test]
    fn an_id_of_a_proxy_is_short_and_plain() {
        for id in ["7", "0af7651916cd43dd8448eb211c80319c", "3d0c6a1e-1111-4222-8333-944445555666", "a.b_c"] {
            assert_eq!(RequestId::given(id.as_bytes()).map(|id| id.to_string()).as_deref(), Some(id));
        }
        for wrong in ["", "a b", "a\nb", "é", "<script>", "a;b", &"a".repeat(MAX_GIVEN + 1)] {
            assert_eq!(RequestId::given(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
