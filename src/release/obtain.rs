//! Stage `obtain`: downloads from one upstream into a staging file, not into memory.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::error::ReleaseError;
use super::partial::{Partial, Partials};
use crate::base::bounded::from_start;
use crate::base::flight::Cancelled;
use crate::store::{Identity, StagingFile, Store};
use crate::upstream::{DownloadSink, Part, Progress, Received, UpstreamError, UpstreamId, UpstreamPool};
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::{StreamHasher, ZipLimits};
use gomodule::proxy_request::Request;

/// Bytes per copy step: large enough that system calls do not matter.
const PIECE: usize = 256 << 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ByteSource {
    /// The store had them.
    Disk,
    /// An upstream: its name without credentials.
    Upstream(Arc<str>),
}

impl fmt::Display for ByteSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk => f.write_str("the local store"),
            Self::Upstream(name) => f.write_str(name),
        }
    }
}

/// Bytes that are not hashed yet.
#[derive(Debug)]
pub(super) struct Unproved {
    pub(super) artifact: Artifact,
    pub(super) handle: Handle,
    pub(super) source: ByteSource,
    pub(super) stream: Option<StreamHasher>,
}

/// Where the bytes are, open.
#[derive(Debug)]
pub(super) enum Handle {
    /// The stored file of the artifact, and its identity when it was opened.
    Stored(File, Identity),
    /// Downloaded, not committed.
    Staging(StagingFile),
}

impl Unproved {
    /// The stored file of `artifact`. Blocks.
    pub(super) fn stored(artifact: &Artifact, store: &Store) -> Result<Option<Self>, ReleaseError> {
        let Some(file) = store.tree().open_artifact(artifact)? else { return Ok(None) };
        let identity = Identity::of(&file).map_err(|cause| ReleaseError::read(artifact, cause))?;
        let handle = Handle::Stored(file, identity);
        Ok(Some(Self { artifact: artifact.clone(), handle, source: ByteSource::Disk, stream: None }))
    }

    pub(super) fn file(&self) -> &File {
        match &self.handle {
            Handle::Stored(file, _) => file,
            Handle::Staging(staged) => &staged.file,
        }
    }
}

/// Downloads `artifact` from one upstream of `pool`, or the rest of it.
pub(super) async fn obtain(
    pool: &UpstreamPool,
    id: UpstreamId,
    artifact: &Artifact,
    store: &Arc<Store>,
    partials: &Partials,
    progress: &Progress,
) -> Result<Unproved, ReleaseError> {
    let source: Arc<str> = pool.name(id).into();
    let partial = partials.take(&source, artifact);
    let (sink, mut parts) = DownloadSink::new(partial.as_ref().map(|partial| partial.received.clone()));
    let request = Request::File(artifact.clone());
    let (writer, downloaded) = {
        let mut download = pin!(pool.download(id, &request, &sink, progress));
        // The writer occupies a thread, so it starts with the first part: a request that waits for a slot has none.
        let (first, ended) = tokio::select! {
            biased;
            first = parts.recv() => (first, None),
            downloaded = &mut download => (parts.try_recv().ok(), Some(downloaded?)),
        };
        let (store, to) = (Arc::clone(store), (Arc::clone(&source), artifact.clone(), partials.clone()));
        let mut writer = tokio::task::spawn_blocking(move || write(&store, to, partial, first, parts));
        let downloaded = if ended.is_some() {
            Ok(())
        } else {
            tokio::select! {
                downloaded = download => downloaded,
                // A full disk, or the like, ends the download.
                ended = &mut writer => {
                    return Err(ended.map_err(|_| Cancelled)?.err().unwrap_or_else(|| Cancelled.into()));
                }
            }
        };
        (writer, downloaded)
    };
    if downloaded.is_ok() {
        sink.send(Part::End).await?;
    }
    // This ends the writer.
    drop(sink);
    let written = writer.await.map_err(|_| Cancelled)??;
    downloaded?;
    let (staged, stream) = written.ok_or(Cancelled)?;
    // The writer reads a folder, which may be a slow network drive, so the download ends here.
    progress.arrived();
    let source = ByteSource::Upstream(source);
    Ok(Unproved { artifact: artifact.clone(), handle: Handle::Staging(staged), source, stream })
}

type Written = (StagingFile, Option<StreamHasher>);

/// Writes the parts into a staging file, and hashes a zip as far as possible while it arrives. An incomplete file is kept among
/// the partial downloads if it can be resumed. Blocks.
fn write(
    store: &Store,
    (source, artifact, partials): (Arc<str>, Artifact, Partials),
    partial: Option<Partial>,
    mut first: Option<Part>,
    mut parts: mpsc::Receiver<Part>,
) -> Result<Option<Written>, ReleaseError> {
    let limits = ZipLimits::default();
    let new_hasher = || (artifact.kind == Kind::Zip).then(|| StreamHasher::new(&limits));
    let (mut staged, mut stream, mut bytes, mut tag) = match partial {
        Some(Partial { staged, stream, received: Received { bytes, tag } }) => (staged, stream, bytes, Some(tag)),
        None => (store.stage()?, new_hasher(), 0, None),
    };
    while let Some(part) = first.take().or_else(|| parts.blocking_recv()) {
        let file = &mut staged.file;
        match part {
            Part::Bytes(received, _room) => {
                file.write_all(&received).map_err(UpstreamError::unwritten)?;
                bytes += received.len() as u64;
                if let Some(stream) = &mut stream {
                    stream.feed(&received);
                }
            }
            // A local zip arrives fast: it is hashed afterwards, by all cores.
            Part::File(from) => copy(&from, file, artifact.kind.max_len() as u64).map_err(|cause| {
                UpstreamError::Io { what: format!("cannot copy {}", Request::File(artifact.clone())), cause }
            })?,
            Part::StartOver => {
                file.set_len(0).and_then(|()| file.rewind()).map_err(UpstreamError::unwritten)?;
                (stream, bytes) = (new_hasher(), 0);
            }
            Part::Tag(of_body) => tag = of_body,
            Part::End => return Ok(Some((staged, stream))),
        }
    }
    if let Some(tag) = tag.filter(|_| bytes > 0) {
        partials.keep(source, artifact, Partial { staged, stream, received: Received { bytes, tag } });
    }
    Ok(None)
}

/// Copies a file from its beginning, at most `limit` bytes, without moving its shared offset. Blocks.
fn copy(from: &File, to: &mut File, limit: u64) -> io::Result<()> {
    io::copy(&mut BufReader::with_capacity(PIECE, from_start(from)).take(limit), to).map(drop)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

    use std::os::unix::fs::FileExt;

    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::base::clock::Clock;
    use crate::upstream::{HttpClient, ProxyList, Ttls};
    use gomodule::dirhash::{hash_module_zip, hash_module_zip_streamed};
    use gomodule::module::ModuleVersion;

    #[tokio::test]
    async fn parts_before_a_restart_are_neither_kept_nor_hashed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let module = ModuleVersion::parse("example.com/hello@v1.0.0").unwrap();
        let zip = testkit::World::demo().module(&module).unwrap().zip.clone();
        let (sink, received) = DownloadSink::new(None);
        sink.send_bytes(zip[..100].to_vec().into()).await.unwrap();
        sink.send(Part::StartOver).await.unwrap();
        sink.send_bytes(zip.clone().into()).await.unwrap();
        sink.send(Part::End).await.unwrap();
        let artifact = Artifact { module: module.clone(), kind: Kind::Zip };
        let to = ("https://a.example".into(), artifact, Partials::default());
        let written = tokio::task::spawn_blocking(move || write(&store, to, None, None, received));
        let (staged, stream) = written.await.unwrap().unwrap().unwrap();
        let mut whole = vec![0; zip.len() + 1];
        assert_eq!(staged.file.read_at(&mut whole, 0).unwrap(), zip.len());
        assert_eq!(whole[..zip.len()], zip);
        let limits = ZipLimits::default();
        let whole_file = hash_module_zip(&staged.file, &module, &limits).unwrap();
        assert_eq!(
            hash_module_zip_streamed(&staged.file, &module, &limits, &stream.unwrap()).unwrap().h1,
            whole_file.h1
        );
    }

    #[tokio::test]
    async fn an_incomplete_download_is_kept_if_it_has_an_entity_tag_and_continues_where_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let module = ModuleVersion::parse("example.com/hello@v1.0.0").unwrap();
        let zip = testkit::World::demo().module(&module).unwrap().zip.clone();
        let (source, artifact): (Arc<str>, _) = ("https://a.example".into(), Artifact { module, kind: Kind::Zip });
        let partials = Partials::default();
        let run = async |partial, parts| {
            let (store, to) = (Arc::clone(&store), (Arc::clone(&source), artifact.clone(), partials.clone()));
            tokio::task::spawn_blocking(move || write(&store, to, partial, None, parts)).await.unwrap().unwrap()
        };
        for tag in [None, Some("\"1\"".to_owned())] {
            let (sink, parts) = DownloadSink::new(None);
            sink.send(Part::Tag(tag.clone())).await.unwrap();
            sink.send_bytes(zip[..100].to_vec().into()).await.unwrap();
            drop(sink);
            assert!(run(None, parts).await.is_none());
            let partial = partials.take(&source, &artifact);
            assert_eq!(partial.as_ref().map(|partial| partial.received.bytes), tag.map(|_| 100));
            let Some(partial) = partial else { continue };
            let (sink, parts) = DownloadSink::new(None);
            sink.send_bytes(zip[100..].to_vec().into()).await.unwrap();
            sink.send(Part::End).await.unwrap();
            let (staged, stream) = run(Some(partial), parts).await.unwrap();
            let limits = ZipLimits::default();
            let streamed = hash_module_zip_streamed(&staged.file, &artifact.module, &limits, &stream.unwrap());
            assert_eq!(streamed.unwrap().h1, hash_module_zip(&staged.file, &artifact.module, &limits).unwrap().h1);
            assert!(partials.take(&source, &artifact).is_none(), "a whole file is not kept");
        }
    }

    #[tokio::test]
    async fn at_most_half_a_megabyte_waits_for_the_writer() {
        let (sink, mut received) = DownloadSink::new(None);
        let piece = || bytes::Bytes::from(vec![0; 256 << 10]);
        sink.send_bytes(piece()).await.unwrap();
        sink.send_bytes(piece()).await.unwrap();
        assert!(timeout(Duration::from_millis(50), sink.send_bytes(piece())).await.is_err());
        drop(received.recv().await.unwrap());
        sink.send_bytes(piece()).await.unwrap();
    }

    #[tokio::test]
    async fn a_disk_error_ends_the_download_of_a_slow_upstream() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let origin = testkit::Origin::start(testkit::World::demo()).await.unwrap();
        origin.misbehave("*", testkit::Fault::Trickle(1));
        let (list, http) = (ProxyList::parse(&origin.url()).unwrap(), HttpClient::new().unwrap());
        let pool = UpstreamPool::new(list.upstreams(), &http, Ttls::default(), Clock::System).unwrap();
        std::fs::remove_dir_all(folder.path().join("staging")).unwrap();
        let module = ModuleVersion::parse("example.com/hello@v1.0.0").unwrap();
        let (artifact, progress) = (Artifact { module, kind: Kind::Zip }, Progress::new(Clock::System));
        let id = pool.sources().next().unwrap();
        let obtained =
            timeout(Duration::from_secs(20), obtain(&pool, id, &artifact, &store, &Partials::default(), &progress))
                .await;
        assert!(matches!(obtained.expect("it does not wait for the upstream"), Err(ReleaseError::Store(_))));
    }

    #[test]
    fn a_file_is_copied_from_its_beginning_up_to_the_limit() {
        let (mut from, mut to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        from.write_all(&vec![7; 2 * PIECE + 1]).unwrap();
        copy(&from, &mut to, u64::MAX).unwrap();
        assert_eq!(to.metadata().unwrap().len(), 2 * PIECE as u64 + 1);
        to.set_len(0).unwrap();
        copy(&from, &mut to, PIECE as u64).unwrap();
        assert_eq!(to.stream_position().unwrap(), 3 * PIECE as u64 + 1);
    }
}
