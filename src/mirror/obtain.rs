//! Stage `obtain`: bytes from one upstream into a staging file, never whole in memory.

use std::sync::Arc;

use super::error::MirrorError;
use super::pipeline::blocking;
use crate::artifact::{Artifact, Kind};
use crate::origin::{Origin, Progress};
use crate::store::{StagingFile, Store};

/// `golang.org/x/mod/zip`: MaxZipFile and MaxGoMod.
const MAX_ZIP: u64 = 500 << 20;
const MAX_GO_MOD: u64 = 16 << 20;

/// Bytes that nobody looked at yet.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) artifact: Artifact,
    pub(super) file: StagingFile,
    pub(super) source: String,
}

/// Downloads `artifact` from the `nth` source of `origin`.
pub(super) async fn obtain(
    origin: &Origin,
    nth: usize,
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
    let mut writer = tokio::fs::File::from_std(writer);
    let got = origin.download(nth, &artifact.path(), &mut writer, limit, progress).await?;
    Ok(Staged { artifact: artifact.clone(), file: staged, source: got.source })
}
