//! What is remembered for a while.

use std::hash::Hash;
use std::time::Duration;

use moka::sync::Cache;
use tokio::time::Instant;

use crate::base::clock::Clock;

/// Values that count for some time after they were put in.
#[derive(Debug)]
pub(super) struct Recent<K: Eq + Hash + Send + Sync + 'static, V: Clone + Send + Sync + 'static> {
    kept: Cache<K, (Instant, V)>,
    kept_for: Duration,
    clock: Clock,
}

impl<K: Eq + Hash + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Recent<K, V> {
    /// At most so many values, each for so long.
    pub(super) fn new(most: u64, kept_for: Duration, clock: Clock) -> Self {
        // What is over makes room by itself; that it is over the clock says.
        let kept = Cache::builder().max_capacity(most).time_to_live(kept_for).build();
        Self { kept, kept_for, clock }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        let (since, value) = self.kept.get(key)?;
        (self.clock.steady() - since < self.kept_for).then_some(value)
    }

    pub(super) fn insert(&self, key: K, value: V) {
        self.kept.insert(key, (self.clock.steady(), value));
    }
}
