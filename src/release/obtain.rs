//! Stage `obtain`: downloads from one upstream into a staging file, not into memory.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::error::ReleaseError;
use super::partial::{Partial, PartialsOf};
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
    /// They came in several answers, after an interruption, and may be parts of different files.
    pub(super) joined: bool,
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
        Ok(Some(Self { artifact: artifact.clone(), handle, source: ByteSource::Disk, stream: None, joined: false }))
    }

    pub(super) fn file(&self) -> &File {
        match &self.handle {
            Handle::Stored(file, _) => file,
            Handle::Staging(staged) => &staged.file,
        }
    }
}

/// Downloads a file from one upstream of `pool`, or the rest of it.
pub(super) async fn obtain(
    pool: &UpstreamPool,
    id: UpstreamId,
    partials: &PartialsOf,
    store: &Arc<Store>,
    progress: &Progress,
) -> Result<Unproved, ReleaseError> {
    let source: Arc<str> = pool.name(id).into();
    let resumed = partials.take(&source);
    let (sink, mut parts) = DownloadSink::new(resumed.received());
    let request = Request::File(partials.artifact.clone());
    let (writer, downloaded) = {
        let mut download = pin!(pool.download(id, &request, &sink, progress));
        // The writer occupies a thread, so it starts with the first part: a request that waits for a slot has none.
        let (first, ended) = tokio::select! {
            biased;
            first = parts.recv() => (first, None),
            downloaded = &mut download => (parts.try_recv().ok(), Some(downloaded?)),
        };
        let (store, to, partial) = (Arc::clone(store), (source, partials.clone()), resumed.into_partial());
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
    let unproved = written.ok_or(Cancelled)?;
    // The writer reads a folder, which may be a slow network drive, so the download ends here. Joined bytes may have to be
    // downloaded again.
    if !unproved.joined {
        progress.arrived();
    }
    Ok(unproved)
}

/// Writes the parts into a staging file, and hashes a zip as far as possible while it arrives. An incomplete file is kept among
/// the partial downloads if it can be resumed. Blocks.
fn write(
    store: &Store,
    (source, partials): (Arc<str>, PartialsOf),
    partial: Option<Partial>,
    mut first: Option<Part>,
    mut parts: mpsc::Receiver<Part>,
) -> Result<Option<Unproved>, ReleaseError> {
    let (limits, artifact) = (ZipLimits::default(), &partials.artifact);
    let new_hasher = || (artifact.kind == Kind::Zip).then(|| StreamHasher::new(&limits));
    let (mut staged, mut stream, mut bytes, mut tag) = match partial {
        Some(Partial { staged, stream, received: Received { bytes, tag } }) => (staged, stream, bytes, Some(tag)),
        None => (store.stage()?, new_hasher(), 0, None),
    };
    let mut joined = false;
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
                (stream, bytes, joined) = (new_hasher(), 0, false);
            }
            Part::Tag(of_body) => (tag, joined) = (of_body, joined || bytes > 0),
            Part::End => {
                let (artifact, handle) = (artifact.clone(), Handle::Staging(staged));
                return Ok(Some(Unproved { artifact, handle, source: ByteSource::Upstream(source), stream, joined }));
            }
        }
    }
    if let Some(tag) = tag.filter(|_| bytes > 0) {
        partials.keep(source, Partial { staged, stream, received: Received { bytes, tag } });
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
    use crate::release::partial::Partials;
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
        let to = ("https://a.example".into(), Partials::default().of(&artifact));
        let written = tokio::task::spawn_blocking(move || write(&store, to, None, None, received));
        let unproved = written.await.unwrap().unwrap().unwrap();
        assert!(!unproved.joined);
        let (file, stream) = (unproved.file(), unproved.stream.as_ref());
        let mut whole = vec![0; zip.len() + 1];
        assert_eq!(file.read_at(&mut whole, 0).unwrap(), zip.len());
        assert_eq!(whole[..zip.len()], zip);
        let limits = ZipLimits::default();
        let whole_file = hash_module_zip(file, &module, &limits).unwrap();
        assert_eq!(hash_module_zip_streamed(file, &module, &limits, stream.unwrap()).unwrap().h1, whole_file.h1);
    }

    #[tokio::test]
    async fn an_incomplete_download_is_kept_if_it_has_an_entity_tag_and_continues_where_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let module = ModuleVersion::parse("example.com/hello@v1.0.0").unwrap();
        let zip = testkit::World::demo().module(&module).unwrap().zip.clone();
        let source: Arc<str> = "https://a.example".into();
        let partials = Partials::default().of(&Artifact { module: module.clone(), kind: Kind::Zip });
        let run = async |partial, parts| {
            let (store, to) = (Arc::clone(&store), (Arc::clone(&source), partials.clone()));
            tokio::task::spawn_blocking(move || write(&store, to, partial, None, parts)).await.unwrap().unwrap()
        };
        for tag in [None, Some("\"1\"".to_owned())] {
            let (sink, parts) = DownloadSink::new(None);
            sink.send(Part::Tag(tag.clone())).await.unwrap();
            sink.send_bytes(zip[..100].to_vec().into()).await.unwrap();
            drop(sink);
            assert!(run(None, parts).await.is_none());
            let resumed = partials.take(&source);
            assert_eq!(resumed.received().map(|received| received.bytes), tag.as_ref().map(|_| 100));
            let Some(partial) = resumed.into_partial() else { continue };
            let (sink, parts) = DownloadSink::new(None);
            sink.send(Part::Tag(tag)).await.unwrap();
            sink.send_bytes(zip[100..].to_vec().into()).await.unwrap();
            sink.send(Part::End).await.unwrap();
            let unproved = run(Some(partial), parts).await.unwrap();
            assert!(unproved.joined);
            let (file, stream, limits) = (unproved.file(), unproved.stream.as_ref().unwrap(), ZipLimits::default());
            let streamed = hash_module_zip_streamed(file, &module, &limits, stream);
            assert_eq!(streamed.unwrap().h1, hash_module_zip(file, &module, &limits).unwrap().h1);
            assert!(partials.take(&source).received().is_none(), "a whole file is not kept");
        }
    }

    #[tokio::test]
    async fn a_resume_that_fails_before_its_first_byte_loses_nothing() {
        const ZIP: &str = "/example.com/hello/@v/v1.0.0.zip";
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let origin = testkit::Origin::start(testkit::World::demo()).await.unwrap();
        let pool = pool(&origin);
        let module = ModuleVersion::parse("example.com/hello@v1.0.0").unwrap();
        let partials = Partials::default().of(&Artifact { module, kind: Kind::Zip });
        let id = pool.sources().next().unwrap();
        let obtain = async || obtain(&pool, id, &partials, &store, &Progress::new(Clock::System)).await;
        origin.misbehave(ZIP, testkit::Fault::Stall(100));
        assert!(timeout(Duration::from_millis(500), obtain()).await.is_err());
        while partials.take(&pool.name(id).into()).received().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // It refuses the rest, or is not asked for it, or the client leaves before an answer.
        origin.misbehave(ZIP, testkit::Fault::Status(500, "busy"));
        assert!(obtain().await.is_err());
        assert!(obtain().await.is_err());
        tokio::time::sleep(Duration::from_secs(1)).await;
        origin.misbehave(ZIP, testkit::Fault::Hold);
        assert!(timeout(Duration::from_millis(500), obtain()).await.is_err());
        origin.behave();
        origin.take_requests();
        assert!(obtain().await.unwrap().joined);
        assert_eq!(origin.take_requests(), [format!("{ZIP} bytes=100-")]);
    }

    fn pool(origin: &testkit::Origin) -> UpstreamPool {
        let (list, http) = (ProxyList::parse(&origin.url()).unwrap(), HttpClient::new().unwrap());
        UpstreamPool::new(list.upstreams(), &http, Ttls::default(), Clock::System).unwrap()
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
        let pool = pool(&origin);
        std::fs::remove_dir_all(folder.path().join("staging")).unwrap();
        let module = ModuleVersion::parse("example.com/hello@v1.0.0").unwrap();
        let partials = Partials::default().of(&Artifact { module, kind: Kind::Zip });
        let (id, progress) = (pool.sources().next().unwrap(), Progress::new(Clock::System));
        let obtained = timeout(Duration::from_secs(20), obtain(&pool, id, &partials, &store, &progress)).await;
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
