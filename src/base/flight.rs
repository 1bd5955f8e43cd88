//! One flight per key: many callers, one piece of work.
//!
//! The work runs as a task of its own, so a caller that goes away does not cancel it for the others.
//! Nothing is remembered: once the work has ended the next caller starts anew. An error is therefore
//! never an answer to somebody who asked later.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// Work under way, by key. Cheap to clone; clones share the flights.
///
/// The number of flights is bounded by the number of callers, which the server bounds.
#[derive(Clone)]
pub struct Flights<K, V> {
    under_way: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self { under_way: Arc::default() }
    }
}

/// The task that did the work ended without an answer: it panicked, or the runtime is shutting down.
#[derive(Debug, thiserror::Error)]
#[error("internal task was cancelled")]
pub struct Cancelled;

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Joins the flight for `key`, or starts it with `work`, and waits for its answer.
    pub async fn join<F>(&self, key: K, work: impl FnOnce() -> F + Send) -> Result<V, Cancelled>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let start = || {
            let (landed, answer) = watch::channel(None);
            let (ending, work) = (Ending { flights: self.clone(), key: key.clone() }, work());
            tokio::spawn(async move {
                let value = work.await;
                // Off the list first: who comes now starts anew rather than getting an old answer.
                drop(ending);
                landed.send_replace(Some(value));
            });
            answer
        };
        let mut answer = {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            under_way.entry(key.clone()).or_insert_with(start).clone()
        };
        let answer = answer.wait_for(Option::is_some).await.map_err(|_| Cancelled)?;
        answer.clone().ok_or(Cancelled)
    }
}

/// Takes the flight off the list when dropped, also when the work panics.
struct Ending<K: Eq + Hash, V> {
    flights: Flights<K, V>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Ending<K, V> {
    fn drop(&mut self) {
        self.flights.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn fifty_callers_are_one_piece_of_work_and_the_next_starts_anew() {
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
    async fn a_caller_that_goes_away_does_not_cancel_the_work() {
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
        while flights.under_way.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        first.abort();
        let second = flights.join((), || async { 8 });
        gate.notify_one();
        assert_eq!(second.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_that_panics_is_broken_off_and_forgotten() {
        let flights = Flights::<(), u32>::default();
        assert!(flights.join((), || async { panic!("on purpose") }).await.is_err());
        assert_eq!(flights.join((), || async { 9 }).await.unwrap(), 9);
    }
}
