//! Where the mirror listens: `ADDR:PORT`, `localhost:PORT`, or `:PORT` for all interfaces.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

/// Connections that the system accepts before the mirror does. The system may have a lower limit of its own.
const BACKLOG: i32 = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListenAddress {
    At(SocketAddr),
    /// All interfaces, IPv4 and IPv6, with this port.
    Everywhere(u16),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected ADDR:PORT with an IP address, localhost:PORT, or :PORT for all interfaces")]
pub(crate) struct ListenAddressError;

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        let port = |text: &str| text.parse().map_err(|_| ListenAddressError);
        if let Some(digits) = text.strip_prefix(':') {
            return Ok(Self::Everywhere(port(digits)?));
        }
        if let Some(digits) = text.strip_prefix("localhost:") {
            // As in Go, one address: the one of IPv4.
            return Ok(Self::At((Ipv4Addr::LOCALHOST, port(digits)?).into()));
        }
        text.parse().map(Self::At).map_err(|_| ListenAddressError)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Everywhere(port) => write!(f, ":{port}"),
        }
    }
}

impl ListenAddress {
    /// An address at which a client on this machine reaches a mirror that listens at `bound`.
    fn reachable(bound: SocketAddr) -> SocketAddr {
        let is_any = bound.ip().is_unspecified();
        if is_any { (Ipv4Addr::LOCALHOST, bound.port()).into() } else { bound }
    }

    /// Listens, and returns the address in the URL of the mirror too.
    pub(super) async fn listen(self) -> io::Result<(TcpListener, SocketAddr)> {
        let listener = match self {
            Self::At(address) => TcpListener::bind(address).await?,
            Self::Everywhere(port) => match both(port) {
                Err(error) if !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => {
                    // There is no IPv6 here.
                    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?
                }
                listener => listener?,
            },
        };
        let bound = listener.local_addr()?;
        Ok((listener, Self::reachable(bound)))
    }
}

/// A socket for IPv6 and, whatever the default of the system, for IPv4.
fn both(port: u16) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    socket.set_only_v6(false)?;
    // As `TcpListener::bind` does: a restart must not wait for old connections to time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn the_forms_of_an_address() {
        for (text, address) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::1]:8080", "[::1]:8080"),
            (":8080", ":8080"),
            ("localhost:8080", "127.0.0.1:8080"),
        ] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), address, "{text}");
        }
        for wrong in
            ["", ":", "8080", "localhost", "localhost:", ":65536", "::1:80", "a.example:80", "127.0.0.1", ":http"]
        {
            assert_eq!(wrong.parse::<ListenAddress>().unwrap_err(), ListenAddressError, "{wrong}");
        }
    }
}
