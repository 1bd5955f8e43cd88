//! The paths for which a source failed, each with a circuit breaker.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::breaker::Breaker;
use super::error::SourceFailure;
use super::wanted::Wanted;
use crate::base::lock::lock;

/// Paths of one source with failures: about 300 bytes each.
const MAX_FAILING: usize = 10_000;
/// How long a failure of a path is remembered: longer than its breaker is open.
const FAILING_FOR: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Failing(Cache<Wanted, Arc<Mutex<PathBreaker>>>);

#[derive(Debug)]
struct PathBreaker {
    breaker: Breaker,
    used: Instant,
}

impl PathBreaker {
    /// The breaker, without failures if it was not used for long.
    fn at(&mut self, now: Instant) -> &mut Breaker {
        if now.duration_since(self.used) >= FAILING_FOR {
            self.breaker = Breaker::default();
        }
        self.used = now;
        &mut self.breaker
    }
}

impl Failing {
    pub(super) fn new() -> Self {
        Self(Cache::new(MAX_FAILING))
    }

    /// Whether a request for this path may be sent now.
    pub(super) fn ask(&self, wanted: &Wanted, now: Instant) -> Result<(), SourceFailure> {
        let Some(path) = self.0.get(wanted) else { return Ok(()) };
        let mut path = lock(&path);
        let breaker = path.at(now);
        breaker.ask(now).map_err(|open_for| {
            let last_failure = breaker.last_failure().to_owned();
            SourceFailure::PathFailing { last_failure, open_for }
        })
    }

    /// A request for this path, which `started` then, failed.
    pub(super) fn failed(&self, wanted: &Wanted, started: Instant, now: Instant, why: String) {
        let new = || Ok(Arc::new(Mutex::new(PathBreaker { breaker: Breaker::default(), used: now })));
        let Ok::<_, Infallible>(path) = self.0.get_or_insert_with(wanted, new);
        lock(&path).at(now).failed(started, now, why, None);
    }

    /// A request for this path tells nothing.
    pub(super) fn probe_cancelled(&self, wanted: &Wanted) {
        if let Some(path) = self.0.get(wanted) {
            lock(&path).breaker.probe_cancelled();
        }
    }

    /// The source has answered for this path.
    pub(super) fn answered(&self, wanted: &Wanted) {
        self.0.remove(wanted);
    }
}
