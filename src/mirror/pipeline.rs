//! The stages in order: what lies here already, else upstream after upstream until the bytes are right.

use std::sync::Arc;

use moka::sync::Cache;
use tokio::sync::Semaphore;

use super::admit::Admission;
use super::advisory::Advisories;
use super::blocking::blocking;
use super::error::MirrorError;
use super::expected_hash::{Expected, Vouchers};
use super::folder::{Folders, folders};
use super::not_yet;
use super::obtain::Unproved;
use super::released::{Known, Released};
use super::retracted::{Retractions, remembered};
use super::sources::Lost;
use super::trail::Trail;
use crate::artifact::{Artifact, Kind};
use crate::flight::{BrokenOff, Flights};
use crate::module::ModuleVersion;
use crate::origin::Sources;
use crate::policy::{Exception, InForce};
use crate::store::Store;

/// Files whose identity is remembered since they were hashed: about 300 bytes each. One that falls out is hashed again.
const MAX_KNOWN: u64 = 50_000;
/// Downloads under way. A `go` command asks for about ten at once.
const MAX_DOWNLOADS: usize = 64;
/// Zips being hashed at once, over all requests: each already uses the cores.
const MAX_HASHING: usize = 4;

/// The way of an artifact, from expect to commit. Cheap to clone; clones share all state.
#[derive(Clone)]
pub struct Pipeline {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) store: Arc<Store>,
    pub(super) sources: Sources,
    pub(super) vouchers: Vouchers,
    /// What is not in `store` is asked of nobody.
    pub(super) offline: bool,
    pub(super) trail: Trail,
    pub(super) admission: Option<Admission>,
    pub(super) advisories: Advisories,
    /// What single versions take back.
    pub(super) retractions: Cache<ModuleVersion, Retractions>,
    pub(super) folders: Folders,
    known: Cache<Artifact, Known>,
    flights: Flights<Artifact, Result<Released, Arc<MirrorError>>>,
    /// Versions whose record is waited for.
    pub(super) holds: Flights<(not_yet::Only, ModuleVersion), Result<bool, Arc<MirrorError>>>,
    pub(super) held: Arc<Semaphore>,
    downloads: Semaphore,
    pub(super) hashing: Semaphore,
}

impl Pipeline {
    /// A pipeline that keeps in `store`, fetches from `sources`, believes `vouchers`, obeys `policies`, and writes down in
    /// `trail` what it releases and refuses. What is private is exempt from the databases.
    ///
    /// Without any source the pipeline is offline: what is not in `store` is asked of nobody.
    pub fn new(store: Arc<Store>, sources: Sources, mut vouchers: Vouchers, policies: InForce, trail: Trail) -> Self {
        vouchers.exempt = vouchers.exempt.with(sources.private());
        let shared = Shared {
            store,
            advisories: Advisories::new(&sources),
            offline: sources.is_empty(),
            sources,
            vouchers,
            trail,
            admission: Admission::new(policies),
            retractions: remembered(),
            folders: folders(),
            known: Cache::new(MAX_KNOWN),
            flights: Flights::default(),
            holds: Flights::default(),
            held: not_yet::places(),
            downloads: Semaphore::new(MAX_DOWNLOADS),
            hashing: Semaphore::new(MAX_HASHING),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The exceptions of the policy that lifted nothing so far.
    pub fn unused_exceptions(&self) -> Vec<Exception> {
        self.shared.admission.as_ref().map(Admission::unused).unwrap_or_default()
    }

    /// The proved file of `artifact`, open, if the policy lets it in.
    pub(super) async fn release(&self, artifact: &Artifact) -> Result<Released, Arc<MirrorError>> {
        let released = self.release_admitted(artifact).await;
        match &released {
            Ok(released) => {
                let (bytes, source) = (released.identity().size(), released.source());
                self.shared.trail.released(artifact, released.basis(), bytes, source);
            }
            Err(error) => self.shared.trail.refused(artifact, error),
        }
        released
    }

    async fn release_admitted(&self, artifact: &Artifact) -> Result<Released, Arc<MirrorError>> {
        let (Kind::Zip, Some(admission)) = (artifact.kind, &self.shared.admission) else {
            return self.release_proved(artifact).await;
        };
        let mut known = admission.examine(&artifact.module, &self.shared.vouchers).await?;
        if admission.needs_retractions() {
            let path = &artifact.module.path;
            let retractions = self.find_retractions(path).await?;
            let covering = retractions.iter().find(|retraction| retraction.covers(&artifact.module.version));
            let retracted = covering.map(|retraction| retraction.rationale.clone());
            known.learn(|facts| facts.retracted = Some(retracted.clone()));
            admission.check(&known)?;
        }
        let released = self.release_proved(artifact).await?;
        known.learn(|facts| facts.zip_size = Some(released.identity().size()));
        admission.check(&known)?;
        Ok(released)
    }

    /// The proved file of `artifact`, open. Where the database has no record yet, each request waits for its own time.
    pub(super) async fn release_proved(&self, artifact: &Artifact) -> Result<Released, Arc<MirrorError>> {
        if let Some(released) = self.shared.unchanged(artifact).await? {
            return Ok(released);
        }
        let released = self.release_together(artifact).await;
        match released.as_ref().map_err(|error| &**error) {
            Err(MirrorError::NoRecord(none)) => {
                self.shared.wait_for_record(&artifact.module, None, none).await?;
                self.release_together(artifact).await
            }
            _ => released,
        }
    }

    /// Requests for one artifact at the same time share one flight.
    async fn release_together(&self, artifact: &Artifact) -> Result<Released, Arc<MirrorError>> {
        let (shared, wanted) = (Arc::clone(&self.shared), artifact.clone());
        let flight = self.shared.flights.join(artifact.clone(), move || async move {
            let released = shared.release_anew(&wanted).await;
            if let Ok(released) = &released {
                shared.known.insert(wanted, Known::of(released));
            }
            released
        });
        flight.await.map_err(|broken| Arc::new(MirrorError::from(broken)))?
    }
}

impl Shared {
    /// The file at its place, if it is the very one that was hashed before.
    async fn unchanged(self: &Arc<Self>, artifact: &Artifact) -> Result<Option<Released>, MirrorError> {
        let Some(known) = self.known.get(artifact) else { return Ok(None) };
        let (shared, artifact) = (Arc::clone(self), artifact.clone());
        blocking(move || match shared.store.open_artifact(&artifact)? {
            Some(file) => known.reopened(file).map_err(|cause| MirrorError::read(&artifact, cause)),
            None => Ok(None),
        })
        .await
    }

    async fn release_anew(self: &Arc<Self>, artifact: &Artifact) -> Result<Released, Arc<MirrorError>> {
        let expected = Arc::new(self.vouchers.expect(artifact, &self.store).await?);
        if let Some(released) = self.from_disk(artifact, &expected).await? {
            return Ok(released);
        }
        if self.offline {
            return Err(MirrorError::Offline(artifact.to_string()).into());
        }
        let _turn = self.downloads.acquire().await.map_err(|_| MirrorError::from(BrokenOff))?;
        Ok(self.from_upstream(artifact, &expected).await?)
    }

    /// Proves what lies at the artifact's place. Wrong bytes are set aside, and `None` says to fetch anew.
    async fn from_disk(
        self: &Arc<Self>,
        artifact: &Artifact,
        expected: &Arc<Expected>,
    ) -> Result<Option<Released>, MirrorError> {
        let _turn = self.hashing.acquire().await.map_err(|_| BrokenOff)?;
        let (shared, artifact, expected) = (Arc::clone(self), artifact.clone(), Arc::clone(expected));
        blocking(move || {
            let Some(stored) = Unproved::stored(&artifact, &shared.store)? else { return Ok(None) };
            match shared.judge(stored, &expected)? {
                Ok(verified) => Released::commit(verified, &shared.store).map(Some),
                // It may be right. A source may have a zip of the version that is not over the bound.
                Err(Lost::OverBound(why)) if shared.offline => {
                    Err(MirrorError::UnsupportedZip { artifact: Box::new(artifact), tried: vec![why] })
                }
                Err(_) => Ok(None),
            }
        })
        .await
    }
}
