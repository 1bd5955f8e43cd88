//! Stage `obtain`: bytes from one upstream into a staging file, never whole in memory.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::error::MirrorError;
use super::pipeline::blocking;
use crate::artifact::{Artifact, Kind};
use crate::dirhash::{ReadAlong, ZipLimits};
use crate::origin::{Landing, Origin, Piece, Progress, UpstreamId};
use crate::proxy_request::Request;
use crate::store::{StagingFile, Store};

/// `golang.org/x/mod/zip`: MaxZipFile and MaxGoMod.
const MAX_ZIP: u64 = 500 << 20;
const MAX_GO_MOD: u64 = 16 << 20;

/// Pieces of a download that wait for whoever reads along: half a megabyte or so, and the network fills it anew while a
/// core inflates what it holds.
const PIECES: usize = 32;

/// Bytes that nobody compared with anything yet.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) artifact: Artifact,
    pub(super) file: StagingFile,
    pub(super) source: String,
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
    let limit = if artifact.kind == Kind::Zip { MAX_ZIP } else { MAX_GO_MOD };
    let mut landing = Landing { file: tokio::fs::File::from_std(writer), along: None };
    let reader = (artifact.kind == Kind::Zip).then(|| {
        let (along, pieces) = mpsc::channel(PIECES);
        landing.along = Some(along);
        tokio::task::spawn_blocking(|| read_along(pieces))
    });
    origin.download(id, &Request::File(artifact.clone()), &mut landing, limit, progress).await?;
    // The channel closes, and the reader ends.
    drop(landing);
    let along = match reader {
        // A reader that panicked has hashed nothing.
        Some(reader) => reader.await.ok(),
        None => None,
    };
    Ok(Staged { artifact: artifact.clone(), file: staged, source: origin.name(id), along })
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
