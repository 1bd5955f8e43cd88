//! The proved files: from the store, else from the upstreams.

use std::sync::Arc;

use moka::sync::Cache;

use super::context::Context;
use super::error::{ReleaseError, blocking};
use super::expected_hash::Expected;
use super::fetch::Fetch;
use super::judge::{AttemptError, judge};
use super::obtain::Unproved;
use super::released::{KnownFile, Released};
use crate::base::flight::Flights;
use gomodule::artifact::{Artifact, Kind};

/// Hashed files whose identity is remembered: about 300 bytes each. One that is dropped is hashed again.
const MAX_KNOWN: u64 = 50_000;

/// Releases proved files. Does not apply a policy.
pub(crate) struct ProvedFiles {
    context: Arc<Context>,
    known: Cache<Artifact, KnownFile>,
    flights: Flights<Artifact, Result<Released, Arc<ReleaseError>>>,
}

impl ProvedFiles {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context, known: Cache::new(MAX_KNOWN), flights: Flights::default() }
    }

    pub(crate) async fn release(self: &Arc<Self>, artifact: &Artifact) -> Result<Released, Arc<ReleaseError>> {
        match self.unchanged(artifact).await? {
            Some(released) => Ok(released),
            None => self.release_together(artifact).await,
        }
    }

    /// Concurrent requests for one artifact share the work.
    async fn release_together(self: &Arc<Self>, artifact: &Artifact) -> Result<Released, Arc<ReleaseError>> {
        let (files, wanted) = (Arc::clone(self), artifact.clone());
        let flight = self.flights.join(artifact.clone(), move || async move {
            let released = files.prove_or_fetch(&wanted).await;
            if let Ok(released) = &released {
                files.known.insert(wanted, KnownFile::of(released));
            }
            released
        });
        flight.await.map_err(|cancelled| Arc::new(ReleaseError::from(cancelled)))?
    }

    /// The stored file, if it is the one that was hashed before.
    async fn unchanged(&self, artifact: &Artifact) -> Result<Option<Released>, ReleaseError> {
        let Some(known) = self.known.get(artifact) else { return Ok(None) };
        let artifact = artifact.clone();
        blocking(&self.context.store, move |store| match store.tree().open_artifact(&artifact)? {
            Some(file) => known.reopened(file).map_err(|cause| ReleaseError::read(&artifact, cause)),
            None => Ok(None),
        })
        .await
    }

    async fn prove_or_fetch(&self, artifact: &Artifact) -> Result<Released, Arc<ReleaseError>> {
        let expected = Arc::new(self.context.expectations.expect(artifact, &self.context.store).await?);
        if let Some(released) = self.stored(artifact, &expected).await? {
            return Ok(released);
        }
        if self.context.offline {
            return Err(ReleaseError::Offline(artifact.to_string()).into());
        }
        Ok(Fetch::of(&self.context, artifact, &expected).run().await?)
    }

    /// Proves the stored file. Wrong bytes are quarantined; `None` means that the file must be fetched.
    async fn stored(&self, artifact: &Artifact, expected: &Arc<Expected>) -> Result<Option<Released>, ReleaseError> {
        // Without a stored zip there is nothing to wait for.
        if artifact.kind == Kind::Zip && !self.context.has(artifact).await? {
            return Ok(None);
        }
        let _permit = self.context.hashing_permit(artifact.kind).await?;
        let (artifact, expected) = (artifact.clone(), Arc::clone(expected));
        blocking(&self.context, move |context| {
            let Some(stored) = Unproved::stored(&artifact, &context.store)? else { return Ok(None) };
            match judge(context, stored, &expected) {
                Ok(verified) => Released::commit(verified, &context.store).map(Some),
                // It may be right. If not offline, an upstream may have a zip of the version within the limits.
                Err(AttemptError::OverLimit(why)) if context.offline => {
                    Err(ReleaseError::UnsupportedZip { artifact: Box::new(artifact), tried: vec![why] })
                }
                Err(
                    AttemptError::Wrong(_)
                    | AttemptError::OverLimit(_)
                    | AttemptError::Joined(_)
                    | AttemptError::Local(ReleaseError::WrongBytes { .. }),
                ) => Ok(None),
                Err(AttemptError::Local(error)) => Err(error),
                Err(AttemptError::Failed(error)) => Err(error.into()),
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::base::clock::Clock;
    use crate::release::{EventLog, Expectations};
    use crate::store::Store;
    use crate::sumdb::{Anchor, Client, Database, Databases};
    use crate::upstream::{HttpClient, ProxyList, Router, Ttls, UpstreamPool};
    use gomodule::module::{ModuleVersion, Patterns};

    #[tokio::test]
    async fn a_go_mod_does_not_wait_for_zips_that_are_hashed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let (world, http) = (testkit::Origin::start(testkit::World::demo()).await.unwrap(), HttpClient::new().unwrap());
        let database = Database::parse(&world.gosumdb()).unwrap();
        let client = Client::open(database, &store, &Anchor::None, &http, Clock::System).unwrap();
        let databases = Databases::new(vec![client]).unwrap();
        let list = ProxyList::parse(&world.url()).unwrap();
        let pool = UpstreamPool::new(list.upstreams(), &http, Ttls::default(), Clock::System).unwrap();
        let expectations = Expectations { databases, exempt: Patterns::default() };
        let context = Arc::new(Context::new(store, Router::new(pool, Vec::new()), expectations, EventLog::default()));
        let files = Arc::new(ProvedFiles::new(Arc::clone(&context)));
        let module = ModuleVersion::parse("example.com/hello@v1.0.0").unwrap();
        let [go_mod, zip] = [Kind::Mod, Kind::Zip].map(|kind| Artifact { module: module.clone(), kind });
        let mut permits = Vec::new();
        while let Ok(permit) = timeout(Duration::from_millis(10), context.hashing_permit(Kind::Zip)).await {
            permits.push(permit.unwrap());
        }
        assert_eq!(permits.len(), 4, "zips that are hashed");
        let in_time = Duration::from_secs(20);
        timeout(in_time, files.release(&go_mod)).await.expect("it needs no permit").unwrap();
        let expected = Arc::new(context.expectations.expect(&zip, &context.store).await.unwrap());
        let stored = timeout(in_time, files.stored(&zip, &expected)).await;
        assert!(stored.expect("without a stored zip no permit is needed").unwrap().is_none());
        permits.clear();
        files.release(&zip).await.unwrap();
    }
}
