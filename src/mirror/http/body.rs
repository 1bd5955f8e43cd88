//! The body of a response: bytes in memory, or a part of an open file.

use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::Frame;
use tokio::task::JoinHandle;

use super::buffer_pool;

#[derive(Debug)]
pub(super) enum Body {
    Memory(Bytes),
    File(FileBody),
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

    /// What is not sent yet, in bytes.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(file) => file.left,
        }
    }

    pub(super) fn file(file: Arc<File>, offset: u64, length: u64) -> Self {
        Self::File(FileBody { file, offset, left: length, reading: None })
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
