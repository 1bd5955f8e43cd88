//! A version that an upstream has and the database does not: most likely new, so the database will soon have its record.
//!
//! The request waits and asks the database again, for a bounded time, so that `go get` of a version that was just tagged
//! succeeds. Only a database that has shown a signed head is waited for ([`NoRecord`]).

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
use crate::release::{ByteSource, Context, ProvedFiles, ReleaseError, Released};
use crate::sumdb::{DatabaseId, LookupFailure, NoRecord};
use crate::upstream::{Nowhere, UpstreamError};
use gomodule::artifact::{Artifact, Kind};
use gomodule::module::ModuleVersion;
use gomodule::proxy_request::Request;

/// Between two lookups of one version, to keep the load on a public database low.
const POLL: Duration = Duration::from_secs(3);
/// Versions that are waited for at once, each with a lookup every few seconds. More are a mistake or an attack.
const MAX_HELD: usize = 256;

/// The proved files, and the versions whose record is waited for.
pub(super) struct Holds {
    context: Arc<Context>,
    clock: Clock,
    proved: Arc<ProvedFiles>,
    flights: Flights<(Option<DatabaseId>, ModuleVersion), Result<bool, MirrorError>>,
    slots: Semaphore,
}

impl Holds {
    pub(super) fn new(context: Arc<Context>, clock: Clock) -> Self {
        let proved = Arc::new(ProvedFiles::new(Arc::clone(&context), clock));
        Self { context, clock, proved, flights: Flights::default(), slots: Semaphore::new(MAX_HELD) }
    }

    /// The proved file of `artifact`, open. If the database has no record yet, waits for one.
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

    /// The file, if it was released a moment ago and is still the one on disk.
    pub(super) fn released_again(&self, artifact: &Artifact) -> Option<Released> {
        self.proved.released_again(artifact)
    }

    /// The upstream that a file came from, if that is remembered.
    pub(super) fn upstream_of(&self, artifact: &Artifact) -> Option<String> {
        match self.proved.source(artifact)? {
            ByteSource::Upstream(name) => Some(name.to_string()),
            ByteSource::Disk => None,
        }
    }

    /// Returns once a database, or the database `only`, has a record of `module`; after a bounded time, the error for the client.
    /// `none` is the first answer.
    pub(super) async fn wait_for_record(
        self: &Arc<Self>,
        module: &ModuleVersion,
        only: Option<DatabaseId>,
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
        // An earlier request may have begun the flight, with an earlier deadline.
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
        only: Option<DatabaseId>,
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
        let Ok(_slot) = self.slots.try_acquire() else { return Err(not_yet(module, none)) };
        loop {
            let next = async {
                tokio::time::sleep(POLL).await;
                databases.forget_no_record(module);
                databases.lookup(module, only).await
            };
            let Ok(answer) = tokio::time::timeout_at(deadline, next).await else { return Ok(false) };
            match answer {
                Ok(_) => return Ok(true),
                Err(LookupFailure::Failed(error)) if matches!(error.fault(), Fault::Misbehaviour | Fault::Host) => {
                    return Err(error.into());
                }
                // Still no record, or a temporary failure.
                Err(_) => {}
            }
        }
    }

    /// Whether each upstream says that it does not have the version. Proxy folders that were made by hand often have no `.info`,
    /// and toolchains may have a `.zip` only.
    async fn is_nowhere(&self, module: &ModuleVersion) -> Result<Option<Nowhere>, UpstreamError> {
        let pool = self.context.sources.of(&module.path);
        let mut nowhere = None;
        for kind in [Kind::Info, Kind::Mod, Kind::Zip] {
            let file = Request::File(Artifact { module: module.clone(), kind });
            let exists = match kind {
                // An `.info` that names another version is an answer, too.
                Kind::Info => pool.small(&file, |body| Info::read(&body).map(drop)).await.map(drop),
                Kind::Mod => pool.small(&file, |body| answer(&file, body).map(drop)).await.map(drop),
                Kind::Zip => pool.exists(&file).await,
            };
            match exists {
                Ok(()) => return Ok(None),
                Err(UpstreamError::Nowhere(evidence)) => nowhere = Some(evidence),
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
