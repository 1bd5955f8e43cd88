//! Stage `attest`: who says what the file must hash to.

use std::sync::Arc;

use super::absence::NoRecord;
use super::error::{Expected, MirrorError, Voucher};
use crate::artifact::Artifact;
use crate::module::{ModulePath, ModuleVersion, Patterns};
use crate::store::Store;
use crate::sumdb::{Attested, Client, SumdbError};

/// The databases that are asked, in order, and the modules that are exempt.
pub struct Vouchers {
    /// Never empty. The first that has a record vouches.
    pub databases: Vec<Client>,
    /// Modules that no database is asked about (GONOSUMDB patterns).
    pub exempt: Patterns,
}

/// Somebody vouches for the file, or nobody needs to.
#[derive(Debug)]
pub(super) enum Vouched {
    /// A proved record has its h1.
    Record(Expected),
    /// An exempt module that was seen before: the h1 of that time.
    Pinned(Expected),
    /// An exempt module that was never seen: the first bytes are pinned.
    Unseen,
}

impl Vouched {
    /// Who vouches.
    pub(super) fn by(&self) -> Voucher {
        match self {
            Self::Record(expected) | Self::Pinned(expected) => expected.by.clone(),
            Self::Unseen => Voucher::FirstSeen,
        }
    }
}

impl Vouchers {
    /// Whether a module is exempt.
    pub(super) fn exempts(&self, path: &ModulePath) -> bool {
        self.exempt.exempts(path)
    }

    /// Whether anything of a module of this path was ever seen here: a file, a pin, a record, a question
    /// for one. Blocks.
    pub(super) fn has_seen(&self, store: &Store, path: &ModulePath) -> Result<bool, MirrorError> {
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
    pub(super) fn databases(&self, only: Option<usize>) -> &[Client] {
        match only {
            Some(nth) => self.databases.get(nth..=nth).unwrap_or_default(),
            None => &self.databases,
        }
    }

    /// The proved record of `module`, with its database, from the first database that has one.
    pub(super) async fn record(&self, module: &ModuleVersion) -> Result<(Arc<Attested>, &Client), MirrorError> {
        self.record_by(module, None, false).await
    }

    /// The same, and what is remembered of missing records does not count.
    pub(super) async fn record_anew(
        &self,
        module: &ModuleVersion,
        only: Option<usize>,
    ) -> Result<(Arc<Attested>, &Client), MirrorError> {
        self.record_by(module, only, true).await
    }

    async fn record_by(
        &self,
        module: &ModuleVersion,
        only: Option<usize>,
        anew: bool,
    ) -> Result<(Arc<Attested>, &Client), MirrorError> {
        if self.exempts(&module.path) {
            return Err(MirrorError::Exempt(module.to_string()));
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
            return Err(MirrorError::NoRecord(none));
        }
        let doubtful = answers.into_iter().find(|error| !matches!(**error, SumdbError::NoRecord { .. }));
        Err(doubtful.map_or_else(|| MirrorError::Exempt(module.to_string()), MirrorError::from))
    }

    pub(super) async fn attest(&self, artifact: &Artifact, store: &Arc<Store>) -> Result<Vouched, MirrorError> {
        if self.exempts(&artifact.module.path) {
            let (store, artifact) = (Arc::clone(store), artifact.clone());
            let pin = super::pipeline::blocking(move || Ok(store.pin(&artifact)?)).await?;
            return Ok(pin.map_or(Vouched::Unseen, |h1| Vouched::Pinned(Expected { h1, by: Voucher::FirstSeen })));
        }
        let (attested, database) = self.record(&artifact.module).await?;
        let h1 = attested.lines().h1(artifact.kind);
        let record = attested.record().id().get();
        match h1 {
            Some(h1) => {
                let (database, proved_in) = (database.database().name().to_owned(), attested.proved_in().get());
                let by = Voucher::Record { id: record, database, proved_in };
                Ok(Vouched::Record(Expected { h1, by }))
            }
            None => Err(MirrorError::NoHash { artifact: Box::new(artifact.clone()), record }),
        }
    }
}
