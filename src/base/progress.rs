//! How far a long work is, and what it waits for. The work says it, and a command shows it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::base::lock::lock;

/// The progress of a work. Clones are of the same work.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    expected: AtomicUsize,
    done: AtomicUsize,
    begun: AtomicU64,
    /// By their number. A work has a few dozen at the same time.
    pending: Mutex<BTreeMap<u64, String>>,
}

/// A part of the work, which ends when this is dropped.
pub(crate) struct Pending<'p>(&'p Counts, u64);

impl Progress {
    /// There is this much more to do.
    pub(crate) fn expect(&self, more: usize) {
        self.0.expected.fetch_add(more, Ordering::Relaxed);
    }

    /// So much is done.
    pub(crate) fn add(&self, more: usize) {
        self.0.done.fetch_add(more, Ordering::Relaxed);
    }

    /// For works that count by themselves.
    pub(crate) fn counter(&self) -> &AtomicUsize {
        &self.0.done
    }

    /// What is done, and how much there is in all.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.0.done.load(Ordering::Relaxed), self.0.expected.load(Ordering::Relaxed))
    }

    /// A part begins, such as the download of a module version.
    pub(crate) fn begin(&self, what: &impl Display) -> Pending<'_> {
        let number = self.0.begun.fetch_add(1, Ordering::Relaxed);
        lock(&self.0.pending).insert(number, what.to_string());
        Pending(&self.0, number)
    }

    /// The part that began before all others that have not ended, with its number.
    pub(crate) fn oldest(&self) -> Option<(u64, String)> {
        lock(&self.0.pending).first_key_value().map(|(number, what)| (*number, what.clone()))
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        lock(&self.0.pending).remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_part_is_the_one_that_is_waited_for() {
        let progress = Progress::default();
        progress.expect(2);
        let (first, second) = (progress.begin(&"first"), progress.begin(&"second"));
        assert_eq!(progress.oldest(), Some((0, "first".to_owned())));
        drop(first);
        progress.add(1);
        assert_eq!((progress.counts(), progress.oldest()), ((1, 2), Some((1, "second".to_owned()))));
        drop(second);
        assert_eq!(progress.oldest(), None);
    }
}
