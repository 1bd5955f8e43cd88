//! One flight per key: many callers, one piece of work.
//!
//! The work runs as a task of its own, so a caller that goes away does not cancel it for the others. When the last one has
//! been away for some seconds, the work is dropped: abandoned requests must not keep the places of real ones.
//! Nothing is remembered: once the work has ended the next caller starts anew. An error is therefore
//! never an answer to somebody who asked later.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// How long work goes on without a caller. A client whose connection broke asks again within a second or two.
const ABANDONED_FOR: Duration = Duration::from_secs(5);

type Landing<V> = watch::Sender<Option<V>>;

/// Work under way, by key. Cheap to clone; clones share the flights.
///
/// The number of flights is bounded by the number of callers, which the server bounds.
#[derive(Clone)]
pub struct Flights<K, V> {
    under_way: Arc<Mutex<HashMap<K, Arc<Landing<V>>>>>,
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
            let landing = Arc::new(Landing::new(None));
            let ending = Ending { flights: self.clone(), key: key.clone(), landing: Arc::clone(&landing) };
            let (landed, work) = (Arc::clone(&landing), work());
            tokio::spawn(async move {
                tokio::select! {
                    value = work => {
                        // Off the list first: who comes now starts anew rather than getting an old answer.
                        drop(ending);
                        landed.send_replace(Some(value));
                    }
                    () = ending.abandoned() => {}
                }
            });
            landing
        };
        // With the lock held, so that the work cannot be found abandoned in between.
        let mut answer = lock(&self.under_way).entry(key.clone()).or_insert_with(start).subscribe();
        let answer = answer.wait_for(Option::is_some).await.map_err(|_| Cancelled)?;
        answer.clone().ok_or(Cancelled)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the flight off the list when dropped, also when the work panics.
struct Ending<K: Eq + Hash, V> {
    flights: Flights<K, V>,
    key: K,
    landing: Arc<Landing<V>>,
}

impl<K: Eq + Hash, V> Ending<K, V> {
    /// Waits until there has been no caller for a while. Takes the flight off the list: a new caller starts anew.
    async fn abandoned(&self) {
        loop {
            self.landing.closed().await;
            tokio::time::sleep(ABANDONED_FOR).await;
            let mut under_way = lock(&self.flights.under_way);
            if self.landing.receiver_count() == 0 {
                under_way.remove(&self.key);
                return;
            }
        }
    }
}

impl<K: Eq + Hash, V> Drop for Ending<K, V> {
    fn drop(&mut self) {
        let mut under_way = lock(&self.flights.under_way);
        // After abandoned work the key may belong to another flight.
        if under_way.get(&self.key).is_some_and(|landing| Arc::ptr_eq(landing, &self.landing)) {
            under_way.remove(&self.key);
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

    #[tokio::test(start_paused = true)]
    async fn work_without_a_caller_is_dropped_after_a_while_and_the_next_caller_starts_anew() {
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
        // A caller that comes in time keeps it, and counts anew when it leaves.
        tokio::time::sleep(ABANDONED_FOR - Duration::from_secs(1)).await;
        let waits = tokio::time::timeout(ABANDONED_FOR, flights.join((), || async { 8 }));
        assert!(waits.await.is_err(), "the work is still the first");
        let before = tokio::time::Instant::now();
        dropped.notified().await;
        assert!(before.elapsed() <= ABANDONED_FOR + Duration::from_secs(1));
        assert_eq!(flights.join((), || async { 9 }).await.unwrap(), 9);
    }

    struct DropNotify(Arc<Notify>);

    impl Drop for DropNotify {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }

    #[tokio::test]
    async fn work_that_panics_is_broken_off_and_forgotten() {
        let flights = Flights::<(), u32>::default();
        assert!(flights.join((), || async { panic!("on purpose") }).await.is_err());
        assert_eq!(flights.join((), || async { 9 }).await.unwrap(), 9);
    }
}
