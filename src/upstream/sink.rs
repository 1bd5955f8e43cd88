//! The channel from a download to the task that writes and hashes it.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::error::UpstreamError;

/// Bytes that wait for the writer, enough for the network while the writer inflates a part. One part may be up to 400 KiB, the
/// largest read of hyper.
const WAITING: u32 = 512 << 10;
/// Parts that wait for the writer; those of HTTP/2 have 16 KiB.
const PARTS: usize = 32;

/// Receives the parts of a download. A slow writer slows the download down.
#[derive(Debug)]
pub(crate) struct DownloadSink {
    parts: mpsc::Sender<Part>,
    room: Arc<Semaphore>,
}

/// One message to the writer. The download ends when the channel closes.
#[derive(Debug)]
pub(crate) enum Part {
    /// The next bytes, and the permit that they hold until they are written.
    Bytes(Bytes, OwnedSemaphorePermit),
    /// A whole local file, from its beginning. Other tasks may read the same open file.
    File(Arc<File>),
    /// Discard all previous parts: the download starts again.
    StartOver,
}

impl DownloadSink {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Part>) {
        let (sender, parts) = mpsc::channel(PARTS);
        (Self { parts: sender, room: Arc::new(Semaphore::new(WAITING as usize)) }, parts)
    }

    /// Waits for room.
    pub(crate) async fn send_bytes(&self, bytes: Bytes) -> Result<(), UpstreamError> {
        let length = u32::try_from(bytes.len()).map_or(WAITING, |length| length.min(WAITING));
        let room = Arc::clone(&self.room).acquire_many_owned(length).await;
        let room = room.map_err(|_| UpstreamError::unwritten(io::ErrorKind::BrokenPipe.into()))?;
        self.send(Part::Bytes(bytes, room)).await
    }

    pub(crate) async fn send(&self, part: Part) -> Result<(), UpstreamError> {
        // The writer reports its own error.
        let gone = |_| UpstreamError::unwritten(io::ErrorKind::BrokenPipe.into());
        self.parts.send(part).await.map_err(gone)
    }
}
