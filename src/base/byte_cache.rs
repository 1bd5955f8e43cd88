//! A cache with a bound in bytes.

use std::hash::Hash;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Values, and the memory that each needs.
pub(crate) struct ByteCache<K, V>(Cache<K, (u64, V), InBytes>);

#[derive(Clone)]
struct InBytes;

impl<K, V> Weighter<K, (u64, V)> for InBytes {
    fn weight(&self, _: &K, (bytes, _): &(u64, V)) -> u64 {
        *bytes
    }
}

impl<K: Eq + Hash, V: Clone> ByteCache<K, V> {
    /// A cache of at most `bytes`, for values of the `usual` size. If it has room for 64 of these, it consists of parts, each with a
    /// lock of its own, and keeps no value that is larger than a part.
    pub(crate) fn new(bytes: u64, usual: u64) -> Self {
        let values = usize::try_from(bytes / usual.max(1)).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(values, bytes, InBytes))
    }

    pub(crate) fn get<Q: Hash + quick_cache::Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<V> {
        self.0.get(key).map(|(_, value)| value)
    }

    pub(crate) fn insert(&self, key: K, value: V, bytes: usize) {
        self.0.insert(key, (bytes as u64, value));
    }

    pub(crate) fn remove(&self, key: &K) {
        self.0.remove(key);
    }
}
