//! Stage `expect`: the h1 that the file must have, and why.

use std::sync::Arc;

use super::basis::Basis;
use super::error::{ReleaseError, blocking};
use crate::store::{PinnedModule, Store};
use crate::sumdb::{DatabaseId, Databases, ModuleRecord, ProvenHash, looks_private};
use gomodule::artifact::Artifact;
use gomodule::module::{ModulePath, ModuleVersion, Patterns, Version};

/// The databases, in order, and the modules that are exempt.
pub(crate) struct Expectations {
    /// The first that has a record decides.
    pub(crate) databases: Databases,
    /// Modules that are not requested from any database (GONOSUMDB patterns).
    pub(crate) exempt: Patterns,
}

#[derive(Debug)]
pub(super) enum Expected {
    /// This h1.
    Known(Basis),
    /// Any: the module is exempt, and the h1 of the first download is pinned.
    FirstUse,
}

/// The pinned module that keeps the name of a module here that no pattern covers: a name that was kept from the databases once.
/// A module that a database is known to have keeps none: its name is known there. Blocks.
pub(crate) fn keeper(
    store: &Store,
    databases: &Databases,
    path: &ModulePath,
) -> Result<Option<PinnedModule>, ReleaseError> {
    'pins: for pinned in store.pins().at_or_above(path)? {
        for database in databases.iter() {
            if database.has_proved(&pinned.path).map_err(Arc::new)? {
                continue 'pins;
            }
        }
        return Ok(Some(pinned));
    }
    Ok(None)
}

impl Expectations {
    /// Whether this installation has ever had anything of this module path: a file, a pin, a record, a lookup. Blocks.
    pub(crate) fn has_seen(&self, store: &Store, path: &ModulePath) -> Result<bool, ReleaseError> {
        if store.tree().has_module(path)? || store.pins().has_module(path)? {
            return Ok(true);
        }
        for database in self.databases.iter() {
            if database.has_met(path).map_err(Arc::new)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the name of a module stays here: it looks private, no pattern covers it, and a database is public.
    pub(crate) fn withhold(&self, path: &ModulePath) -> bool {
        self.databases.have_public() && looks_private(path) && !self.exempt.exempts(path)
    }

    /// The error for the lookup of an exempt module. The patterns in it are for `go`, which does not ignore case.
    pub(crate) fn exempted(&self, module: &ModuleVersion) -> ReleaseError {
        let mut patterns = self.exempt.to_string();
        if !Patterns::of_go(&patterns).exempts(&module.path) {
            patterns.push_str(&format!(",{}", module.path));
        }
        ReleaseError::Exempt { module: module.to_string(), patterns }
    }

    /// The proved record of `module`, from the first database that has one.
    pub(crate) async fn record(&self, module: &ModuleVersion) -> Result<(Arc<ModuleRecord>, DatabaseId), ReleaseError> {
        if self.exempt.exempts(&module.path) {
            return Err(self.exempted(module));
        }
        Ok(self.databases.lookup(module, None).await?)
    }

    /// The first of these versions that is in a database, or exempt; else the last one that is not. A version in a list may
    /// have been tagged just now, or invented; this does not wait for its record.
    pub(crate) async fn first_known(
        &self,
        path: &ModulePath,
        versions: impl Iterator<Item = Version>,
    ) -> Result<Result<ModuleVersion, Option<ModuleVersion>>, ReleaseError> {
        let mut unknown = None;
        for module in versions.filter_map(|version| ModuleVersion::new(path.clone(), version).ok()) {
            match self.record(&module).await {
                Err(ReleaseError::NoRecord(_)) => unknown = Some(module),
                Ok(_) | Err(ReleaseError::Exempt { .. }) => return Ok(Ok(module)),
                Err(error) => return Err(error),
            }
        }
        Ok(Err(unknown))
    }

    pub(super) async fn expect(&self, artifact: &Artifact, store: &Arc<Store>) -> Result<Expected, ReleaseError> {
        if self.exempt.exempts(&artifact.module.path) {
            let artifact = artifact.clone();
            let pin = blocking(store, move |store| Ok(store.pins().of(&artifact)?)).await?;
            return Ok(pin.map_or(Expected::FirstUse, |h1| Expected::Known(Basis::Pinned(h1))));
        }
        let (record, _) = match self.record(&artifact.module).await {
            Err(error) if error.lacks_record() => {
                let pinned = artifact.clone();
                // A pin that cannot be read is not the question here.
                let pin = blocking(store, move |store| Ok(store.pins().of(&pinned).ok().flatten())).await?;
                let module = artifact.module.to_string();
                return Err(if pin.is_some() { ReleaseError::NotNamed(module) } else { error });
            }
            record => record?,
        };
        let no_hash =
            || ReleaseError::NoHash { artifact: Box::new(artifact.clone()), record: record.proven().id().get() };
        let proven = ProvenHash::of(&record, artifact.kind).ok_or_else(no_hash)?;
        Ok(Expected::Known(Basis::Proven(proven)))
    }
}
