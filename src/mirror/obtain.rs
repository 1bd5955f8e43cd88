//! Stage `obtain`: bytes from one upstream into a staging file, never whole in memory.

use std::fmt;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::error::MirrorError;
use super::pipeline::blocking;
use crate::artifact::{Artifact, Kind};
use crate::dirhash::{ReadAlong, ZipLimits};
use crate::origin::{Landing, Origin, Piece, Progress, UpstreamId};
use crate::proxy_request::Request;
use crate::store::{StagingFile, Store};

/// Pieces of a download that wait for whoever reads along: half a megabyte or so, and the network fills it anew while a
/// core inflates what it holds.
const PIECES: usize = 32;

/// Where bytes came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ByteSource {
    /// They lay in the store already.
    Disk,
    /// An upstream, by its name without credentials.
    Upstream(Arc<str>),
}

impl fmt::Display for ByteSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk => f.write_str("this mirror's own disk"),
            Self::Upstream(name) => f.write_str(name),
        }
    }
}

/// Bytes that nobody compared with anything yet.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) artifact: Artifact,
    pub(super) file: StagingFile,
    pub(super) source: ByteSource,
    /// What was hashed while they came.
    pub(super) along: Option<ReadAlong>,
}

/// Downloads `artifact` from one source of `origin`.
pub(super) async fn obtain(
    origin: &Origin,
    id: UpstreamId,
    artifact: &Artifact,
    store: &Arc<Store>,
    progress: &Progress,
) -> Result<Staged, MirrorError> {
    let store = Arc::clone(store);
    let (staged, writer) = blocking(move || {
        let staged = store.stage()?;
        let writer = staged.writer()?;
        Ok((staged, writer))
    })
    .await?;
    let mut landing = Landing { file: tokio::fs::File::from_std(writer), along: None };
    let reader = (artifact.kind == Kind::Zip).then(|| {
        let (along, pieces) = mpsc::channel(PIECES);
        landing.along = Some(along);
        tokio::task::spawn_blocking(|| read_along(pieces))
    });
    origin.download(id, &Request::File(artifact.clone()), &mut landing, progress).await?;
    // The channel closes, and the reader ends.
    drop(landing);
    let along = match reader {
        // A reader that panicked has hashed nothing.
        Some(reader) => reader.await.ok(),
        None => None,
    };
    Ok(Staged { artifact: artifact.clone(), file: staged, source: ByteSource::Upstream(origin.name(id).into()), along })
}

/// Hashes what can be hashed while it comes. Blocks.
fn read_along(mut pieces: mpsc::Receiver<Piece>) -> ReadAlong {
    let limits = ZipLimits::default();
    let mut along = ReadAlong::new(&limits);
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Piece::Next(bytes) => along.feed(&bytes),
            Piece::StartOver => along = ReadAlong::new(&limits),
        }
    }
    along
}
