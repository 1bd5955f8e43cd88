//! Small answers that went out a moment ago, ready to go out again.
//!
//! Only what cannot change is kept: a tile, the `.info` of a canonical version that no person can forget, a `.mod` whose
//! bytes have the h1 of a proved record, and a lookup for as long as the head under it is the trusted one. What somebody
//! does to the files meanwhile is noticed when an answer is [`KEPT`] old and takes the long way again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Response};
use moka::sync::Cache;

use super::body::Body;
use super::respond;
use crate::sumdb::DatabaseId;

/// All of them, in bytes: about 20,000 answers.
const MEMORY: u64 = 16 << 20;
/// A larger one loses nothing by a read from disk. Tiles have 8 KiB, nearly every go.mod less than 32.
pub(super) const MAX_ANSWER: usize = 64 << 10;
/// The path, the headers and the places in the cache.
const OVERHEAD: usize = 600;
const KEPT: Duration = Duration::from_mins(1);

pub(super) struct ResponseCache {
    answers: Cache<String, (Arc<Response<Bytes>>, Option<Head>)>,
}

/// The trusted head of a database, by its tree size.
pub(super) type Head = (DatabaseId, u64);

impl Default for ResponseCache {
    fn default() -> Self {
        let weigh = |path: &String, (answer, _): &(Arc<Response<Bytes>>, _)| {
            u32::try_from(path.len() + answer.body().len() + OVERHEAD).unwrap_or(u32::MAX)
        };
        Self { answers: Cache::builder().max_capacity(MEMORY).weigher(weigh).time_to_live(KEPT).build() }
    }
}

impl ResponseCache {
    /// The answer for `path`, if the database still trusts the head under it. Parts and conditions take the long way.
    pub(super) fn get(
        &self,
        path: &str,
        request: &HeaderMap,
        trusted: impl FnOnce(DatabaseId) -> Option<u64>,
    ) -> Option<Response<Body>> {
        if request.contains_key(header::RANGE) || request.contains_key(header::IF_NONE_MATCH) {
            return None;
        }
        let (answer, under) = self.answers.get(path)?;
        let is_trusted = under.is_none_or(|(database, size)| trusted(database) == Some(size));
        is_trusted.then(|| Response::clone(&answer).map(Body::Memory))
    }

    /// Keeps a whole answer, if it is small.
    pub(super) fn keep(&self, path: &str, response: Response<Body>, under: Option<Head>) -> Response<Body> {
        let response = respond::finish(&Method::GET, response);
        if let Body::Memory(body) = response.body()
            && body.len() <= MAX_ANSWER
            && response.status().is_success()
        {
            let mut answer = Response::new(body.clone());
            answer.headers_mut().clone_from(response.headers());
            self.answers.insert(path.to_owned(), (Arc::new(answer), under));
        }
        response
    }
}
