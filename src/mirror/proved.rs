//! The proved files: what lies here already, else upstream after upstream until the bytes are right.

use std::sync::Arc;

use moka::sync::Cache;
use tokio::sync::Semaphore;

use super::context::Context;
use super::error::{MirrorError, blocking};
use super::not_yet::Holds;
use super::released::{Known, Released};
use crate::base::flight::{BrokenOff, Flights};
use gomodule::artifact::Artifact;

/// Files whose identity is remembered since they were hashed: about 300 bytes each. One that falls out is hashed again.
const MAX_KNOWN: u64 = 50_000;
/// Downloads under way. A `go` command asks for about ten at once.
const MAX_DOWNLOADS: usize = 64;

/// The proved files, whatever a policy says of them.
pub(super) struct ProvedFiles {
    context: Arc<Context>,
    holds: Arc<Holds>,
    known: Cache<Artifact, Known>,
    flights: Flights<Artifact, Result<Released, Arc<MirrorError>>>,
    downloads: Semaphore,
}

impl ProvedFiles {
    pub(super) fn new(context: Arc<Context>, holds: Arc<Holds>) -> Self {
        Self {
            context,
            holds,
            known: Cache::new(MAX_KNOWN),
            flights: Flights::default(),
            downloads: Semaphore::new(MAX_DOWNLOADS),
        }
    }

    /// The proved file of `artifact`, open. Where the database has no record yet, each request waits for its own time.
    pub(super) async fn release(self: &Arc<Self>, artifact: &Artifact) -> Result<Released, Arc<MirrorError>> {
        if let Some(released) = self.unchanged(artifact).await? {
            return Ok(released);
        }
        let released = self.release_together(artifact).await;
        match released.as_ref().map_err(|error| &**error) {
            Err(MirrorError::NoRecord(none)) => {
                self.holds.wait_for_record(&artifact.module, None, none).await?;
                self.release_together(artifact).await
            }
            _ => released,
        }
    }

    /// Requests for one artifact at the same time share one flight.
    async fn release_together(self: &Arc<Self>, artifact: &Artifact) -> Result<Released, Arc<MirrorError>> {
        let (files, wanted) = (Arc::clone(self), artifact.clone());
        let flight = self.flights.join(artifact.clone(), move || async move {
            let released = files.release_anew(&wanted).await;
            if let Ok(released) = &released {
                files.known.insert(wanted, Known::of(released));
            }
            released
        });
        flight.await.map_err(|broken| Arc::new(MirrorError::from(broken)))?
    }

    /// The file at its place, if it is the very one that was hashed before.
    async fn unchanged(&self, artifact: &Artifact) -> Result<Option<Released>, MirrorError> {
        let Some(known) = self.known.get(artifact) else { return Ok(None) };
        let (store, artifact) = (Arc::clone(&self.context.store), artifact.clone());
        blocking(move || match store.tree().open_artifact(&artifact)? {
            Some(file) => known.reopened(file).map_err(|cause| MirrorError::read(&artifact, cause)),
            None => Ok(None),
        })
        .await
    }

    async fn release_anew(&self, artifact: &Artifact) -> Result<Released, Arc<MirrorError>> {
        let expected = Arc::new(self.context.vouchers.expect(artifact, &self.context.store).await?);
        if let Some(released) = self.context.stored(artifact, &expected).await? {
            return Ok(released);
        }
        if self.context.offline {
            return Err(MirrorError::Offline(artifact.to_string()).into());
        }
        let _turn = self.downloads.acquire().await.map_err(|_| MirrorError::from(BrokenOff))?;
        Ok(self.context.fetch(artifact, &expected).await?)
    }
}
