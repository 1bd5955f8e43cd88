//! Which versions a module retracts.
//!
//! The go.mod of its newest release says so, even if that release retracts itself
//! (<https://go.dev/ref/mod#go-mod-file-retract>): of the version that `go` would take for `@latest` of the whole list. That
//! go.mod is proved or pinned. Code that shortens a list may hide that version, so it must leave out what is retracted.

use std::path::Path;
use std::sync::Arc;

use super::error::MirrorError;
use super::metadata::cache::Freshness;
use super::metadata::raw::RawMetadata;
use super::metadata::versions::retraction_candidates;
use super::not_yet::Holds;
use crate::base::byte_cache::ByteCache;
use crate::base::fault::{Fault, in_full};
use crate::release::{Context, ReleaseError, blocking};
use crate::store::{Store, StoreError};
use gomodule::artifact::{Artifact, Kind};
use gomodule::gomod::{self, Retraction};
use gomodule::module::{ModulePath, ModuleVersion, Version};

/// The cache of retractions, in bytes: some 10,000 versions with a few each.
const MEMORY: u64 = 16 << 20;
/// The usual size of an entry.
const USUAL: u64 = 1 << 10;
/// The name, and the entry in the cache.
const OVERHEAD: usize = 300;

pub(crate) type Retractions = Arc<Vec<Retraction>>;

pub(crate) struct Retracted {
    context: Arc<Context>,
    metadata: RawMetadata,
    holds: Arc<Holds>,
    /// What the go.mod of a version retracts, which never changes.
    known: ByteCache<ModuleVersion, Retractions>,
}

impl Retracted {
    pub(crate) fn new(context: Arc<Context>, metadata: RawMetadata, holds: Arc<Holds>) -> Self {
        let known = ByteCache::new(MEMORY, USUAL);
        Self { context, metadata, holds, known }
    }

    /// What a module retracts, by what its upstreams list.
    pub(crate) async fn of(&self, path: &ModulePath) -> Result<Retractions, MirrorError> {
        let whole = match self.metadata.whole_list(path).await {
            Err(error) if error.fault() == Fault::Absent => return Ok(Retractions::default()),
            whole => whole?,
        };
        // Where no upstream lists it any more, its go.mod files may still come from there.
        if whole.complete || whole.cached.freshness == Freshness::Fresh {
            return self.by_versions(path, whole.versions).await;
        }
        let stored = self.by_stored(path).await?;
        let why = "no upstream can be asked, and no go.mod of it is stored".to_owned();
        Ok(stored.ok_or_else(|| MirrorError::UnknownRetractions { path: path.clone(), why })?.0)
    }

    /// The rationale of the author for retracting a version; `None` if it is not retracted.
    pub(crate) async fn rationale(&self, module: &ModuleVersion) -> Result<Option<String>, MirrorError> {
        let retractions = self.of(&module.path).await?;
        let covering = retractions.iter().find(|retraction| retraction.covers(&module.version));
        Ok(covering.map(|retraction| retraction.rationale.clone()))
    }

    /// What a module with these versions retracts: the newest that the database knows says so.
    pub(crate) async fn by_versions(
        &self,
        path: &ModulePath,
        versions: Vec<Version>,
    ) -> Result<Retractions, MirrorError> {
        match self.context.expectations.first_known(path, retraction_candidates(versions)).await? {
            Ok(module) => self.in_go_mod(module).await,
            Err(None) => Ok(Retractions::default()),
            Err(Some(module)) => {
                let why = format!("the database has no record of any listed version down to {module}");
                Err(MirrorError::UnknownRetractions { path: path.clone(), why })
            }
        }
    }

    /// What the newest stored version retracts, for when no upstream can be asked, and whether the newest version of all is
    /// known; `None` if no stored go.mod says what the module retracts.
    pub(crate) async fn by_stored(&self, path: &ModulePath) -> Result<Option<(Retractions, bool)>, MirrorError> {
        let wanted = path.clone();
        let stored = move |store: &Store| Ok((store.tree().go_mods_here(&wanted)?, store.tree().newest(&wanted)?));
        let (versions, newest) = blocking(&self.context.store, stored).await?;
        let Some(candidate) = retraction_candidates(versions).next() else { return Ok(None) };
        let is_known = newest.is_some_and(|newest| newest <= candidate);
        let Ok(candidate) = ModuleVersion::new(path.clone(), candidate) else { return Ok(None) };
        Ok(Some((self.in_go_mod(candidate).await?, is_known)))
    }

    async fn in_go_mod(&self, module: ModuleVersion) -> Result<Retractions, MirrorError> {
        if let Some(known) = self.known.get(&module) {
            return Ok(known);
        }
        let unknown = |why: String| MirrorError::UnknownRetractions { path: module.path.clone(), why };
        let go_mod = self.holds.release(&Artifact { module: module.clone(), kind: Kind::Mod }).await;
        // That this go.mod is absent or refused says nothing about the file that the client asked for.
        let go_mod = go_mod.map_err(|error| match error.fault() {
            Fault::Host | Fault::Misbehaviour => error,
            _ => unknown(in_full(&error)),
        })?;
        let failed = |cause| ReleaseError::from(StoreError::new("read", Path::new("the newest go.mod"), cause));
        let text = blocking(&Arc::new(go_mod), move |go_mod| go_mod.go_mod().map_err(failed)).await?;
        let retractions = gomod::retractions(&String::from_utf8_lossy(&text));
        let retractions = Arc::new(retractions.map_err(|error| unknown(format!("{module}: {error}")))?);
        // The operator can forget a pin.
        if !self.context.expectations.exempt.exempts(&module.path) {
            // Two versions and a reason each, and the name and the entry.
            let bytes = retractions.iter().map(|one| one.rationale.len() + 200).sum::<usize>() + OVERHEAD;
            self.known.insert(module, Arc::clone(&retractions), bytes);
        }
        Ok(retractions)
    }
}
