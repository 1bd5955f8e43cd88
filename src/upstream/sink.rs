//! Where a download goes: to the one task that writes and hashes it.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::error::UpstreamError;

/// Bytes that wait for the writer: the network fills them anew while a core inflates what the writer holds. One part may be
/// larger, up to the largest read of hyper, 400 KiB.
const WAITING: u32 = 512 << 10;
/// Parts that wait for it: HTTP/2 has them of 16 KiB.
const PARTS: usize = 32;

/// Takes what a source gives. A writer that is slower than the network slows the download down.
#[derive(Debug)]
pub(crate) struct DownloadSink {
    parts: mpsc::Sender<Part>,
    room: Arc<Semaphore>,
}

/// What the writer is told. The end is that nothing comes any more.
#[derive(Debug)]
pub(crate) enum Part {
    /// The next bytes, and the room that they take until they are written.
    Bytes(Bytes, OwnedSemaphorePermit),
    /// The whole of a file that lies here, from its beginning, whoever else reads it.
    File(Arc<File>),
    /// All that came is void: the download starts over.
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
        // A writer that is gone tells itself what ended it.
        let gone = |_| UpstreamError::unwritten(io::ErrorKind::BrokenPipe.into());
        self.parts.send(part).await.map_err(gone)
    }
}
