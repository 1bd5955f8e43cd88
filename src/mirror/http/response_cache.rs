//! Small answers that were sent a moment ago, ready to be sent again.
//!
//! Only what cannot change is kept: a tile, the `.info` of a canonical version that is not pinned, a `.mod` with the h1 of a
//! proved record, and a lookup for as long as its tree head is the trusted one. A change of the files on disk is noticed once
//! the answer is [`KEPT`] old and is made anew. Of a zip only the route and the facts of its event are here: its open file is among
//! those that are kept elsewhere, where each request looks whether it is still the one on disk.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Response;
use hyper::header::{self, HeaderMap};
use tokio::time::Instant;

use super::body::Body;
use super::respond;
use crate::base::byte_cache::ByteCache;
use crate::base::clock::Clock;
use crate::events::Facts;
use crate::mirror::route::Route;
use crate::sumdb::DatabaseId;
use crate::telemetry::{CacheKind, Metrics};

/// All answers, in bytes.
const MEMORY: u64 = 16 << 20;
/// The usual size of an answer.
const USUAL: u64 = 2 << 10;
/// Larger answers gain nothing over a read from disk. Tiles have 8 KiB, nearly every go.mod less than 32.
pub(super) const MAX_ANSWER: usize = 64 << 10;
/// The path, its route, the headers, the entry in the cache, and the facts of a file.
const OVERHEAD: usize = 1400;
const KEPT: Duration = Duration::from_secs(60);

pub(super) struct ResponseCache {
    answers: ByteCache<String, Arc<KeptAnswer>>,
    clock: Clock,
    metrics: Metrics,
}

/// An answer, which may be sent if its route is admitted at that time.
pub(super) struct KeptAnswer {
    route: Route,
    /// `None` for a zip.
    answer: Option<Response<Bytes>>,
    under: Option<TrustedHead>,
    /// Of a file: what the event log says of each request.
    released: Option<Arc<Facts>>,
    since: Instant,
}

impl KeptAnswer {
    /// What its path asks for.
    pub(super) fn route(&self) -> &Route {
        &self.route
    }

    /// Of a file: what the event log says of each request.
    pub(super) fn released(&self) -> Option<&Arc<Facts>> {
        self.released.as_ref()
    }

    /// `None` for a zip.
    pub(super) fn response(&self) -> Option<Response<Body>> {
        Some(self.answer.clone()?.map(Body::Memory))
    }
}

/// The trusted head of a database, by its tree size.
pub(super) type TrustedHead = (DatabaseId, u64);

impl ResponseCache {
    pub(super) fn new(clock: Clock, metrics: Metrics) -> Self {
        Self { answers: ByteCache::new(MEMORY, USUAL), clock, metrics }
    }

    /// The answer for `path`, if the database still trusts the head under it, and what the event log says of it. Ranges and conditions
    /// are answered only of zips.
    pub(super) fn get(
        &self,
        path: &str,
        request: &HeaderMap,
        trusted: impl FnOnce(DatabaseId) -> Option<u64>,
    ) -> Option<Arc<KeptAnswer>> {
        let kept = self.answers.get(path).filter(|kept| self.clock.steady() - kept.since < KEPT)?;
        if kept.answer.is_none() {
            return Some(kept);
        }
        if request.contains_key(header::RANGE) || request.contains_key(header::IF_NONE_MATCH) {
            return None;
        }
        let is_trusted = kept.under.is_none_or(|(database, size)| trusted(database) == Some(size));
        is_trusted.then(|| {
            self.metrics.cache(CacheKind::Response, true);
            kept
        })
    }

    /// Keeps the whole answer to a route, if it is small. It has no id of a request yet.
    pub(super) fn keep(
        &self,
        to: (&str, &Route),
        response: Response<Body>,
        under: Option<TrustedHead>,
    ) -> Response<Body> {
        self.keep_with(to, response, under, None)
    }

    /// The same for a file.
    pub(super) fn keep_released(
        &self,
        to: (&str, &Route),
        response: Response<Body>,
        released: Option<Arc<Facts>>,
    ) -> Response<Body> {
        self.keep_with(to, response, None, released)
    }

    fn keep_with(
        &self,
        (path, route): (&str, &Route),
        response: Response<Body>,
        under: Option<TrustedHead>,
        released: Option<Arc<Facts>>,
    ) -> Response<Body> {
        self.metrics.cache(CacheKind::Response, false);
        let response = respond::complete(response);
        if let Body::Memory(body) = response.body()
            && body.len() <= MAX_ANSWER
            && response.status().is_success()
        {
            let mut answer = Response::new(body.clone());
            answer.headers_mut().clone_from(response.headers());
            let bytes = body.len();
            self.insert((path, route), Some(answer), under, released, bytes);
        }
        response
    }

    /// Keeps what a zip is released again with.
    pub(super) fn keep_zip(&self, to: (&str, &Route), released: Option<Arc<Facts>>) {
        self.insert(to, None, None, released, 0);
    }

    fn insert(
        &self,
        (path, route): (&str, &Route),
        answer: Option<Response<Bytes>>,
        under: Option<TrustedHead>,
        released: Option<Arc<Facts>>,
        bytes: usize,
    ) {
        let kept = KeptAnswer { route: route.clone(), answer, under, released, since: self.clock.steady() };
        self.answers.insert(path.to_owned(), Arc::new(kept), path.len() + bytes + OVERHEAD);
    }
}
