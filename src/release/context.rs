//! What each step works with: the store, the sources, the databases.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::{ReleaseError, blocking};
use super::event_log::EventLog;
use super::expected_hash::Expectations;
use crate::base::flight::Cancelled;
use crate::store::Store;
use crate::upstream::Router;
use gomodule::artifact::{Artifact, Kind};

/// Zips being hashed at once, over all requests: each already uses the cores.
const MAX_HASHING: usize = 4;

pub(crate) struct Context {
    pub(crate) store: Arc<Store>,
    pub(crate) sources: Router,
    pub(crate) expectations: Expectations,
    /// What is not in `store` is asked of nobody.
    pub(crate) offline: bool,
    pub(crate) events: EventLog,
    hashing: Semaphore,
}

impl Context {
    /// What is private is exempt from the databases. Without any source the mirror is offline.
    pub(crate) fn new(store: Arc<Store>, sources: Router, mut expectations: Expectations, events: EventLog) -> Self {
        expectations.exempt = expectations.exempt.with(sources.private());
        let (offline, hashing) = (sources.is_empty(), Semaphore::new(MAX_HASHING));
        Self { store, sources, expectations, offline, events, hashing }
    }

    /// Whether the file of `artifact` is here, right or wrong.
    pub(crate) async fn has(&self, artifact: &Artifact) -> Result<bool, ReleaseError> {
        let artifact = artifact.clone();
        blocking(&self.store, move |store| Ok(store.tree().open_artifact(&artifact)?.is_some())).await
    }

    /// A turn to read a whole zip. A go.mod is small, and needs none.
    pub(crate) async fn turn_to_read(&self, kind: Kind) -> Result<Option<SemaphorePermit<'_>>, ReleaseError> {
        if kind != Kind::Zip {
            return Ok(None);
        }
        Ok(Some(self.hashing.acquire().await.map_err(|_| Cancelled)?))
    }
}
