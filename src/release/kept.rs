//! Files that were released a moment ago: open, and a small one in memory. The next request looks at the path once, on the async
//! thread, instead of opening the file on another one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::basis::Basis;
use super::released::Released;
use crate::base::clock::Clock;
use crate::base::recent::Recent;
use crate::store::{Identity, Store};
use gomodule::artifact::Artifact;

/// Open files. They are among those that the connections leave over (`connection_limits`).
const MAX_KEPT: usize = 512;
/// The largest file in memory, in bytes: about half of all module zips are smaller. In all 32 MiB.
const MAX_IN_MEMORY: u64 = 64 << 10;
/// After this time the file is opened again.
const KEPT_FOR: Duration = Duration::from_secs(60);

pub(super) struct KeptFiles {
    files: Recent<Artifact, Arc<KeptFile>>,
}

struct KeptFile {
    path: PathBuf,
    released: Released,
}

impl KeptFiles {
    pub(super) fn new(clock: Clock) -> Self {
        Self { files: Recent::new(MAX_KEPT, KEPT_FOR, clock) }
    }

    /// The file of `artifact`, if it is still the one at its path. Looks at a path on a local disk that was used within [`KEPT_FOR`],
    /// so it does not wait for a disk.
    pub(super) fn get(&self, artifact: &Artifact) -> Option<Released> {
        let kept = self.files.get(artifact)?;
        if Identity::at(&kept.path).is_ok_and(|found| found == *kept.released.identity()) {
            return Some(kept.released.clone());
        }
        self.files.remove(artifact);
        None
    }

    /// Keeps a file of a local disk whose hash is proved, not one that is pinned, because the operator may forget a pin. Blocks.
    pub(super) fn keep(&self, artifact: &Artifact, released: &Released, store: &Store) {
        if !store.tree().is_local() || matches!(released.basis(), Basis::Pinned(_)) {
            return;
        }
        let mut released = released.clone();
        if released.identity().size() <= MAX_IN_MEMORY {
            // What cannot be read is served from the file, which reports it.
            let _ = released.load();
        }
        let path = store.tree().path_of_artifact(artifact);
        self.files.insert(artifact.clone(), Arc::new(KeptFile { path, released }));
    }
}
