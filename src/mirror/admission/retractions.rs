//! Which versions a module takes back.
//!
//! Its newest release says so, even if it takes back itself (<https://go.dev/ref/mod#go-mod-file-retract>): the go.mod of the
//! version that `go` would take for `@latest` of the whole list. That go.mod is proved like any other, or pinned. Whoever
//! shortens a list hides that version, perhaps, and has to leave out himself what it takes back.

use std::path::Path;
use std::sync::Arc;

use moka::sync::Cache;

use crate::base::fault::{Fault, in_full};
use crate::mirror::error::MirrorError;
use crate::mirror::metadata::cache::State;
use crate::mirror::metadata::raw::RawMetadata;
use crate::mirror::metadata::versions::retraction_candidates;
use crate::mirror::not_yet::Holds;
use crate::release::{Context, ReleaseError, blocking};
use crate::store::{Store, StoreError};
use gomodule::artifact::{Artifact, Kind};
use gomodule::gomod::{self, Retraction};
use gomodule::module::{ModulePath, ModuleVersion, Version};

/// What is remembered of retractions, in bytes: some 10,000 versions with a few each.
const MEMORY: u64 = 16 << 20;

/// What a module takes back.
pub(crate) type Retractions = Arc<Vec<Retraction>>;

pub(crate) struct Retracted {
    context: Arc<Context>,
    metadata: RawMetadata,
    holds: Arc<Holds>,
    /// What single versions take back, which never changes.
    known: Cache<ModuleVersion, Retractions>,
}

impl Retracted {
    pub(crate) fn new(context: Arc<Context>, metadata: RawMetadata, holds: Arc<Holds>) -> Self {
        let weigh = |_: &ModuleVersion, retractions: &Retractions| {
            // Two versions and a reason each, and 300 bytes for the name and the entry.
            let bytes = retractions.iter().map(|one| one.rationale.len() + 200).sum::<usize>() + 300;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let known = Cache::builder().max_capacity(MEMORY).weigher(weigh).build();
        Self { context, metadata, holds, known }
    }

    /// What a module takes back, by what its sources list.
    pub(crate) async fn of(&self, path: &ModulePath) -> Result<Retractions, MirrorError> {
        match self.metadata.whole_list(path).await {
            Err(error) if error.fault() == Fault::Absent => Ok(Retractions::default()),
            Err(error) => Err(error),
            // Where no source lists it any more, its go.mod files may still come from there.
            Ok(whole) if whole.complete || whole.dated.state == State::Fresh => {
                self.by_versions(path, whole.versions).await
            }
            Ok(_) => {
                let here = self.by_stored(path).await?;
                let why = || "no source can be asked, and no go.mod of it is here".to_owned();
                let unknown = || MirrorError::UnknownRetractions { path: path.clone(), why: why() };
                Ok(here.ok_or_else(unknown)?.0)
            }
        }
    }

    /// What a module with these versions takes back: the newest that the database knows says so.
    pub(crate) async fn by_versions(
        &self,
        path: &ModulePath,
        versions: Vec<Version>,
    ) -> Result<Retractions, MirrorError> {
        let first = self.context.expectations.first_known(path, retraction_candidates(versions)).await;
        match first? {
            Ok(module) => self.in_go_mod(module).await,
            Err(None) => Ok(Retractions::default()),
            Err(Some(module)) => {
                let why = format!("the database knows nothing that is listed, down to {module}");
                Err(MirrorError::UnknownRetractions { path: path.clone(), why })
            }
        }
    }

    /// The same by what is here, where no source can be asked, and whether the newest version is known here at all; `None`
    /// if nothing of the module is here that says what it takes back.
    pub(crate) async fn by_stored(&self, path: &ModulePath) -> Result<Option<(Retractions, bool)>, MirrorError> {
        let wanted = path.clone();
        let here = move |store: &Store| Ok((store.tree().go_mods_here(&wanted)?, store.tree().newest(&wanted)?));
        let (versions, newest) = blocking(&self.context.store, here).await?;
        let Some(candidate) = retraction_candidates(versions).next() else { return Ok(None) };
        let is_known = newest.is_some_and(|newest| newest <= candidate);
        let Ok(candidate) = ModuleVersion::new(path.clone(), candidate) else { return Ok(None) };
        Ok(Some((self.in_go_mod(candidate).await?, is_known)))
    }

    async fn in_go_mod(&self, module: ModuleVersion) -> Result<Retractions, MirrorError> {
        if let Some(known) = self.known.get(&module) {
            return Ok(known);
        }
        let go_mod = self.holds.release(&Artifact { module: module.clone(), kind: Kind::Mod }).await;
        // Neither absence nor a refusal of that file is one of what was asked for.
        let go_mod = go_mod.map_err(|error| match error.fault() {
            Fault::Host | Fault::Misbehaviour => error,
            _ => MirrorError::UnknownRetractions { path: module.path.clone(), why: in_full(&error) },
        })?;
        let failed = |cause| ReleaseError::from(StoreError::new("read", Path::new("the newest go.mod"), cause));
        let text = blocking(&Arc::new(go_mod), move |go_mod| go_mod.go_mod().map_err(failed)).await?;
        let found = gomod::retractions(&String::from_utf8_lossy(&text)).map_err(|error| {
            let why = format!("{module}: {error}");
            MirrorError::UnknownRetractions { path: module.path.clone(), why }
        })?;
        let found = Arc::new(found);
        // What is pinned can be forgotten by a person.
        if !self.context.expectations.exempt.exempts(&module.path) {
            self.known.insert(module, Arc::clone(&found));
        }
        Ok(found)
    }
}
