//! A version that a source has and the database does not: new, most likely, and its record is on its way.
//!
//! The request waits and asks the database again, up to a bound, so that `go get` of a version that was just tagged succeeds.
//! Only a database that has shown a signed head is waited for ([`NoRecord`]).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::absence::Absent;
use super::error::MirrorError;
use super::metadata::answer::answer;
use super::metadata::info::Info;
use crate::base::clock::Clock;
use crate::base::fault::Fault;
use crate::base::flight::Flights;
use crate::release::{Context, ProvedFiles, ReleaseError, Released};
use crate::sumdb::{DatabaseId, LookupFailure, NoRecord};
use crate::upstream::{Nowhere, UpstreamError};
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::ModuleVersion;
use gomodule::proxy_request::Request;

/// Between two questions for one version; a public database is not to be pressed.
const POLL: Duration = Duration::from_secs(3);
/// Versions that are waited for at the same time. Each asks every few seconds; a larger number of new versions at once is
/// somebody's mistake, or malice.
const MAX_HELD: usize = 256;

/// Which database is waited for: any of them, or the one that a lookup names.
type Only = Option<DatabaseId>;

/// The proved files, and the versions whose record is waited for.
pub(super) struct Holds {
    context: Arc<Context>,
    clock: Clock,
    proved: Arc<ProvedFiles>,
    flights: Flights<(Only, ModuleVersion), Result<bool, MirrorError>>,
    places: Arc<Semaphore>,
}

impl Holds {
    pub(super) fn new(context: Arc<Context>, clock: Clock) -> Self {
        let (proved, places) = (Arc::new(ProvedFiles::new(Arc::clone(&context))), Arc::new(Semaphore::new(MAX_HELD)));
        Self { context, clock, proved, flights: Flights::default(), places }
    }

    /// The proved file of `artifact`, open. Where the database has no record yet, each request waits for its own time.
    pub(super) async fn release(self: &Arc<Self>, artifact: &Artifact) -> Result<Released, MirrorError> {
        let mut released = self.proved.release(artifact).await;
        if let Err(error) = &released
            && let ReleaseError::NoRecord(none) = &**error
        {
            self.wait_for_record(&artifact.module, None, none).await?;
            released = self.proved.release(artifact).await;
        }
        Ok(released?)
    }

    /// Returns once the database has a record of `module`; else says what is to be said of it.
    pub(super) async fn wait_for_record(
        self: &Arc<Self>,
        module: &ModuleVersion,
        only: Only,
        none: &NoRecord,
    ) -> Result<(), MirrorError> {
        let Some(hold) = self.context.sources.ttls().hold.filter(|_| !self.context.offline) else {
            return Err(ReleaseError::NoRecord(none.clone()).into());
        };
        let deadline = self.clock.steady() + hold;
        let flight = || {
            let (holds, wanted, none) = (Arc::clone(self), module.clone(), none.clone());
            let hold = async move || holds.hold(&wanted, only, &none, deadline).await;
            self.flights.join((only, module.clone()), hold)
        };
        // Whoever began the flight did so before, and waits no longer than this request may.
        let mut has_record = flight().await??;
        while !has_record && self.clock.steady() < deadline {
            has_record = match tokio::time::timeout_at(deadline, flight()).await {
                Ok(ended) => ended??,
                Err(_) => false,
            };
        }
        if has_record { Ok(()) } else { Err(not_yet(module, none)) }
    }

    /// Whether there is a record before the deadline.
    async fn hold(
        &self,
        module: &ModuleVersion,
        only: Only,
        none: &NoRecord,
        deadline: Instant,
    ) -> Result<bool, MirrorError> {
        if let Some(nowhere) = self.is_nowhere(module).await? {
            return Err(MirrorError::Absent(Absent::no_record(none, &nowhere)));
        }
        let databases = &self.context.expectations.databases;
        if let Some(absent) = Absent::overdue(none, databases.first_asked(module, only).await?) {
            return Err(MirrorError::Absent(absent));
        }
        let Ok(_place) = Arc::clone(&self.places).try_acquire_owned() else { return Err(not_yet(module, none)) };
        loop {
            if tokio::time::timeout_at(deadline, tokio::time::sleep(POLL)).await.is_err() {
                return Ok(false);
            }
            databases.forget_no_record(module);
            let Ok(answer) = tokio::time::timeout_at(deadline, databases.lookup(module, only)).await else {
                return Ok(false);
            };
            match answer {
                Ok(_) => return Ok(true),
                Err(LookupFailure::Failed(error)) if matches!(error.fault(), Fault::Misbehaviour | Fault::Host) => {
                    return Err(error.into());
                }
                // No record still, or trouble, which passes.
                Err(_) => {}
            }
        }
    }

    /// Whether each source says that it does not have the version. Trees that are made by hand often have no `.info`, and
    /// toolchains may come as a `.zip` alone.
    async fn is_nowhere(&self, module: &ModuleVersion) -> Result<Option<Nowhere>, UpstreamError> {
        let pool = self.context.sources.of(&module.path);
        let mut nowhere = None;
        for kind in [Kind::Info, Kind::Mod, Kind::Zip] {
            let file = Request::File(Artifact { module: module.clone(), kind });
            let here = match kind {
                // One that names another version is an answer, too.
                Kind::Info => pool.small(&file, |body| Info::read(&body).map(drop)).await.map(drop),
                Kind::Mod => pool.small(&file, |body| answer(&file, body).map(drop)).await.map(drop),
                Kind::Zip => pool.exists(&file).await,
            };
            match here {
                Ok(()) => return Ok(None),
                Err(UpstreamError::Nowhere(said)) => nowhere = Some(said),
                Err(error) => return Err(error),
            }
        }
        Ok(nowhere)
    }
}

fn not_yet(module: &ModuleVersion, none: &NoRecord) -> MirrorError {
    MirrorError::NotYet { module: Box::new(module.clone()), why: none.to_string() }
}

#[cfg(test)]
mod tests;
