//! Timeouts of requests, and TTLs of answers.

use std::time::Duration;

/// The timeouts of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The handshake; below Go's own dial timeout of 30 s.
    pub connect: Duration,
    /// From the request to the headers of the answer: a proxy may clone a repository first.
    pub first_byte: Duration,
    /// Between two chunks of a body: longer than TCP needs to recover from a lost route.
    pub stall: Duration,
    /// The whole request: a module zip of the largest size (500 MiB) at 1 MB/s, rounded up.
    pub whole: Duration,
}

impl Timeouts {
    /// Those of a checksum database, whose answers have at most some kilobytes; `sumdb` limits an exchange as a whole. A lookup
    /// may take its time, because the database may fetch the module first.
    pub(crate) fn of_database(first_byte: Duration) -> Self {
        Self {
            // Twice the longest round trip on earth, and one lost packet.
            connect: Duration::from_secs(3),
            first_byte,
            stall: Duration::from_secs(5),
            // Hundreds of tiles may share a slow line.
            whole: Duration::from_secs(60),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(60),
            stall: Duration::from_secs(30),
            whole: Duration::from_secs(15 * 60),
        }
    }
}

/// How long unproved answers are cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttls {
    /// A 404 or 410.
    pub absent: Duration,
    /// A version list, `@latest` or a query, before it is revalidated.
    pub fresh: Duration,
    /// The same while no source answers.
    pub stale: Duration,
    /// How long a request waits for the record of a version that a source has, but not yet the database. `None` refuses such a
    /// version immediately.
    pub hold: Option<Duration>,
}

impl Default for Ttls {
    fn default() -> Self {
        // Every `go get a/b/c` asks for all prefixes; a new version is wanted within minutes.
        Self {
            absent: Duration::from_secs(60),
            fresh: Duration::from_secs(60),
            // An outage overnight.
            stale: Duration::from_secs(24 * 3600),
            hold: None,
        }
    }
}
