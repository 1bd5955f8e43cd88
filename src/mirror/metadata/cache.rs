//! Answers that change: version lists, `@latest`, queries.
//!
//! A fresh answer is served without a request. After that, one request asks whether it changed (with the entity tag, RFC 9110
//! section 13.1.2), and all callers wait for it up to [`HEDGE_AFTER`]. If it takes longer or no upstream answers, the old answer
//! is served up to a maximum age, with `Age` and `Warning`. An error is never kept.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::answer::answer;
use crate::base::byte_cache::ByteCache;
use crate::base::clock::Clock;
use crate::base::fault::Fault;
use crate::base::flight::Flights;
use crate::mirror::error::MirrorError;
use crate::upstream::{Metadata, Ttls, UpstreamId, UpstreamPool};
use gomodule::proxy_request::Request;

/// All answers, in bytes. A list has 1 to 50 KiB: some thousand modules.
const MEMORY: u64 = 64 << 20;
/// For values of this size the cache is one part, which has room for the largest list.
const USUAL: u64 = MEMORY / 32;
/// The request, and the entry in the cache.
const OVERHEAD: usize = 300;
/// How long a caller waits for the new answer while there is an old one. A healthy upstream needs a tenth of it.
const HEDGE_AFTER: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cached {
    pub(crate) body: Bytes,
    /// Time since an upstream gave it.
    pub(crate) age: Duration,
    pub(crate) freshness: Freshness,
}

impl Cached {
    pub(crate) fn fresh(body: Bytes) -> Self {
        Self { body, age: Duration::ZERO, freshness: Freshness::Fresh }
    }

    /// Made from the store.
    pub(crate) fn stored(body: Bytes, offline: bool) -> Self {
        let freshness = if offline { Freshness::Stored } else { Freshness::UpstreamsDown };
        Self { freshness, ..Self::fresh(body) }
    }

    /// The same, marked if the newest version of the module was not known when it was made.
    pub(crate) fn with_newest(self, is_known: bool) -> Self {
        match self.freshness {
            Freshness::Fresh | Freshness::Uncached | Freshness::Stored if !is_known => {
                Self { freshness: Freshness::NewestUnknown, ..self }
            }
            _ => self,
        }
    }
}

/// Whether an answer is older than it should be, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Fresh,
    /// Fresh, but not kept: its upstream sent wrong bytes recently.
    Uncached,
    /// Stale; a request for the new answer is under way.
    Refreshing,
    /// Stale; no upstream answers.
    UpstreamsDown,
    /// Made from the store of an offline mirror.
    Stored,
    /// The same, and the newest version of the module is not stored, so retractions may be missing.
    NewestUnknown,
}

/// Cheap to clone; clones share the answers.
#[derive(Clone)]
pub(crate) struct MetadataCache {
    kept: Arc<ByteCache<Request, Arc<Kept>>>,
    refreshes: Flights<Request, Result<Arc<Kept>, MirrorError>>,
    ttls: Ttls,
    clock: Clock,
}

struct Kept {
    body: Bytes,
    source: UpstreamId,
    tag: Option<String>,
    received: Instant,
}

impl MetadataCache {
    pub(crate) fn new(ttls: Ttls, clock: Clock) -> Self {
        let kept = Arc::new(ByteCache::new(MEMORY, USUAL));
        Self { kept, refreshes: Flights::default(), ttls, clock }
    }

    pub(crate) async fn get(&self, pool: &UpstreamPool, request: &Request) -> Result<Cached, MirrorError> {
        // Earlier answers of an upstream that sent wrong bytes are not trusted either.
        let usable = |kept: &Arc<Kept>| self.age(kept) < self.ttls.stale && !pool.distrusts(kept.source);
        let kept = self.kept.get(request).filter(usable);
        if let Some(kept) = kept.as_ref().filter(|kept| self.age(kept) < self.ttls.fresh) {
            return Ok(self.cached(kept, Freshness::Fresh));
        }
        let (this, pool, wanted, known) = (self.clone(), pool.clone(), request.clone(), kept.clone());
        let refresh = self.refreshes.join(request.clone(), move || async move {
            let check = |body: Option<Vec<u8>>| body.map(|body| answer(&wanted, body)).transpose();
            let answered = match &known {
                Some(kept) => {
                    let tag = kept.tag.as_deref().map(|tag| (kept.source, tag));
                    pool.renew(&wanted, tag, &check).await
                }
                None => pool.small(&wanted, |body| answer(&wanted, body).map(Some)).await,
            };
            let Metadata { value, source, tag, distrusted } = answered?;
            let body = value.or_else(|| known.as_ref().map(|kept| kept.body.clone())).unwrap_or_default();
            let kept = Arc::new(Kept { body, source, tag, received: this.clock.steady() });
            if !distrusted {
                let bytes = kept.body.len() + OVERHEAD;
                this.kept.insert(wanted, Arc::clone(&kept), bytes);
            }
            Ok(kept)
        });
        let Some(kept) = kept else {
            return refresh.await?.map(|new| self.cached(&new, Freshness::Fresh));
        };
        match tokio::time::timeout(HEDGE_AFTER, refresh).await {
            Ok(Ok(Ok(new))) => Ok(self.cached(&new, Freshness::Fresh)),
            // Absent now, or refused now: the old answer is no longer valid.
            Ok(Ok(Err(error))) if matches!(error.fault(), Fault::Absent | Fault::Refused) => {
                self.kept.remove(request);
                Err(error)
            }
            Ok(_) => Ok(self.cached(&kept, Freshness::UpstreamsDown)),
            Err(_) => Ok(self.cached(&kept, Freshness::Refreshing)),
        }
    }

    fn age(&self, kept: &Kept) -> Duration {
        self.clock.steady() - kept.received
    }

    fn cached(&self, kept: &Kept, freshness: Freshness) -> Cached {
        Cached { body: kept.body.clone(), age: self.age(kept), freshness }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

    use std::fs;

    use tokio::time::advance;

    use super::*;
    use crate::upstream::{HttpClient, ProxyList};

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_used_until_it_is_stale_and_longer_while_no_upstream_answers() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("example.com/a/@v/list");
        fs::create_dir_all(list.parent().unwrap()).unwrap();
        let ttls = Ttls::default();
        let chain = ProxyList::parse(&format!("file://{}", folder.path().display())).unwrap();
        let pool = UpstreamPool::new(chain.upstreams(), &HttpClient::offline(), ttls, Clock::System).unwrap();
        let cache = MetadataCache::new(ttls, Clock::System);
        let request = Request::parse("example.com/a/@v/list").unwrap();
        let get = async || cache.get(&pool, &request).await;
        let cached = |body: &'static str, age, freshness| Cached { body: body.into(), age, freshness };
        let [almost_old, almost_over] = [ttls.fresh, ttls.stale].map(|end| end.mul_f64(0.9));
        let rest = |end: Duration| end.mul_f64(0.1) + Duration::from_millis(1);

        fs::write(&list, "v1.0.0\n").unwrap();
        assert_eq!(get().await.unwrap(), cached("v1.0.0\n", Duration::ZERO, Freshness::Fresh));
        fs::write(&list, "v1.1.0\n").unwrap();
        advance(almost_old).await;
        assert_eq!(get().await.unwrap(), cached("v1.0.0\n", almost_old, Freshness::Fresh));
        advance(rest(ttls.fresh)).await;
        assert_eq!(get().await.unwrap(), cached("v1.1.0\n", Duration::ZERO, Freshness::Fresh));

        fs::remove_dir_all(folder.path().join("example.com")).unwrap();
        advance(almost_over).await;
        assert_eq!(get().await.unwrap(), cached("v1.1.0\n", almost_over, Freshness::UpstreamsDown));
        advance(rest(ttls.stale)).await;
        assert_eq!(get().await.unwrap_err().fault(), Fault::Upstream);
    }
}
