//! Request slots of one source: a bound for its concurrent requests, and for the requests that wait for a slot.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Requests that wait for one source. A build with 1,000 cold modules may wait as a whole; more requests than that are those
/// of many clients, which repeat them.
const MAX_WAITING: usize = 1000;
/// Every slot is in use, and there is no room to wait, or the wait was too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy;

#[derive(Debug)]
pub(super) struct Slots {
    free: Semaphore,
    waiting: AtomicUsize,
    max_wait: Duration,
}

impl Slots {
    pub(super) fn new(at_once: usize, max_wait: Duration) -> Self {
        Self { free: Semaphore::new(at_once), waiting: AtomicUsize::default(), max_wait }
    }

    /// All of them, when they are free.
    #[cfg(test)]
    pub(super) async fn take_all(&self, at_once: u32) -> SemaphorePermit<'_> {
        self.free.acquire_many(at_once).await.unwrap_or_else(|_| unreachable!("it is never closed"))
    }

    /// Requests that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) async fn take(&self) -> Result<SemaphorePermit<'_>, Busy> {
        if let Ok(slot) = self.free.try_acquire() {
            return Ok(slot);
        }
        let _place = Place::take(&self.waiting).ok_or(Busy)?;
        timeout(self.max_wait, self.free.acquire()).await.ok().and_then(Result::ok).ok_or(Busy)
    }
}

/// A place in the queue, given back when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < MAX_WAITING).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_in_length_and_in_time() {
        let slots = Arc::new(Slots::new(1, Duration::from_secs(60)));
        let held = slots.take().await.unwrap();
        let wait = |slots: Arc<Slots>| tokio::spawn(async move { slots.take().await.map(drop) });
        let waiting: Vec<_> = (0..MAX_WAITING).map(|_| wait(Arc::clone(&slots))).collect();
        while slots.waiting.load(Ordering::Relaxed) < MAX_WAITING {
            tokio::task::yield_now().await;
        }
        assert_eq!(slots.take().await.map(drop), Err(Busy), "the queue is full");
        drop(held);
        for one in waiting {
            assert_eq!(one.await.unwrap(), Ok(()));
        }
        let _held = slots.take().await.unwrap();
        assert_eq!(slots.take().await.map(drop), Err(Busy), "the wait is over");
        assert_eq!(slots.waiting.load(Ordering::Relaxed), 0);
    }
}
