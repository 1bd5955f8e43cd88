//! The files of versions that `go` downloaded, until clients have taken them.

use std::collections::VecDeque;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::error::DirectError;
use crate::base::lock::lock;
use gomodule::artifact::Kind;
use gomodule::module::ModuleVersion;

/// A client that was cut off by a balancer, or waits in the queue of another build, asks for the next file within minutes.
const KEPT_FOR: Duration = Duration::from_secs(10 * 60);
/// Two open files each, an eighth of the usual limit of a process (1024).
const MAX_KEPT: usize = 64;
/// Four of the largest zips.
const MAX_BYTES: u64 = 2 << 30;

/// The open files of a version; their folder is removed already.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) info: Vec<u8>,
    pub(super) go_mod: OpenFile,
    /// There is no zip if the go.mod requires a newer `go`.
    pub(super) zip: Result<OpenFile, DirectError>,
    /// What [`Stamp::read`] told before the download.
    pub(super) stamp: Stamp,
    pub(super) served: Served,
}

pub(super) type OpenFile = (Arc<File>, u64);

#[derive(Debug, Default)]
pub(super) struct Served {
    info: AtomicBool,
    go_mod: AtomicBool,
    zip: AtomicBool,
}

impl Served {
    fn of(&self, kind: Kind) -> &AtomicBool {
        match kind {
            Kind::Info => &self.info,
            Kind::Mod => &self.go_mod,
            Kind::Zip => &self.zip,
        }
    }
}

impl Fetched {
    /// The mirror stores the other files: it needs them again only if the stored one is gone, and then from the repository.
    fn can_give(&self, kind: Kind) -> bool {
        kind == Kind::Info || !self.served.of(kind).load(Ordering::Relaxed)
    }

    fn is_taken(&self) -> bool {
        [Kind::Info, Kind::Mod, Kind::Zip].iter().all(|kind| self.served.of(*kind).load(Ordering::Relaxed))
    }

    fn bytes(&self) -> u64 {
        self.go_mod.1 + self.zip.as_ref().map_or(0, |(_, length)| *length)
    }
}

/// The state of a file that changes when an operator forgets a pin: files of before must not be pinned again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Stamp(Option<(std::time::SystemTime, u64)>);

impl Stamp {
    pub(super) fn read(file: &Path) -> Self {
        use std::os::unix::fs::MetadataExt;
        let found = file.metadata().ok();
        Self(found.and_then(|found| Some((found.modified().ok()?, found.ino()))))
    }
}

/// The newest last.
type Queue = VecDeque<(ModuleVersion, Arc<Fetched>)>;

#[derive(Clone, Debug, Default)]
pub(super) struct Kept(Arc<Mutex<Queue>>);

impl Kept {
    pub(super) fn get(&self, module: &ModuleVersion, kind: Kind, stamp: &Stamp) -> Option<Arc<Fetched>> {
        let all = self.locked();
        let (_, fetched) = all.iter().find(|(name, _)| name == module)?;
        (fetched.stamp == *stamp && fetched.can_give(kind)).then(|| Arc::clone(fetched))
    }

    /// Keeps these files instead of older ones of the version. The oldest of all make room.
    pub(super) fn insert(&self, module: &ModuleVersion, fetched: &Arc<Fetched>) {
        let mut all = self.locked();
        all.retain(|(name, _)| name != module);
        all.push_back((module.clone(), Arc::clone(fetched)));
        let bytes = |all: &Queue| all.iter().map(|(_, one)| one.bytes()).sum::<u64>();
        while all.len() > MAX_KEPT || (bytes(&all) > MAX_BYTES && all.len() > 1) {
            all.pop_front();
        }
        let (kept, fetched) = (self.clone(), Arc::downgrade(fetched));
        // A timer, so that large zips are freed without another request.
        tokio::spawn(async move {
            tokio::time::sleep(KEPT_FOR).await;
            if let Some(fetched) = fetched.upgrade() {
                kept.remove(&fetched);
            }
        });
    }

    /// A client has this file. The files are freed with the last one.
    pub(super) fn taken(&self, fetched: &Arc<Fetched>, kind: Kind) {
        fetched.served.of(kind).store(true, Ordering::Relaxed);
        if fetched.is_taken() {
            self.remove(fetched);
        }
    }

    fn remove(&self, fetched: &Arc<Fetched>) {
        self.locked().retain(|(_, kept)| !Arc::ptr_eq(kept, fetched));
    }

    fn locked(&self) -> MutexGuard<'_, Queue> {
        lock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn module(nth: usize) -> ModuleVersion {
        format!("a.example/m{nth}@v1.0.0").parse().unwrap()
    }

    fn fetched(bytes: u64) -> Arc<Fetched> {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let (stamp, served) = (Stamp::default(), Served::default());
        Arc::new(Fetched { info: Vec::new(), go_mod: (Arc::clone(&file), 0), zip: Ok((file, bytes)), stamp, served })
    }

    #[tokio::test(start_paused = true)]
    async fn files_are_kept_until_they_are_taken_or_old() {
        let kept = Kept::default();
        let one = fetched(1);
        kept.insert(&module(1), &one);
        let has = |kind| kept.get(&module(1), kind, &Stamp::default()).is_some();
        kept.taken(&one, Kind::Zip);
        assert!(has(Kind::Info) && has(Kind::Mod) && !has(Kind::Zip));
        kept.taken(&one, Kind::Info);
        kept.taken(&one, Kind::Mod);
        assert!(!has(Kind::Info) && kept.locked().is_empty());

        kept.insert(&module(1), &one);
        tokio::time::sleep(KEPT_FOR / 2).await;
        assert!(has(Kind::Info));
        tokio::time::sleep(KEPT_FOR).await;
        assert!(!has(Kind::Info));
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_make_room() {
        let kept = Kept::default();
        let has = |nth| kept.get(&module(nth), Kind::Info, &Stamp::default()).is_some();
        for nth in 0..=MAX_KEPT {
            kept.insert(&module(nth), &fetched(1));
        }
        assert!(!has(0) && has(1) && has(MAX_KEPT));
        kept.insert(&module(0), &fetched(MAX_BYTES + 1));
        assert!(has(0) && kept.locked().len() == 1, "one is always kept");
    }

    #[tokio::test]
    async fn files_of_before_a_forgotten_pin_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let (kept, file) = (Kept::default(), folder.path().join("forgotten"));
        kept.insert(&module(1), &fetched(1));
        assert!(kept.get(&module(1), Kind::Zip, &Stamp::read(&file)).is_some());
        std::fs::write(&file, "").unwrap();
        assert!(kept.get(&module(1), Kind::Zip, &Stamp::read(&file)).is_none());
    }
}
