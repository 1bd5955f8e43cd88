//! Writes of batches that go on while the answers are used already.
//!
//! They store what is authenticated at every read: a crash before their end costs requests. Who reads it from the disk again, and
//! who ends the process, waits for them.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Records or tiles that are written while the answers are used: more than one lookup has. Few are written before their answer,
/// so that a process that looks up one module may end at any time after it.
pub(super) const MANY: usize = 16;
/// Writes at the same time: the tiles and the records of a batch, some tens of megabytes at most.
const MAX: u32 = 2;

/// The writes of one client. Clones share them.
#[derive(Clone)]
pub(super) struct Writes(Arc<Semaphore>);

impl Default for Writes {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX as usize)))
    }
}

impl Writes {
    /// Starts a write that blocks on the disk, once there is room for it.
    pub(super) async fn start(&self, write: impl FnOnce() + Send + 'static) {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&self.0).acquire_owned().await else { return };
        spawn_blocking(move || {
            let _permit = permit;
            write();
        });
    }

    /// Returns once all that were started have ended.
    pub(super) async fn ended(&self) {
        let _ = self.0.acquire_many(MAX).await;
    }
}
