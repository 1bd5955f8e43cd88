//! Answers that change: version lists, `@latest`, queries.
//!
//! Believed for a while without asking. After that one request asks whether they changed (with the entity tag, RFC 9110
//! section 13.1.2), and all callers wait for it for a moment. What was known goes out if it takes longer or no source
//! answers, up to a bound, with `Age` and `Warning`, so that a person can tell. An error is never kept.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use moka::sync::Cache;
use tokio::time::Instant;

use super::answer::answer;
use crate::base::clock::Clock;
use crate::base::fault::Fault;
use crate::base::flight::Flights;
use crate::mirror::error::MirrorError;
use crate::upstream::{Metadata, Ttls, UpstreamId, UpstreamPool};
use gomodule::proxy_request::Request;

/// All answers kept, in bytes. A list has 1 to 50 KiB: some thousand modules.
const MEMORY: u64 = 64 << 20;
/// How long a caller ttls for the new answer while an old one is here. A healthy source needs a tenth of it.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cached {
    pub(crate) body: Bytes,
    /// Since a source said it.
    pub(crate) age: Duration,
    pub(crate) state: State,
}

impl Cached {
    pub(crate) fn now(body: Bytes) -> Self {
        Self { body, age: Duration::ZERO, state: State::Fresh }
    }

    /// The same, and whether the newest version of the module is known to whoever made it.
    pub(crate) fn with_newest(self, is_known: bool) -> Self {
        match self.state {
            State::Fresh | State::Unkept | State::Here if !is_known => Self { state: State::NewestUnknown, ..self },
            _ => self,
        }
    }
}

/// Whether an answer is older than it should be, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is not.
    Fresh,
    /// It is not, and it is not kept: its source had wrong bytes not long ago.
    Unkept,
    /// A request is under way.
    Refreshing,
    /// No source answers.
    SourcesDown,
    /// It was made of what lies here, and no source is ever asked.
    Here,
    /// The same, and the newest version of the module is not here: what it takes back is not known.
    NewestUnknown,
}

impl State {
    /// Of an answer from here.
    pub(crate) fn here(offline: bool) -> Self {
        if offline { Self::Here } else { Self::SourcesDown }
    }
}

/// The answers that are kept. Cheap to clone; clones share them.
#[derive(Clone)]
pub(crate) struct MetadataCache {
    kept: Cache<Request, Arc<Kept>>,
    refreshes: Flights<Request, Result<Arc<Kept>, MirrorError>>,
    ttls: Ttls,
    clock: Clock,
}

struct Kept {
    body: Bytes,
    source: UpstreamId,
    tag: Option<String>,
    said: Instant,
}

impl MetadataCache {
    pub(crate) fn new(ttls: Ttls, clock: Clock) -> Self {
        let kept = Cache::builder()
            .max_capacity(MEMORY)
            .weigher(|request: &Request, kept: &Arc<Kept>| {
                u32::try_from(request.to_string().len() + kept.body.len()).unwrap_or(u32::MAX)
            })
            // What is over makes room by itself; that it is over the clock says.
            .time_to_live(ttls.stale)
            .build();
        Self { kept, refreshes: Flights::default(), ttls, clock }
    }

    pub(crate) async fn get(&self, pool: &UpstreamPool, request: &Request) -> Result<Cached, MirrorError> {
        // What a source said before its bytes went wrong is worth no more than what it says now.
        let believed = |kept: &Arc<Kept>| self.age(kept) < self.ttls.stale && !pool.distrusts(kept.source);
        let kept = self.kept.get(request).filter(believed);
        if let Some(kept) = kept.as_ref().filter(|kept| self.age(kept) < self.ttls.fresh) {
            return Ok(self.dated(kept, State::Fresh));
        }
        let (this, pool, asked, known) = (self.clone(), pool.clone(), request.clone(), kept.clone());
        let refresh = self.refreshes.join(request.clone(), move || async move {
            let check = |body: Option<Vec<u8>>| body.map(|body| answer(&asked, body)).transpose();
            let answered = match &known {
                Some(kept) => {
                    let tag = kept.tag.as_deref().map(|tag| (kept.source, tag));
                    pool.renew(&asked, tag, &check).await
                }
                None => pool.small(&asked, |body| answer(&asked, body).map(Some)).await,
            };
            let Metadata { value, source, tag, distrusted } = answered?;
            let body = value.or_else(|| known.as_ref().map(|kept| kept.body.clone())).unwrap_or_default();
            let kept = Arc::new(Kept { body, source, tag, said: this.clock.steady() });
            if !distrusted {
                this.kept.insert(asked, Arc::clone(&kept));
            }
            Ok(kept)
        });
        let Some(kept) = kept else {
            return refresh.await?.map(|new| self.dated(&new, State::Fresh));
        };
        match tokio::time::timeout(PATIENCE, refresh).await {
            Ok(Ok(Ok(new))) => Ok(self.dated(&new, State::Fresh)),
            // That it is gone, or not given out any more, is an answer, too.
            Ok(Ok(Err(error))) if matches!(error.fault(), Fault::Absent | Fault::Refused) => {
                self.kept.invalidate(request);
                Err(error)
            }
            Ok(_) => Ok(self.dated(&kept, State::SourcesDown)),
            Err(_) => Ok(self.dated(&kept, State::Refreshing)),
        }
    }

    fn age(&self, kept: &Kept) -> Duration {
        self.clock.steady() - kept.said
    }

    fn dated(&self, kept: &Kept, state: State) -> Cached {
        Cached { body: kept.body.clone(), age: self.age(kept), state }
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
    async fn an_answer_is_believed_for_a_while_and_longer_while_no_source_answers() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("example.com/a/@v/list");
        fs::create_dir_all(list.parent().unwrap()).unwrap();
        let ttls = Ttls::default();
        let chain = ProxyList::parse(&format!("file://{}", folder.path().display())).unwrap();
        let pool = UpstreamPool::new(chain.upstreams(), &HttpClient::offline(), ttls, Clock::System).unwrap();
        let cache = MetadataCache::new(ttls, Clock::System);
        let request = Request::parse("example.com/a/@v/list").unwrap();
        let get = async || cache.get(&pool, &request).await;
        let dated = |body: &'static str, age, state| Cached { body: body.into(), age, state };
        let [almost_old, almost_over] = [ttls.fresh, ttls.stale].map(|end| end.mul_f64(0.9));
        let rest = |end: Duration| end.mul_f64(0.1) + Duration::from_millis(1);

        fs::write(&list, "v1.0.0\n").unwrap();
        assert_eq!(get().await.unwrap(), dated("v1.0.0\n", Duration::ZERO, State::Fresh));
        fs::write(&list, "v1.1.0\n").unwrap();
        advance(almost_old).await;
        assert_eq!(get().await.unwrap(), dated("v1.0.0\n", almost_old, State::Fresh));
        advance(rest(ttls.fresh)).await;
        assert_eq!(get().await.unwrap(), dated("v1.1.0\n", Duration::ZERO, State::Fresh));

        fs::remove_dir_all(folder.path().join("example.com")).unwrap();
        advance(almost_over).await;
        assert_eq!(get().await.unwrap(), dated("v1.1.0\n", almost_over, State::SourcesDown));
        advance(rest(ttls.stale)).await;
        assert_eq!(get().await.unwrap_err().fault(), Fault::Upstream);
    }
}
