//! Internal addresses: on this machine, or in a network that the internet does not reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Whether an address is internal, by the registries of special addresses (RFC 6890 and its successors at IANA).
///
/// Documentation addresses (RFC 5737, RFC 3849) and benchmark addresses (198.18.0.0/15, which some VPN clients substitute for
/// public ones) count as public.
pub(super) fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_inside_v4(v4),
        IpAddr::V6(v6) => embedded(v6).map_or_else(|| is_inside_v6(v6), is_inside_v4),
    }
}

fn is_inside_v4(v4: Ipv4Addr) -> bool {
    let [first, second, third, _] = v4.octets();
    // This network (0.0.0.0/8, on Linux this machine), shared address space (100.64.0.0/10), protocol assignments
    // (192.0.0.0/24), and from 240.0.0.0 on reserved addresses and the broadcast.
    let special =
        first == 0 || (first == 100 && second & 0xc0 == 64) || (first, second, third) == (192, 0, 0) || first >= 240;
    // Link-local addresses include the metadata services of clouds (169.254.169.254).
    special || v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_multicast()
}

fn is_inside_v6(v6: Ipv6Addr) -> bool {
    let first = v6.segments()[0];
    // fec0::/10 is the predecessor of fc00::/7; 64:ff9b:1::/48 translates to internal IPv4 addresses (RFC 8215).
    let special = first & 0xffc0 == 0xfec0 || v6.segments()[..3] == [0x64, 0xff9b, 1];
    let local = v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local() || v6.is_unique_local();
    special || local || v6.is_multicast()
}

/// The IPv4 address inside an IPv6 address: mapped (`::ffff:0:0/96`), compatible (`::/96`), translated
/// (`64:ff9b::/96`, RFC 6052) or by 6to4 (`2002::/16`).
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(of(high, low))
        }
        _ => None,
    }
}

/// The address of a URL without a host name.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(v4) => Some(v4.into()),
        Host::Ipv6(v6) => Some(v6.into()),
        Host::Domain(_) => None,
    }
}

/// Whether the host of a URL is `localhost` or below it (RFC 6761 section 6.3).
pub(super) fn names_this_machine(url: &Url) -> bool {
    // The parser of URLs converts host names to lower case.
    let name = url.host_str().unwrap_or_default().trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn internal_addresses_are_recognized() {
        let inside_addresses = "0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.0.1 \
             169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.168.0.1 224.0.0.1 \
             239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 \
             ::ffff:169.254.169.254 64:ff9b::10.0.0.1 64:ff9b:1::8.8.8.8 2002:7f00:1:: 2002:a9fe:a9fe::1 \
             fc00::1 fd00:ec2::254 fdff::1 fe80::1 febf::1 fec0::1 ff02::1";
        for inside in inside_addresses.split_whitespace() {
            assert!(is_inside(inside.parse().unwrap()), "{inside}");
        }
        let public_addresses = "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 \
             169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.2.1 192.167.0.1 192.169.0.1 \
             198.18.0.1 223.255.255.255 ::8.8.8.8 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1 \
             2606:4700:4700::1111 2a00:1450:4001:82b::2010 fbff::1";
        for public in public_addresses.split_whitespace() {
            assert!(!is_inside(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn an_address_in_a_url_is_recognized_in_any_notation() {
        for url in [
            "http://127.0.0.1",
            "http://127.1",
            "http://2130706433",
            "http://0x7f.0.0.1",
            "http://0177.1",
            "http://127.0.0.1.",
            "http://[::1]",
            "http://[::ffff:127.0.0.1]",
            "http://①②⑦.0.0.1",
            "https://[fe80::1]",
        ] {
            let address = literal(&Url::parse(url).unwrap());
            assert!(address.is_some_and(is_inside), "{url}: {address:?}");
        }
        for url in ["http://localhost", "http://LOCALHOST.:80", "http://a.localhost/x"] {
            assert!(names_this_machine(&Url::parse(url).unwrap()), "{url}");
        }
        for url in ["http://localhost.example", "http://notlocalhost", "http://a.example"] {
            assert!(!names_this_machine(&Url::parse(url).unwrap()), "{url}");
        }
    }
}
