//! How long a source may take, and how long it is believed.

use std::time::Duration;

/// How long each part of a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// The handshake. One that takes longer does not get better by waiting; below Go's own 30 s dial time-out.
    pub connect: Duration,
    /// From the request to the head of the answer. A proxy may have to clone a repository first.
    pub first_byte: Duration,
    /// Between two pieces of a body. Longer than a TCP connection takes to recover from a lost route.
    pub stall: Duration,
    /// All of it: a module zip of the largest size (500 MiB) at 1 MB/s, rounded up.
    pub whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_mins(1),
            stall: Duration::from_secs(30),
            whole: Duration::from_mins(15),
        }
    }
}

/// How long what cannot be proved is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttls {
    /// A source's 404 or 410.
    pub absent: Duration,
    /// A version list, `@latest` or a query, without asking whether it changed.
    pub fresh: Duration,
    /// The same, while no source answers.
    pub stale: Duration,
    /// How long a request waits for the record of a version that a source has and the database does not have yet. Without
    /// it such a version is refused at once.
    pub hold: Option<Duration>,
}

impl Default for Ttls {
    fn default() -> Self {
        // `go get a/b/c` asks for every prefix, in every build; a version that was just tagged is wanted within minutes.
        Self {
            absent: Duration::from_mins(1),
            fresh: Duration::from_mins(1),
            // A night and a morning: somebody mends the network.
            stale: Duration::from_hours(24),
            hold: None,
        }
    }
}
