//! What the steps share: the store, the upstreams, the databases.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::{ReleaseError, blocking};
use super::event_log::EventLog;
use super::expected_hash::Expectations;
use super::partial::Partials;
use crate::base::flight::Cancelled;
use crate::store::Store;
use crate::upstream::Router;
use gomodule::artifact::{Artifact, Kind};

/// Zips that are hashed at a time, over all requests: hashing one already uses all cores.
const MAX_HASHING: usize = 4;

pub(crate) struct Context {
    pub(crate) store: Arc<Store>,
    pub(crate) sources: Router,
    pub(crate) expectations: Expectations,
    /// Only `store` is read; no upstream is asked.
    pub(crate) offline: bool,
    pub(crate) events: EventLog,
    pub(super) partials: Partials,
    hashing: Semaphore,
}

impl Context {
    /// Modules of private upstreams are exempt from the databases. Without upstreams the mirror is offline.
    pub(crate) fn new(store: Arc<Store>, sources: Router, mut expectations: Expectations, events: EventLog) -> Self {
        expectations.exempt = expectations.exempt.with(sources.private());
        let sources = sources.with_exempt(expectations.exempt.clone());
        let (offline, hashing) = (sources.is_empty(), Semaphore::new(MAX_HASHING));
        Self { store, sources, expectations, offline, events, partials: Partials::default(), hashing }
    }

    /// Whether the store has a file for `artifact`, right or wrong.
    pub(crate) async fn has(&self, artifact: &Artifact) -> Result<bool, ReleaseError> {
        let artifact = artifact.clone();
        blocking(&self.store, move |store| Ok(store.tree().open_artifact(&artifact)?.is_some())).await
    }

    /// Zips that are being hashed.
    pub(crate) fn hashing(&self) -> usize {
        MAX_HASHING.saturating_sub(self.hashing.available_permits())
    }

    /// A permit to hash a zip. A go.mod is small, and needs none.
    pub(crate) async fn hashing_permit(&self, kind: Kind) -> Result<Option<SemaphorePermit<'_>>, ReleaseError> {
        if kind != Kind::Zip {
            return Ok(None);
        }
        Ok(Some(self.hashing.acquire().await.map_err(|_| Cancelled)?))
    }
}
