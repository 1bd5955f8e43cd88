//! The body of a response: bytes in memory, a part of an open file, or what happens as it happens.

use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use hyper::body::Frame;
use tokio::task::JoinHandle;

use super::buffer_pool;

#[derive(Debug)]
pub(super) enum Body {
    Memory(Bytes),
    File(FileBody),
    Stream(StreamBody),
}

/// Pieces that come at any time. The next one is made only once the socket has room for it, so it must hold no memory for a client
/// that does not read.
pub(super) struct StreamBody(BoxStream<'static, Bytes>);

impl fmt::Debug for StreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamBody")
    }
}

/// A part of an open file, read piece by piece: at once if that need not wait for a disk, else off the async threads.
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

    /// What is not sent yet, in bytes, if that is known.
    pub(super) fn len(&self) -> Option<u64> {
        match self {
            Self::Memory(bytes) => Some(bytes.len() as u64),
            Self::File(file) => Some(file.left),
            Self::Stream(_) => None,
        }
    }

    pub(super) fn stream(pieces: BoxStream<'static, Bytes>) -> Self {
        Self::Stream(StreamBody(pieces))
    }

    pub(super) fn file(file: Arc<File>, offset: u64, length: u64) -> Self {
        Self::File(FileBody { file, offset, left: length, reading: None })
    }
}

impl StreamBody {
    pub(super) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_next_unpin(context).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

impl FileBody {
    pub(super) fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    pub(super) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = if let Some(reading) = &mut self.reading {
            let piece = ready!(Pin::new(reading).poll(context));
            self.reading = None;
            piece.map_err(io::Error::other).flatten()
        } else if let Some(piece) = buffer_pool::read_cached(&self.file, self.offset, self.left) {
            piece
        } else {
            let (file, offset, left) = (Arc::clone(&self.file), self.offset, self.left);
            self.reading = Some(tokio::task::spawn_blocking(move || buffer_pool::read(&file, offset, left)));
            return self.poll_piece(context);
        };
        if let Ok(bytes) = &piece {
            self.offset += bytes.len() as u64;
            self.left -= bytes.len() as u64;
        }
        Poll::Ready(Some(piece.map(Frame::data)))
    }
}
