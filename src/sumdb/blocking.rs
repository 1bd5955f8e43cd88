//! File work of the room, off the async threads.

use std::sync::Arc;

use super::error::SumdbError;

/// Runs file work off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SumdbError> + Send + 'static,
) -> Result<T, Arc<SumdbError>> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Arc::new),
        Err(broken) => Err(Arc::new(SumdbError::BrokenOff(broken.to_string()))),
    }
}
