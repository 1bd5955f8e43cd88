//! What is true at the moment of a scrape.

use std::time::Duration;

#[derive(Clone, Debug, Default)]
pub(crate) struct Gauges {
    /// Whether a load balancer should send requests.
    pub(crate) is_ready: bool,
    pub(crate) databases: Vec<DatabaseGauges>,
    pub(crate) sources: Vec<SourceGauges>,
    /// Free bytes of the file system with the data folder, and all that it has.
    pub(crate) disk: Option<(u64, u64)>,
    pub(crate) quarantine_files: Option<u64>,
    pub(crate) connections: u64,
    /// Zips that are being hashed.
    pub(crate) hashing: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct DatabaseGauges {
    pub(crate) name: String,
    pub(crate) tree_size: u64,
    /// Since the database last showed a head, or since the start, and how much is allowed; `None` if nobody asks for heads.
    pub(crate) head_age: Option<(Duration, Duration)>,
    pub(crate) is_forked: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct SourceGauges {
    /// Its label.
    pub(crate) name: String,
    /// It did not fail repeatedly without an answer since, and sent no wrong bytes recently.
    pub(crate) is_available: bool,
    /// Requests that wait for a slot.
    pub(crate) waiting: u64,
}
