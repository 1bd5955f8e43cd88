//! Whether a database answers: for how long requests have waited while nothing of it arrived.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::base::clock::Clock;
use crate::upstream::HttpClient;

/// How often a wait looks whether something arrived: short beside every limit.
const LOOK: Duration = Duration::from_millis(100);

/// The requests of one client that have no answer yet. Clones share them.
#[derive(Clone)]
pub(super) struct Contact {
    pending: Arc<AtomicUsize>,
    http: HttpClient,
    clock: Clock,
}

/// Measures how long the database is silent.
pub(super) struct Silence {
    contact: Contact,
    arrived: u64,
    since: Instant,
}

/// Ends the wait when it is dropped.
pub(super) struct Pending(Arc<AtomicUsize>);

impl Contact {
    /// The contact by this client, which must not be used for anything else.
    pub(super) fn new(http: HttpClient, clock: Clock) -> Self {
        Self { pending: Arc::default(), http, clock }
    }

    /// A request begins to wait.
    pub(super) fn begin(&self) -> Pending {
        self.pending.fetch_add(1, Ordering::Relaxed);
        Pending(Arc::clone(&self.pending))
    }

    pub(super) fn arrived(&self) -> u64 {
        self.http.arrived()
    }

    pub(super) fn silence(&self) -> Silence {
        Silence { arrived: self.arrived(), since: self.clock.steady(), contact: self.clone() }
    }

    /// Waits until requests have waited for `limit` and nothing arrived.
    pub(super) async fn silent_for(&self, limit: Duration) {
        let mut silence = self.silence();
        while silence.lasts() < limit {
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Silence {
    /// How long requests have waited and nothing arrived.
    pub(super) fn lasts(&mut self) -> Duration {
        let (arrived, now) = (self.contact.arrived(), self.contact.clock.steady());
        // Work on the disk is no silence.
        if arrived != self.arrived || self.contact.pending.load(Ordering::Relaxed) == 0 {
            (self.arrived, self.since) = (arrived, now);
        }
        now - self.since
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
