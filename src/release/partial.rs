//! Downloads that ended before their last byte. The next request for the file resumes them, so that a client which repeats
//! its request gets ahead.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::base::lock::lock;
use crate::store::StagingFile;
use crate::upstream::Received;
use gomodule::artifact::{Artifact, Kind};
use gomodule::dirhash::StreamHasher;

/// With the largest zips 4 GB on disk. Of more, the oldest is dropped.
const MAX_KEPT: usize = 8;
/// A client repeats its request within seconds, a person within minutes.
const KEPT_FOR: Duration = Duration::from_secs(10 * 60);

/// The first bytes of a file from one upstream.
pub(super) struct Partial {
    pub(super) staged: StagingFile,
    pub(super) stream: Option<StreamHasher>,
    pub(super) received: Received,
}

/// The partial downloads of all files, the oldest first. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Partials(Arc<Mutex<VecDeque<Kept>>>);

struct Kept {
    upstream: Arc<str>,
    artifact: Artifact,
    partial: Partial,
    /// Ends the timer when dropped.
    _timer: oneshot::Sender<Infallible>,
}

/// The partial downloads of one file while it is fetched. Clones share them.
#[derive(Clone)]
pub(super) struct PartialsOf {
    all: Partials,
    pub(super) artifact: Artifact,
    /// The file is in the store: none is kept any more.
    released: Arc<AtomicBool>,
}

/// The partial download that is resumed, if there is one. It is kept again if it is dropped before the writer has it.
pub(super) struct Resumed {
    of: PartialsOf,
    upstream: Arc<str>,
    partial: Option<Partial>,
}

impl Partials {
    pub(super) fn of(&self, artifact: &Artifact) -> PartialsOf {
        PartialsOf { all: self.clone(), artifact: artifact.clone(), released: Arc::default() }
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        lock(&self.0)
    }
}

impl PartialsOf {
    pub(super) fn take(&self, upstream: &Arc<str>) -> Resumed {
        let partial = self.remove(&mut self.all.kept(), upstream);
        Resumed { of: self.clone(), upstream: Arc::clone(upstream), partial }
    }

    fn remove(&self, kept: &mut VecDeque<Kept>, upstream: &str) -> Option<Partial> {
        let at = kept.iter().position(|one| *one.upstream == *upstream && one.artifact == self.artifact)?;
        Some(kept.remove(at)?.partial)
    }

    /// Keeps a partial zip; a go.mod is small.
    pub(super) fn keep(&self, upstream: Arc<str>, partial: Partial) {
        let Ok(runtime) = Handle::try_current() else { return };
        let (timer, dropped) = oneshot::channel();
        let mut kept = self.all.kept();
        if self.artifact.kind != Kind::Zip || self.released.load(Ordering::Relaxed) {
            drop(kept);
            return remove_files(vec![partial]);
        }
        let earlier = self.remove(&mut kept, &upstream);
        kept.push_back(Kept {
            upstream: Arc::clone(&upstream),
            artifact: self.artifact.clone(),
            partial,
            _timer: timer,
        });
        let oldest = if kept.len() > MAX_KEPT { kept.pop_front() } else { None };
        drop(kept);
        remove_files(oldest.map(|kept| kept.partial).into_iter().chain(earlier).collect());
        let partials = self.clone();
        // A timer, so that large files are removed without another request.
        runtime.spawn(async move {
            if tokio::time::timeout(KEPT_FOR, dropped).await.is_err() {
                remove_files(partials.take(&upstream).into_partial().into_iter().collect());
            }
        });
    }

    /// The file is in the store now.
    pub(super) fn released(&self) {
        let mut kept = self.all.kept();
        self.released.store(true, Ordering::Relaxed);
        let (done, others) = kept.drain(..).partition(|one| one.artifact == self.artifact);
        *kept = others;
        drop(kept);
        let done: VecDeque<Kept> = done;
        remove_files(done.into_iter().map(|kept| kept.partial).collect());
    }
}

impl Resumed {
    pub(super) fn received(&self) -> Option<Received> {
        self.partial.as_ref().map(|partial| partial.received.clone())
    }

    /// For the writer.
    pub(super) fn into_partial(mut self) -> Option<Partial> {
        self.partial.take()
    }
}

impl Drop for Resumed {
    fn drop(&mut self) {
        if let Some(partial) = self.partial.take() {
            self.of.keep(Arc::clone(&self.upstream), partial);
        }
    }
}

/// Removes the files of these on a thread that may block.
fn remove_files(partials: Vec<Partial>) {
    if let Ok(runtime) = Handle::try_current()
        && !partials.is_empty()
    {
        runtime.spawn_blocking(move || drop(partials));
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

    use std::path::Path;

    use super::*;
    use crate::store::Store;
    use gomodule::module::ModuleVersion;

    fn zip(nth: usize) -> Artifact {
        let module = ModuleVersion::parse(&format!("example.com/m{nth}@v1.0.0")).unwrap();
        Artifact { module, kind: Kind::Zip }
    }

    fn partial(store: &Store, bytes: u64) -> Partial {
        let received = Received { bytes, tag: "\"1\"".to_owned() };
        Partial { staged: store.stage().unwrap(), stream: None, received }
    }

    fn upstream() -> Arc<str> {
        "https://a.example".into()
    }

    /// Waits until so many files are staged.
    async fn staged(folder: &Path, wanted: usize) {
        let files = || {
            let entries = walkdir::WalkDir::new(folder.join("staging")).into_iter().filter_map(Result::ok);
            entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(".tmp")).count()
        };
        for _ in 0..1000 {
            if files() == wanted {
                return;
            }
            // Not a timer: the time of the test does not pass.
            tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(5))).await.unwrap();
        }
        assert_eq!(files(), wanted);
    }

    #[tokio::test]
    async fn the_newest_are_kept_and_the_file_of_the_oldest_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (store, partials) = (Store::open(folder.path()).unwrap(), Partials::default());
        // Junk that was asked for often before must not keep others out.
        for _ in 0..100 {
            for nth in 0..MAX_KEPT {
                drop(partials.of(&zip(nth)).take(&upstream()));
            }
        }
        for nth in 0..MAX_KEPT + 2 {
            partials.of(&zip(nth)).keep(upstream(), partial(&store, nth as u64));
        }
        staged(folder.path(), MAX_KEPT).await;
        for nth in 0..MAX_KEPT + 2 {
            let found = partials.of(&zip(nth)).take(&upstream()).into_partial().map(|partial| partial.received.bytes);
            assert_eq!(found, (nth >= 2).then_some(nth as u64), "{nth}");
        }
        staged(folder.path(), 0).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_file_of_an_expired_one_is_removed_without_another_request() {
        let folder = tempfile::tempdir().unwrap();
        let (store, partials) = (Store::open(folder.path()).unwrap(), Partials::default());
        partials.of(&zip(0)).keep(upstream(), partial(&store, 1));
        staged(folder.path(), 1).await;
        tokio::time::sleep(KEPT_FOR + Duration::from_secs(1)).await;
        staged(folder.path(), 0).await;
        assert!(partials.of(&zip(0)).take(&upstream()).into_partial().is_none());
    }

    #[tokio::test]
    async fn none_is_kept_of_a_released_file_or_of_a_go_mod() {
        let folder = tempfile::tempdir().unwrap();
        let (store, partials) = (Store::open(folder.path()).unwrap(), Partials::default());
        let (fetched, other) = (partials.of(&zip(0)), partials.of(&zip(1)));
        fetched.keep(upstream(), partial(&store, 1));
        other.keep(upstream(), partial(&store, 2));
        fetched.released();
        staged(folder.path(), 1).await;
        // A request to a slower upstream ends after that.
        fetched.keep("https://b.example".into(), partial(&store, 3));
        partials.of(&Artifact { kind: Kind::Mod, ..zip(2) }).keep(upstream(), partial(&store, 4));
        staged(folder.path(), 1).await;
        assert_eq!(other.take(&upstream()).received().unwrap().bytes, 2);
        // The next fetch of the file, when the store has lost it, keeps one again.
        let again = partials.of(&zip(0));
        again.keep(upstream(), partial(&store, 5));
        assert_eq!(again.take(&upstream()).received().unwrap().bytes, 5, "what was not written is kept again");
        assert_eq!(again.take(&upstream()).into_partial().unwrap().received.bytes, 5);
    }
}
