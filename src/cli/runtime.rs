//! The async runtime of a command.

use std::time::Duration;

use super::exit::Failure;
use super::sources::PRIVATE_AT_ONCE;
use crate::upstream::AT_ONCE;

/// How long other threads may finish work without a caller, such as the lookup of a name.
const ABORT_GRACE: Duration = Duration::from_secs(1);
/// Threads for blocking work, started when needed. A download in progress occupies one: those of 32 public upstreams, and of all
/// private ones. The rest is for hashing, the disk and name lookups; 512 is the default of tokio.
const BLOCKING_THREADS: usize = 32 * AT_ONCE + PRIVATE_AT_ONCE + 512;

/// Ends the runtime when dropped.
pub(super) struct Runtime(Option<tokio::runtime::Runtime>);

impl Runtime {
    pub(super) fn start() -> Result<Self, Failure> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.enable_all().max_blocking_threads(BLOCKING_THREADS).build();
        Ok(Self(Some(runtime.map_err(|error| Failure::host("start the async runtime", &error))?)))
    }

    /// Does the work of a command.
    pub(super) fn block_on<T>(self, work: impl Future<Output = T>) -> T {
        self.part(work)
    }

    /// Does a part of the work of a command.
    pub(super) fn part<T>(&self, work: impl Future<Output = T>) -> T {
        match &self.0 {
            Some(runtime) => runtime.block_on(work),
            None => unreachable!("it ends when it is dropped"),
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_timeout(ABORT_GRACE);
        }
    }
}
