//! Shared work: callers with the same key at the same time share one task (a flight).
//!
//! If a caller is dropped, the task continues for the others. If the last one has been dropped for some seconds, the task is
//! cancelled: abandoned requests must not keep the places of real ones. Results are not cached: after the task has ended, the
//! next caller starts a new one, so an error is never returned to later callers.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use crate::base::lock::lock;

/// How long a task continues without a caller. A client whose connection broke repeats its request within a second or two.
const ABANDONED_FOR: Duration = Duration::from_secs(5);

type Answer<V> = watch::Sender<Option<V>>;

/// The running tasks by key. Clones share the tasks. There are at most as many as callers, whose number the server limits.
#[derive(Clone)]
pub struct Flights<K, V> {
    running: Arc<Mutex<HashMap<K, Arc<Answer<V>>>>>,
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
            let answer_sender = Arc::new(Answer::new(None));
            let removal =
                Removal { flights: self.clone(), key: key.clone(), answer_sender: Arc::clone(&answer_sender) };
            let (landed, work) = (Arc::clone(&answer_sender), work());
            tokio::spawn(async move {
                tokio::select! {
                    value = work => {
                        // Removed before the result is sent, so that later callers start a new task.
                        drop(removal);
                        landed.send_replace(Some(value));
                    }
                    () = removal.abandoned() => {}
                }
            });
            answer_sender
        };
        // Subscribed under the lock, so that the task is not cancelled in between.
        let mut answer = lock(&self.running).entry(key.clone()).or_insert_with(start).subscribe();
        let answer = answer.wait_for(Option::is_some).await.map_err(|_| Cancelled)?;
        answer.clone().ok_or(Cancelled)
    }

    /// Lets the running task for `key` go on to its end, even without callers.
    pub fn keep(&self, key: &K) {
        if let Some(sender) = lock(&self.running).get(key) {
            let mut answer = sender.subscribe();
            // Ends with the task.
            tokio::spawn(async move { answer.wait_for(Option::is_some).await.map(drop).ok() });
        }
    }
}

/// Removes the task from the list when dropped, even if the work panics.
struct Removal<K: Eq + Hash, V> {
    flights: Flights<K, V>,
    key: K,
    answer_sender: Arc<Answer<V>>,
}

impl<K: Eq + Hash, V> Removal<K, V> {
    /// Waits until there has been no caller for a while, and removes the task from the list: the next caller starts a new one.
    async fn abandoned(&self) {
        loop {
            self.answer_sender.closed().await;
            tokio::time::sleep(ABANDONED_FOR).await;
            let mut running = lock(&self.flights.running);
            if self.answer_sender.receiver_count() == 0 {
                running.remove(&self.key);
                return;
            }
        }
    }
}

impl<K: Eq + Hash, V> Drop for Removal<K, V> {
    fn drop(&mut self) {
        let mut running = lock(&self.flights.running);
        // After a cancelled task the key may belong to a new one.
        if running.get(&self.key).is_some_and(|answer_sender| Arc::ptr_eq(answer_sender, &self.answer_sender)) {
            running.remove(&self.key);
        }
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

    #[tokio::test(start_paused = true)]
    async fn a_task_without_callers_is_cancelled_after_a_while_and_the_next_caller_starts_a_new_one() {
        let flights = Flights::<(), u32>::default();
        let dropped = Arc::new(Notify::new());
        let leave = |flights: Flights<(), u32>, dropped: Arc<Notify>| async move {
            let held = DropNotify(dropped);
            let forever = flights.join((), move || async move {
                let _held = held;
                std::future::pending().await
            });
            assert!(tokio::time::timeout(Duration::from_secs(1), forever).await.is_err());
        };
        leave(flights.clone(), Arc::clone(&dropped)).await;
        // A caller that comes in time keeps it.
        tokio::time::sleep(ABANDONED_FOR / 2).await;
        let waits = tokio::time::timeout(ABANDONED_FOR, flights.join((), || async { 8 }));
        assert!(waits.await.is_err(), "the work is still the first");
        let soon = ABANDONED_FOR + Duration::from_secs(1);
        tokio::time::timeout(soon, dropped.notified()).await.unwrap();
        assert_eq!(flights.join((), || async { 9 }).await.unwrap(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_is_kept_ends_without_callers() {
        let flights = Flights::<(), u32>::default();
        let ended = Arc::new(Notify::new());
        let (inner, end) = (flights.clone(), Arc::clone(&ended));
        let long = flights.join((), move || async move {
            inner.keep(&());
            tokio::time::sleep(10 * ABANDONED_FOR).await;
            end.notify_one();
            7
        });
        assert!(tokio::time::timeout(Duration::from_secs(1), long).await.is_err());
        tokio::time::timeout(20 * ABANDONED_FOR, ended.notified()).await.unwrap();
    }

    struct DropNotify(Arc<Notify>);

    impl Drop for DropNotify {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }

    #[tokio::test]
    async fn work_that_panics_is_cancelled_and_removed() {
        let flights = Flights::<(), u32>::default();
        assert!(flights.join((), || async { panic!("on purpose") }).await.is_err());
        assert_eq!(flights.join((), || async { 9 }).await.unwrap(), 9);
    }
}
