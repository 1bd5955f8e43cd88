//! Stage `expect`: what the file must hash to, and on what basis.

use std::sync::Arc;

use super::basis::Basis;
use super::error::{ReleaseError, blocking};
use super::no_record::NoRecord;
use crate::store::Store;
use crate::sumdb::{Attested, Client, ProvenHash, SumdbError};
use gomodule::artifact::Artifact;
use gomodule::module::{ModulePath, ModuleVersion, Patterns, Version};

/// The databases that are asked, in order, and the modules that are exempt.
pub struct Vouchers {
    /// Never empty. The first that has a record vouches.
    pub databases: Vec<Client>,
    /// Modules that no database is asked about (GONOSUMDB patterns).
    pub exempt: Patterns,
}

/// What a file must hash to.
#[derive(Debug)]
pub(super) enum Expected {
    /// To this h1.
    Known(Basis),
    /// To any: the module is exempt, and nothing is pinned yet. The first h1 is pinned.
    Unseen,
}

impl Vouchers {
    /// Whether a module is exempt.
    pub(crate) fn exempts(&self, path: &ModulePath) -> bool {
        self.exempt.exempts(path)
    }

    /// Whether anything of a module of this path was ever seen here: a file, a pin, a record, a question
    /// for one. Blocks.
    pub(crate) fn has_seen(&self, store: &Store, path: &ModulePath) -> Result<bool, ReleaseError> {
        if store.has_module(path)? {
            return Ok(true);
        }
        for database in &self.databases {
            if database.has_met(path).map_err(Arc::new)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All databases, or the one with this place among them.
    pub(crate) fn databases(&self, only: Option<usize>) -> &[Client] {
        match only {
            Some(nth) => self.databases.get(nth..=nth).unwrap_or_default(),
            None => &self.databases,
        }
    }

    /// The proved record of `module`, with its database, from the first database that has one.
    pub(crate) async fn record(&self, module: &ModuleVersion) -> Result<(Arc<Attested>, &Client), ReleaseError> {
        self.record_by(module, None, false).await
    }

    /// The same, and what is remembered of missing records does not count.
    pub(crate) async fn record_anew(
        &self,
        module: &ModuleVersion,
        only: Option<usize>,
    ) -> Result<(Arc<Attested>, &Client), ReleaseError> {
        self.record_by(module, only, true).await
    }

    async fn record_by(
        &self,
        module: &ModuleVersion,
        only: Option<usize>,
        anew: bool,
    ) -> Result<(Arc<Attested>, &Client), ReleaseError> {
        if self.exempts(&module.path) {
            return Err(ReleaseError::Exempt(module.to_string()));
        }
        let mut answers = Vec::new();
        for database in self.databases(only) {
            let answer = if anew { database.lookup_anew(module).await } else { database.lookup(module).await };
            match answer {
                Ok(attested) => return Ok((attested, database)),
                Err(error) => match *error {
                    // Another one may have been asked while there was a network, or have been carried here.
                    SumdbError::NoRecord { .. } | SumdbError::NotCarried { .. } | SumdbError::Offline { .. } => {
                        answers.push(error);
                    }
                    // Where one cannot be verified, the next one does not decide.
                    _ => return Err(error.into()),
                },
            }
        }
        if let Some(none) = NoRecord::of(module, &answers) {
            return Err(ReleaseError::NoRecord(none));
        }
        let doubtful = answers.into_iter().find(|error| !matches!(**error, SumdbError::NoRecord { .. }));
        Err(doubtful.map_or_else(|| ReleaseError::NoDatabase(module.to_string()), ReleaseError::from))
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

    /// What the file of `artifact` must hash to.
    pub(super) async fn expect(&self, artifact: &Artifact, store: &Arc<Store>) -> Result<Expected, ReleaseError> {
        if self.exempts(&artifact.module.path) {
            let (store, artifact) = (Arc::clone(store), artifact.clone());
            let pin = blocking(move || Ok(store.pin(&artifact)?)).await?;
            return Ok(pin.map_or(Expected::Unseen, |h1| Expected::Known(Basis::Pinned(h1))));
        }
        let (attested, _) = self.record(&artifact.module).await?;
        let no_hash =
            || ReleaseError::NoHash { artifact: Box::new(artifact.clone()), record: attested.record().id().get() };
        let proven = ProvenHash::of(&attested, artifact.kind).ok_or_else(no_hash)?;
        Ok(Expected::Known(Basis::Proven(proven)))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::base::fault::Fault;

    #[tokio::test]
    async fn without_a_database_nothing_is_absent() {
        let vouchers = Vouchers { databases: Vec::new(), exempt: Patterns::default() };
        let module = ModuleVersion::parse("example.com/a@v1.0.0").unwrap();
        assert_eq!(vouchers.record(&module).await.err().unwrap().fault(), Fault::Host);
    }
}
