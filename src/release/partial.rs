//! Downloads that ended before their last byte. The next request for the file resumes them, so that a client which repeats
//! its request gets ahead.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use moka::sync::Cache;

use crate::base::lock::lock;
use crate::store::StagingFile;
use crate::upstream::Received;
use gomodule::artifact::Artifact;
use gomodule::dirhash::StreamHasher;

/// With the largest zips 4 GB on disk.
const MAX_KEPT: u64 = 8;
/// A client repeats its request within seconds, a person within minutes.
const KEPT_FOR: Duration = Duration::from_secs(10 * 60);

/// The first bytes of a file from one upstream.
pub(super) struct Partial {
    pub(super) staged: StagingFile,
    pub(super) stream: Option<StreamHasher>,
    pub(super) received: Received,
}

/// The upstream and the file.
type Key = (Arc<str>, Artifact);

/// The partial downloads. Clones share them.
#[derive(Clone)]
pub(super) struct Partials(Cache<Key, Arc<Mutex<Option<Partial>>>>);

impl Default for Partials {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MAX_KEPT).time_to_live(KEPT_FOR).build())
    }
}

impl Partials {
    pub(super) fn take(&self, upstream: &Arc<str>, artifact: &Artifact) -> Option<Partial> {
        let kept = self.0.remove(&(Arc::clone(upstream), artifact.clone()))?;
        lock(&kept).take()
    }

    pub(super) fn keep(&self, upstream: Arc<str>, artifact: Artifact, partial: Partial) {
        self.0.insert((upstream, artifact), Arc::new(Mutex::new(Some(partial))));
    }
}
