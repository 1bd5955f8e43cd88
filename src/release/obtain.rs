//! Stage `obtain`: bytes from one upstream into a staging file, never whole in memory.

use std::fmt;
use std::fs::File;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::error::{ReleaseError, blocking};
use crate::store::{Identity, StagingFile, Store};
use crate::upstream::{Landing, Origin, Piece, Progress, UpstreamId};
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::{ReadAlong, ZipLimits};
use gomodule::proxy_request::Request;

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
pub(super) struct Unproved {
    pub(super) artifact: Artifact,
    pub(super) handle: Handle,
    pub(super) source: ByteSource,
    /// What was hashed while they came.
    pub(super) along: Option<ReadAlong>,
}

/// Where the bytes are, open.
#[derive(Debug)]
pub(super) enum Handle {
    /// At the place of the artifact, and what the file was when it was opened.
    Stored(File, Identity),
    /// On their way there.
    Staging(StagingFile),
}

impl Unproved {
    /// What lies at the place of `artifact`. Blocks.
    pub(super) fn stored(artifact: &Artifact, store: &Store) -> Result<Option<Self>, ReleaseError> {
        let Some(file) = store.open_artifact(artifact)? else { return Ok(None) };
        let identity = Identity::of(&file).map_err(|cause| ReleaseError::read(artifact, cause))?;
        let handle = Handle::Stored(file, identity);
        Ok(Some(Self { artifact: artifact.clone(), handle, source: ByteSource::Disk, along: None }))
    }

    /// The open file.
    pub(super) fn file(&self) -> &File {
        match &self.handle {
            Handle::Stored(file, _) => file,
            Handle::Staging(staged) => &staged.file,
        }
    }
}

/// Downloads `artifact` from one source of `origin`.
pub(super) async fn obtain(
    origin: &Origin,
    id: UpstreamId,
    artifact: &Artifact,
    store: &Arc<Store>,
    progress: &Progress,
) -> Result<Unproved, ReleaseError> {
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
    let source = ByteSource::Upstream(origin.name(id).into());
    Ok(Unproved { artifact: artifact.clone(), handle: Handle::Staging(staged), source, along })
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
