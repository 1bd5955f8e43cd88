//! Where a download goes: a staging file, and whoever reads along.

use std::io::{self, SeekFrom};

use bytes::Bytes;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::error::UpstreamError;

/// Where a download goes.
#[derive(Debug)]
pub struct Landing {
    /// The file.
    pub file: tokio::fs::File,
    /// Who reads along, if somebody does. A reader that is slower than the network slows the download down.
    pub along: Option<mpsc::Sender<Piece>>,
}

/// What a reader is told.
#[derive(Clone, Debug)]
pub enum Piece {
    /// The next bytes.
    Next(Bytes),
    /// All that came is void: the download starts over.
    StartOver,
}

impl Landing {
    pub(super) async fn take(&mut self, chunk: Bytes) -> Result<(), UpstreamError> {
        self.file.write_all(&chunk).await.map_err(staging)?;
        self.tell(Piece::Next(chunk)).await;
        Ok(())
    }

    pub(super) async fn flush(&mut self) -> Result<(), UpstreamError> {
        self.file.flush().await.map_err(staging)
    }

    pub(super) async fn start_over(&mut self) -> Result<(), UpstreamError> {
        self.file.set_len(0).await.map_err(staging)?;
        self.file.seek(SeekFrom::Start(0)).await.map_err(staging)?;
        self.tell(Piece::StartOver).await;
        Ok(())
    }

    async fn tell(&mut self, piece: Piece) {
        if let Some(along) = &self.along
            && along.send(piece).await.is_err()
        {
            self.along = None;
        }
    }
}

fn staging(cause: io::Error) -> UpstreamError {
    UpstreamError::Io { what: "cannot write the staging file".to_owned(), cause }
}
