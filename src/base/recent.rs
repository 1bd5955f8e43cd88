//! A cache with a lifetime by the clock of the program.

use std::hash::Hash;
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::clock::Clock;

/// Values that are valid for some time. An old one stays in memory until another one needs its place.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    values: Cache<K, (Instant, V)>,
    ttl: Duration,
    clock: Clock,
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    pub(crate) fn new(capacity: usize, ttl: Duration, clock: Clock) -> Self {
        Self { values: Cache::new(capacity), ttl, clock }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let (since, value) = self.values.get(key)?;
        (self.clock.steady() - since < self.ttl).then_some(value)
    }

    pub(crate) fn take(&self, key: &K) -> Option<V> {
        let (_, (since, value)) = self.values.remove(key)?;
        (self.clock.steady() - since < self.ttl).then_some(value)
    }

    pub(crate) fn insert(&self, key: K, value: V) {
        self.values.insert(key, (self.clock.steady(), value));
    }

    pub(crate) fn remove(&self, key: &K) {
        self.values.remove(key);
    }
}
