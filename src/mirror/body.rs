//! The body of a response: bytes in memory, or a part of an open file.

use std::fs::File;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::task::JoinHandle;

/// One read. Large enough that the switch to a blocking thread is lost in it, small enough for 1,000 slow clients.
const PIECE: u64 = 256 << 10;

/// The body of a response.
#[derive(Debug)]
pub(super) enum Body {
    Memory(Bytes),
    File(FileBody),
}

/// A part of an open file, read piece by piece off the async threads.
#[derive(Debug)]
pub(super) struct FileBody {
    file: Arc<File>,
    offset: u64,
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Body {
    pub(super) fn empty() -> Self {
        Self::Memory(Bytes::new())
    }

    /// `length` bytes of `file` from `offset` on.
    pub(super) fn file(file: Arc<File>, offset: u64, length: u64) -> Self {
        Self::File(FileBody { file, offset, left: length, reading: None })
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Memory(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Memory(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::File(file) => file.poll_piece(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Memory(bytes) => bytes.is_empty(),
            Self::File(file) => file.left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Memory(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::File(file) => SizeHint::with_exact(file.left),
        }
    }
}

impl FileBody {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let reading = self.reading.get_or_insert_with(|| {
            let (file, offset, length) = (Arc::clone(&self.file), self.offset, self.left.min(PIECE));
            tokio::task::spawn_blocking(move || read_piece(&file, offset, length))
        });
        let piece = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let piece = piece.map_err(io::Error::other).flatten();
        if let Ok(bytes) = &piece {
            self.offset += bytes.len() as u64;
            self.left -= bytes.len() as u64;
        }
        Poll::Ready(Some(piece.map(Frame::data)))
    }
}

/// Exactly `length` bytes; a file that got shorter is an error, which breaks the connection off rather than end it early.
fn read_piece(file: &File, offset: u64, length: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut piece, offset)?;
    Ok(Bytes::from(piece))
}
