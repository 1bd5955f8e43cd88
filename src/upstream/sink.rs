//! Where a download goes: to the one task that writes and hashes it.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::error::UpstreamError;

/// Parts that wait for the writer: 16 KiB (HTTP/2) to 400 KiB (the largest read of hyper, HTTP/1) each. The network fills them anew
/// while a core inflates what the writer holds.
const PARTS: usize = 8;

/// Takes what a source gives. A writer that is slower than the network slows the download down.
#[derive(Debug)]
pub(crate) struct DownloadSink(mpsc::Sender<Part>);

/// What the writer is told. The end is that nothing comes any more.
#[derive(Debug)]
pub(crate) enum Part {
    /// The next bytes.
    Bytes(Bytes),
    /// The whole of a file that lies here, from its beginning, whoever else reads it.
    File(Arc<File>),
    /// All that came is void: the download starts over.
    StartOver,
}

impl DownloadSink {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Part>) {
        let (sender, parts) = mpsc::channel(PARTS);
        (Self(sender), parts)
    }

    pub(super) async fn send(&self, part: Part) -> Result<(), UpstreamError> {
        // A writer that is gone tells itself what ended it.
        let gone = |_| UpstreamError::unwritten(io::ErrorKind::BrokenPipe.into());
        self.0.send(part).await.map_err(gone)
    }
}
