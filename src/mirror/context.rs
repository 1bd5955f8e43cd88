//! What each step works with: the store, the sources, the databases.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::error::{MirrorError, blocking};
use super::expected_hash::Vouchers;
use super::fresh::State;
use super::trail::Trail;
use super::versions::named_by;
use crate::store::Store;
use crate::upstream::Router;
use gomodule::module::{ModulePath, Version};

/// Zips being hashed at once, over all requests: each already uses the cores.
const MAX_HASHING: usize = 4;

/// What each step works with.
pub(super) struct Context {
    pub(super) store: Arc<Store>,
    pub(super) sources: Router,
    pub(super) vouchers: Vouchers,
    /// What is not in `store` is asked of nobody.
    pub(super) offline: bool,
    pub(super) trail: Trail,
    /// Turns to hash a zip.
    pub(super) hashing: Semaphore,
}

impl Context {
    /// What is private is exempt from the databases. Without any source the mirror is offline.
    pub(super) fn new(store: Arc<Store>, sources: Router, mut vouchers: Vouchers, trail: Trail) -> Self {
        vouchers.exempt = vouchers.exempt.with(sources.private());
        let (offline, hashing) = (sources.is_empty(), Semaphore::new(MAX_HASHING));
        Self { store, sources, vouchers, offline, trail, hashing }
    }

    /// How an answer from here is marked.
    pub(super) fn state_here(&self) -> State {
        if self.offline { State::Here } else { State::SourcesDown }
    }

    /// The version here that a query names: the version itself, its `+incompatible` form, or the pseudo-version of a commit.
    pub(super) async fn resolve_here(&self, path: &ModulePath, query: &str) -> Result<Option<Version>, MirrorError> {
        let (store, path, query) = (Arc::clone(&self.store), path.clone(), query.to_owned());
        blocking(move || Ok(named_by(&query, &store.tree().go_mods_here(&path)?))).await
    }
}
