//! A cache with a TTL by the clock of the program.

use std::hash::Hash;
use std::time::Duration;

use moka::sync::Cache;
use tokio::time::Instant;

use crate::base::clock::Clock;

#[derive(Debug)]
pub(super) struct Recent<K: Eq + Hash + Send + Sync + 'static, V: Clone + Send + Sync + 'static> {
    values: Cache<K, (Instant, V)>,
    ttl: Duration,
    clock: Clock,
}

impl<K: Eq + Hash + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Recent<K, V> {
    pub(super) fn new(capacity: u64, ttl: Duration, clock: Clock) -> Self {
        // The cache frees memory by real time; `get` decides by `clock`.
        let values = Cache::builder().max_capacity(capacity).time_to_live(ttl).build();
        Self { values, ttl, clock }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        let (since, value) = self.values.get(key)?;
        (self.clock.steady() - since < self.ttl).then_some(value)
    }

    pub(super) fn take(&self, key: &K) -> Option<V> {
        let (since, value) = self.values.remove(key)?;
        (self.clock.steady() - since < self.ttl).then_some(value)
    }

    pub(super) fn insert(&self, key: K, value: V) {
        self.values.insert(key, (self.clock.steady(), value));
    }
}
