//! The proved files: from the store, else from the upstreams.

use std::sync::Arc;

use quick_cache::sync::Cache;

use super::context::Context;
use super::error::{ReleaseError, blocking};
use super::expected_hash::Expected;
use super::fetch::Fetch;
use super::judge::{AttemptError, judge};
use super::kept::KeptFiles;
use super::obtain::{ByteSource, Unproved};
use super::released::{KnownFile, Released};
use crate::base::clock::Clock;
use crate::base::flight::Flights;
use crate::telemetry::trace;
use gomodule::artifact::{Artifact, Kind};

/// Hashed files whose identity is remembered: about 300 bytes each. One that is dropped is hashed again.
const MAX_KNOWN: usize = 50_000;

/// Releases proved files. Does not apply a policy.
pub(crate) struct ProvedFiles {
    context: Arc<Context>,
    known: Cache<Artifact, KnownFile>,
    kept: Arc<KeptFiles>,
    flights: Flights<Artifact, Result<Released, Arc<ReleaseError>>>,
}

impl ProvedFiles {
    pub(crate) fn new(context: Arc<Context>, clock: Clock) -> Self {
        Self {
            context,
            known: Cache::new(MAX_KNOWN),
            kept: Arc::new(KeptFiles::new(clock)),
            flights: Flights::default(),
        }
    }

    pub(crate) async fn release(self: &Arc<Self>, artifact: &Artifact) -> Result<Released, Arc<ReleaseError>> {
        match self.unchanged(artifact).await? {
            Some(released) => {
                self.context.events.stored(true);
                Ok(released)
            }
            None => self.release_together(artifact).await,
        }
    }

    /// The file, if it was released a moment ago and is still the one on disk.
    pub(crate) fn released_again(&self, artifact: &Artifact) -> Option<Released> {
        self.kept.get(artifact)
    }

    /// Where the bytes of a file came from, if that is remembered.
    pub(crate) fn source(&self, artifact: &Artifact) -> Option<ByteSource> {
        self.known.get(artifact).map(|known| known.source().clone())
    }

    /// Concurrent requests for one artifact share the work.
    async fn release_together(self: &Arc<Self>, artifact: &Artifact) -> Result<Released, Arc<ReleaseError>> {
        let (files, wanted) = (Arc::clone(self), artifact.clone());
        // The spans of shared work belong to the request that began it.
        let parent = trace::parent_span();
        let work = async move {
            let released = files.prove_or_fetch(&wanted).await;
            if let Ok(released) = &released {
                files.known.insert(wanted, KnownFile::of(released));
            }
            released
        };
        let flight = self.flights.join(artifact.clone(), move || parent.during(work));
        flight.await.map_err(|cancelled| Arc::new(ReleaseError::from(cancelled)))?
    }

    /// The stored file, if it is the one that was hashed before.
    async fn unchanged(&self, artifact: &Artifact) -> Result<Option<Released>, ReleaseError> {
        if let Some(released) = self.kept.get(artifact) {
            return Ok(Some(released));
        }
        let Some(known) = self.known.get(artifact) else { return Ok(None) };
        let (kept, artifact) = (Arc::clone(&self.kept), artifact.clone());
        blocking(&self.context.store, move |store| {
            let Some(file) = store.tree().open_artifact(&artifact)? else { return Ok(None) };
            let released = known.reopened(file).map_err(|cause| ReleaseError::read(&artifact, cause))?;
            if let Some(released) = &released {
                kept.keep(&artifact, released, store);
            }
            Ok(released)
        })
        .await
    }

    async fn prove_or_fetch(&self, artifact: &Artifact) -> Result<Released, Arc<ReleaseError>> {
        let expected = self.context.expectations.expect(artifact, &self.context.store);
        let expected = Arc::new(trace::stage("lookup", expected).await?);
        let stored = trace::stage("stored", self.stored(artifact, &expected)).await?;
        self.context.events.stored(stored.is_some());
        if let Some(released) = stored {
            return Ok(released);
        }
        if self.context.offline {
            return Err(ReleaseError::Offline(artifact.to_string()).into());
        }
        let released = Fetch::of(&self.context, artifact, &expected).run().await?;
        self.context.events.downloaded();
        Ok(released)
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
                Ok(verified) => trace::stage_now("commit", || Released::commit(verified, &context.store)).map(Some),
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
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::release::{EventLog, Expectations};
    use crate::store::Store;
    use crate::sumdb::{Anchor, Client, Database, Databases};
    use crate::upstream::{HttpClient, ProxyList, Router, Ttls, UpstreamPool};
    use gomodule::module::{ModuleVersion, Patterns};

    /// The files of the demo world.
    fn files(origin: &testkit::Origin, data: &std::path::Path, exempt: &str) -> Arc<ProvedFiles> {
        let store = Arc::new(Store::open(data).unwrap());
        let (database, http) = (Database::parse(&origin.gosumdb()).unwrap(), HttpClient::new().unwrap());
        let client = Client::open(database, &store, &Anchor::None, &http, Clock::System).unwrap();
        let databases = Databases::new(vec![client]).unwrap();
        let list = ProxyList::parse(&origin.url()).unwrap();
        let pool = UpstreamPool::new(list.upstreams(), &http, Ttls::default(), Clock::System).unwrap();
        let expectations = Expectations { databases, exempt: Patterns::parse(exempt).unwrap() };
        let context = Context::new(store, Router::new(pool, Vec::new()), expectations, EventLog::default());
        Arc::new(ProvedFiles::new(Arc::new(context), Clock::System))
    }

    #[tokio::test]
    async fn a_file_that_was_asked_for_is_kept_while_it_is_the_one_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let origin = testkit::Origin::start(testkit::World::demo()).await.unwrap();
        let files = files(&origin, folder.path(), "example.com/pseudo");
        let zip = |module: &str| Artifact { module: ModuleVersion::parse(module).unwrap(), kind: Kind::Zip };
        let hello = zip("example.com/hello@v1.0.0");
        for _ in 0..2 {
            files.release(&hello).await.unwrap();
        }
        let kept = files.kept.get(&hello).expect("it is kept from its second request on");
        let path = folder.path().join("proxy").join(hello.path());
        assert_eq!(kept.bytes().unwrap().as_ref(), std::fs::read(&path).unwrap());
        // The same length and time, other bytes.
        let time = path.metadata().unwrap().modified().unwrap();
        std::fs::write(&path, vec![b'x'; usize::try_from(kept.identity().size()).unwrap()]).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        assert!(files.kept.get(&hello).is_none());
        assert_eq!(files.release(&hello).await.unwrap().h1(), kept.h1(), "it is fetched again");
        std::fs::remove_file(&path).unwrap();
        assert!(files.kept.get(&hello).is_none());
        let pinned = zip("example.com/pseudo@v0.0.0-20260102030405-0123456789ab");
        for _ in 0..2 {
            files.release(&pinned).await.unwrap();
        }
        assert!(files.kept.get(&pinned).is_none(), "the operator may forget its pin");
    }

    #[tokio::test]
    async fn a_go_mod_does_not_wait_for_zips_that_are_hashed() {
        let folder = tempfile::tempdir().unwrap();
        let origin = testkit::Origin::start(testkit::World::demo()).await.unwrap();
        let files = files(&origin, folder.path(), "");
        let context = Arc::clone(&files.context);
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
