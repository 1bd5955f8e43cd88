//! Stage `attest`: who says what the file must hash to.

use std::sync::Arc;

use super::error::{Expected, MirrorError, Voucher};
use crate::artifact::{Artifact, Kind};
use crate::fault::Fault;
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

    /// The proved record of `module`, with its database, from the first database that has one.
    pub(super) async fn record(&self, module: &ModuleVersion) -> Result<(Arc<Attested>, &Client), MirrorError> {
        if self.exempts(&module.path) {
            return Err(MirrorError::Exempt(module.to_string()));
        }
        let mut absent = None;
        for database in &self.databases {
            match database.lookup(module).await {
                Ok(attested) => return Ok((attested, database)),
                Err(error) if error.fault() == Fault::Absent => absent = absent.or(Some(error)),
                // Another one may have been asked while there was a network.
                Err(error) if matches!(*error, SumdbError::Offline { .. }) => absent = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(absent.map_or_else(|| MirrorError::Exempt(module.to_string()), MirrorError::from))
    }

    pub(super) async fn attest(&self, artifact: &Artifact, store: &Arc<Store>) -> Result<Vouched, MirrorError> {
        if self.exempts(&artifact.module.path) {
            let (store, artifact) = (Arc::clone(store), artifact.clone());
            let pin = super::pipeline::blocking(move || Ok(store.pin(&artifact)?)).await?;
            return Ok(pin.map_or(Vouched::Unseen, |h1| Vouched::Pinned(Expected { h1, by: Voucher::FirstSeen })));
        }
        let (attested, database) = self.record(&artifact.module).await?;
        let lines = attested.lines();
        let h1 = match artifact.kind {
            Kind::Zip => lines.zip,
            Kind::Mod => lines.go_mod,
            Kind::Info => None,
        };
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
