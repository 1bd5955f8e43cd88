//! The async runtime of a command.

use std::time::Duration;

use super::exit::Failure;

/// How long other threads may finish work that nobody waits for any more, such as the lookup of a name.
const ABORT_GRACE: Duration = Duration::from_secs(1);

pub(super) struct Runtime(tokio::runtime::Runtime);

impl Runtime {
    pub(super) fn start() -> Result<Self, Failure> {
        let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::host("start the async runtime", &error));
        Ok(Self(runtime?))
    }

    /// Does the work of a command.
    pub(super) fn block_on<T>(self, work: impl Future<Output = T>) -> T {
        let done = self.0.block_on(work);
        self.0.shutdown_timeout(ABORT_GRACE);
        done
    }
}
