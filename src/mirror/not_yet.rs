//! A version that a source has and the database does not: new, most likely, and its record is on its way.
//!
//! The request waits and asks the database again, up to a bound, so that `go get` of a version that was just tagged succeeds.
//! Only a database that has shown a signed head is waited for ([`NoRecord`]).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::absence::{Absent, NoRecord};
use super::error::MirrorError;
use super::pipeline::Shared;
use crate::artifact::{Artifact, Kind};
use crate::fault::Fault;
use crate::flight::BrokenOff;
use crate::module::ModuleVersion;
use crate::origin::{Nowhere, OriginError};
use crate::sumdb::Client;

/// Between two questions for one version; a public database is not to be pressed.
const POLL: Duration = Duration::from_secs(3);
/// Versions that are waited for at the same time. Each asks every few seconds; a larger number of new versions at once is
/// somebody's mistake, or malice.
const MAX_HELD: usize = 256;
/// When a client may ask again after it was told that there is no record yet.
pub(super) const RETRY_AFTER: Duration = Duration::from_mins(1);
/// The largest go.mod (`golang.org/x/mod/zip`: MaxGoMod).
const MAX_GO_MOD: usize = 16 << 20;

/// Which database is waited for: any of them, or the one that a lookup names.
pub(super) type Only = Option<usize>;

/// Places for those that wait.
pub(super) fn places() -> Arc<tokio::sync::Semaphore> {
    Arc::new(tokio::sync::Semaphore::new(MAX_HELD))
}

impl Shared {
    /// Returns once the database has a record of `module`; else says what is to be said of it.
    pub(super) async fn wait_for_record(
        self: &Arc<Self>,
        module: &ModuleVersion,
        only: Only,
        none: NoRecord,
    ) -> Result<(), Arc<MirrorError>> {
        let Some(hold) = self.sources.waits().hold.filter(|_| !self.offline) else {
            return Err(Arc::new(MirrorError::NoRecord(none)));
        };
        let (shared, wanted) = (Arc::clone(self), module.clone());
        let flight = self.holds.join((only, module.clone()), move || async move {
            shared.hold(&wanted, only, none, hold).await.map_err(Arc::new)
        });
        flight.await.map_err(|broken| Arc::new(MirrorError::from(broken)))?
    }

    async fn hold(
        self: &Arc<Self>,
        module: &ModuleVersion,
        only: Only,
        none: NoRecord,
        hold: Duration,
    ) -> Result<(), MirrorError> {
        if let Some(nowhere) = self.is_nowhere(module).await? {
            return Err(MirrorError::Absent(Absent::no_record(&none, &nowhere)));
        }
        let databases = self.vouchers.databases(only);
        if let Some(absent) = Absent::overdue(&none, first_asked(databases, module).await?) {
            return Err(MirrorError::Absent(absent));
        }
        let not_yet = || MirrorError::NotYet { module: Box::new(module.clone()), why: none.to_string() };
        let Ok(_place) = Arc::clone(&self.held).try_acquire_owned() else { return Err(not_yet()) };
        let deadline = tokio::time::Instant::now() + hold;
        loop {
            if tokio::time::timeout_at(deadline, tokio::time::sleep(POLL)).await.is_err() {
                return Err(not_yet());
            }
            let Ok(answer) = tokio::time::timeout_at(deadline, self.vouchers.record_anew(module, only)).await else {
                return Err(not_yet());
            };
            match answer {
                Ok(_) => return Ok(()),
                Err(error) if matches!(error.fault(), Fault::Misbehaviour | Fault::Host) => return Err(error),
                // No record still, or trouble, which passes.
                Err(_) => {}
            }
        }
    }

    /// Whether each source says that it does not have the version. Trees that are made by hand often have no `.info`.
    async fn is_nowhere(&self, module: &ModuleVersion) -> Result<Option<Nowhere>, OriginError> {
        let origin = self.sources.of(&module.path);
        let mut nowhere = None;
        for (kind, limit) in [(Kind::Info, super::advisory::MAX_INFO), (Kind::Mod, MAX_GO_MOD)] {
            let path = Artifact { module: module.clone(), kind }.path();
            match origin.small(&path, limit, |body| fits(kind, &body)).await {
                Ok(_) => return Ok(None),
                Err(OriginError::Nowhere(said)) => nowhere = Some(said),
                Err(error) => return Err(error),
            }
        }
        Ok(nowhere)
    }
}

/// Whether a body is what its name says, rather than a page that asks for a login.
fn fits(kind: Kind, body: &[u8]) -> Result<(), String> {
    if kind == Kind::Info {
        return super::advisory::version_of(body).map(|_| ());
    }
    let names_a_module = crate::gomod::names_a_module(&String::from_utf8_lossy(body));
    names_a_module.then_some(()).ok_or_else(|| "its .mod has no line that names a module".to_owned())
}

/// The shortest time since one of the databases was first asked: a record may be on its way in that one.
async fn first_asked(databases: &[Client], module: &ModuleVersion) -> Result<Duration, MirrorError> {
    let mut shortest = Duration::MAX;
    for database in databases {
        shortest = shortest.min(database.first_asked(module, SystemTime::now()).await?);
    }
    if databases.is_empty() { Err(BrokenOff.into()) } else { Ok(shortest) }
}
