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
    received: Option<Received>,
}

/// The bytes of a body that were received before, and its strong entity tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) bytes: u64,
    pub(crate) tag: String,
}

/// One message to the writer. A download that ends without `End` is incomplete.
#[derive(Debug)]
pub(crate) enum Part {
    /// The next bytes, and the permit that they hold until they are written.
    Bytes(Bytes, OwnedSemaphorePermit),
    /// A whole local file, from its beginning. Other tasks may read the same open file.
    File(Arc<File>),
    /// Discard all previous parts: the download starts again.
    StartOver,
    /// The strong entity tag of the body that the next bytes belong to, if it has one.
    Tag(Option<String>),
    /// That was the last part.
    End,
}

impl DownloadSink {
    /// A sink for a download that continues after what was `received` before.
    pub(crate) fn new(received: Option<Received>) -> (Self, mpsc::Receiver<Part>) {
        let (sender, parts) = mpsc::channel(PARTS);
        (Self { parts: sender, room: Arc::new(Semaphore::new(WAITING as usize)), received }, parts)
    }

    pub(super) fn received(&self) -> Option<Received> {
        self.received.clone()
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
