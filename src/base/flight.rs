//! Shared work: callers with the same key at the same time share one task (a flight).
//!
//! If a caller is dropped, the task continues for the others. Results are not cached: after the task has ended, the next
//! caller starts a new one, so an error is never returned to later callers.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// The running tasks by key. Clones share the tasks. There are at most as many as callers, whose number the server limits.
#[derive(Clone)]
pub struct Flights<K, V> {
    running: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self { running: Arc::default() }
    }
}

/// The task ended without a result: it panicked, or the runtime is shutting down.
#[derive(Debug, thiserror::Error)]
#[error("internal task was cancelled")]
pub struct Cancelled;

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Waits for the result of the running task for `key`, or starts one with `work`.
    pub async fn join<F>(&self, key: K, work: impl FnOnce() -> F + Send) -> Result<V, Cancelled>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let start = || {
            let (sender, result) = watch::channel(None);
            let (removal, work) = (Removal { flights: self.clone(), key: key.clone() }, work());
            tokio::spawn(async move {
                let value = work.await;
                // Removed before the result is sent, so that later callers start a new task.
                drop(removal);
                sender.send_replace(Some(value));
            });
            result
        };
        let mut result = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.entry(key.clone()).or_insert_with(start).clone()
        };
        let result = result.wait_for(Option::is_some).await.map_err(|_| Cancelled)?;
        result.clone().ok_or(Cancelled)
    }
}

/// Removes the task from the list when dropped, even if the work panics.
struct Removal<K: Eq + Hash, V> {
    flights: Flights<K, V>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Removal<K, V> {
    fn drop(&mut self) {
        self.flights.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn fifty_callers_share_one_task_and_the_next_starts_a_new_one() {
        let flights = Flights::<&str, u32>::default();
        let started = Arc::new(AtomicU32::new(0));
        let gate = Arc::new(Notify::new());
        let fly = |flights: Flights<&'static str, u32>| {
            let (started, gate) = (Arc::clone(&started), Arc::clone(&gate));
            async move {
                flights
                    .join("zip", move || async move {
                        let nth = started.fetch_add(1, Ordering::SeqCst) + 1;
                        gate.notified().await;
                        nth
                    })
                    .await
                    .unwrap()
            }
        };
        let callers: Vec<_> = (0..50).map(|_| tokio::spawn(fly(flights.clone()))).collect();
        while started.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        gate.notify_one();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), 1);
        }
        gate.notify_one();
        assert_eq!(fly(flights).await, 2);
    }

    #[tokio::test]
    async fn a_dropped_caller_does_not_cancel_the_work() {
        let flights = Flights::<(), u32>::default();
        let gate = Arc::new(Notify::new());
        let inner = Arc::clone(&gate);
        let first = tokio::spawn({
            let flights = flights.clone();
            async move {
                flights
                    .join((), move || async move {
                        inner.notified().await;
                        7
                    })
                    .await
            }
        });
        while flights.running.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        first.abort();
        let second = flights.join((), || async { 8 });
        gate.notify_one();
        assert_eq!(second.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_that_panics_is_cancelled_and_removed() {
        let flights = Flights::<(), u32>::default();
        assert!(flights.join((), || async { panic!("on purpose") }).await.is_err());
        assert_eq!(flights.join((), || async { 9 }).await.unwrap(), 9);
    }
}
