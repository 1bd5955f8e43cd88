//! Stage `expect`: what the file must hash to, and on what basis.

use std::sync::Arc;

use super::basis::Basis;
use super::error::{ReleaseError, blocking};
use crate::store::Store;
use crate::sumdb::{Attested, DatabaseId, Databases, ProvenHash};
use gomodule::artifact::Artifact;
use gomodule::module::{ModulePath, ModuleVersion, Patterns, Version};

/// The databases that are asked, in order, and the modules that are exempt.
pub(crate) struct Expectations {
    /// The first that has a record vouches.
    pub(crate) databases: Databases,
    /// Modules that no database is asked about (GONOSUMDB patterns).
    pub(crate) exempt: Patterns,
}

#[derive(Debug)]
pub(super) enum Expected {
    /// To this h1.
    Known(Basis),
    /// To any: the module is exempt, and nothing is pinned yet. The first h1 is pinned.
    Unseen,
}

impl Expectations {
    /// Whether anything of a module of this path was ever seen here: a file, a pin, a record, a question
    /// for one. Blocks.
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

    /// The proved record of `module`, from the first database that has one.
    pub(crate) async fn record(&self, module: &ModuleVersion) -> Result<(Arc<Attested>, DatabaseId), ReleaseError> {
        if self.exempt.exempts(&module.path) {
            return Err(ReleaseError::Exempt(module.to_string()));
        }
        Ok(self.databases.lookup(module, None).await?)
    }

    /// The first of these versions that a database knows, or that is exempt; else the last that none knows, if any is. A list
    /// proves nothing: a version in it was tagged just now, or made up. It is not waited for.
    pub(crate) async fn first_known(
        &self,
        path: &ModulePath,
        versions: impl Iterator<Item = Version>,
    ) -> Result<Result<ModuleVersion, Option<ModuleVersion>>, ReleaseError> {
        let mut unknown = None;
        for module in versions.filter_map(|version| ModuleVersion::new(path.clone(), version).ok()) {
            match self.record(&module).await {
                Err(ReleaseError::NoRecord(_)) => unknown = Some(module),
                Ok(_) | Err(ReleaseError::Exempt(_)) => return Ok(Ok(module)),
                Err(error) => return Err(error),
            }
        }
        Ok(Err(unknown))
    }

    pub(super) async fn expect(&self, artifact: &Artifact, store: &Arc<Store>) -> Result<Expected, ReleaseError> {
        if self.exempt.exempts(&artifact.module.path) {
            let artifact = artifact.clone();
            let pin = blocking(store, move |store| Ok(store.pins().of(&artifact)?)).await?;
            return Ok(pin.map_or(Expected::Unseen, |h1| Expected::Known(Basis::Pinned(h1))));
        }
        let (attested, _) = self.record(&artifact.module).await?;
        let no_hash =
            || ReleaseError::NoHash { artifact: Box::new(artifact.clone()), record: attested.record().id().get() };
        let proven = ProvenHash::of(&attested, artifact.kind).ok_or_else(no_hash)?;
        Ok(Expected::Known(Basis::Proven(proven)))
    }
}
