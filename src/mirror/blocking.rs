//! File work off the async threads.

use super::error::MirrorError;
use crate::flight::BrokenOff;

/// Runs file work off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MirrorError> + Send + 'static,
) -> Result<T, MirrorError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| BrokenOff)?
}
