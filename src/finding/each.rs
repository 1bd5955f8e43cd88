//! Lists in JSON documents, written item by item.

use serde::{Serialize, Serializer};
use serde_json::Value;

/// A list of which only one item is a [`Value`] at a time: all of them take ten times the memory of the report.
pub(super) struct Each<'a, T> {
    pub(super) items: &'a [T],
    pub(super) value: &'a dyn Fn(&T) -> Value,
}

impl<T> Serialize for Each<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.items.iter().map(self.value))
    }
}
