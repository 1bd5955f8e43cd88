//! The paths for which a source failed, each with a circuit breaker.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use moka::sync::Cache;
use tokio::time::Instant;

use super::breaker::Breaker;
use super::error::SourceFailure;
use super::wanted::Wanted;
use crate::base::lock::lock;

/// Paths of one source with failures: about 300 bytes each.
const MAX_FAILING: u64 = 10_000;
/// How long a failure of a path is remembered: longer than its breaker is open.
const FAILING_FOR: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Failing(Cache<Wanted, Arc<Mutex<Breaker>>>);

impl Failing {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(MAX_FAILING).time_to_idle(FAILING_FOR).build())
    }

    /// Whether a request for this path may be sent now.
    pub(super) fn ask(&self, wanted: &Wanted, now: Instant) -> Result<(), SourceFailure> {
        let Some(breaker) = self.0.get(wanted) else { return Ok(()) };
        let mut breaker = lock(&breaker);
        breaker.ask(now).map_err(|open_for| {
            let last_failure = breaker.last_failure().to_owned();
            SourceFailure::PathFailing { last_failure, open_for }
        })
    }

    /// A request for this path, which `started` then, failed.
    pub(super) fn failed(&self, wanted: &Wanted, started: Instant, now: Instant, why: String) {
        let breaker = self.0.get_with_by_ref(wanted, Arc::default);
        lock(&breaker).failed(started, now, why, None);
    }

    /// A request for this path tells nothing.
    pub(super) fn probe_cancelled(&self, wanted: &Wanted) {
        if let Some(breaker) = self.0.get(wanted) {
            lock(&breaker).probe_cancelled();
        }
    }

    /// The source has answered for this path.
    pub(super) fn answered(&self, wanted: &Wanted) {
        self.0.invalidate(wanted);
    }
}
