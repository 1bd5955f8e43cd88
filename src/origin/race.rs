//! The hedged race: one source is asked, and the next only when that one fails or is slower than usual.
//!
//! For answers that can be proved alone: the first right one wins, whoever it came from, and the others are dropped,
//! which breaks their connections off.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

/// Sources asked for one thing at the same time. The third is for the case that the second is slow as well.
const AT_ONCE: usize = 3;

/// How far an attempt has come. Shared between the attempt and the race.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Way>);

#[derive(Debug)]
struct Way {
    /// When the attempt was made, or the request went out.
    started: Mutex<Instant>,
    bytes: AtomicU64,
    arrived: AtomicBool,
}

impl Default for Way {
    fn default() -> Self {
        Self { started: Mutex::new(Instant::now()), bytes: AtomicU64::default(), arrived: AtomicBool::default() }
    }
}

impl Progress {
    /// The request goes out now: a wait for a place that was shorter than the source may take does not count against it.
    /// A longer one does, since whoever holds the places may wait for a source that is silent.
    pub(super) fn start(&self) {
        *self.0.started.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// So many bytes have come since the start.
    pub(super) fn came(&self, bytes: u64) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// All bytes are here; what follows is our own work.
    pub(super) fn arrived(&self) {
        self.0.arrived.store(true, Ordering::Relaxed);
    }

    /// How long until it is slower than `patience` allows; `None` while it cannot be.
    fn slow_in(&self, patience: impl Fn(u64) -> Duration) -> Option<Duration> {
        if self.0.arrived.load(Ordering::Relaxed) {
            return None;
        }
        let started = *self.0.started.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = patience(self.0.bytes.load(Ordering::Relaxed));
        Some(allowed.saturating_sub(started.elapsed()))
    }
}

/// Lets the sources of `order` race for one thing. `patience` says how long a source may take for so many bytes.
///
/// The answer is the first success, with its source; or all failures, in the order in which they came.
pub(crate) async fn race<T, E, F: Future<Output = Result<T, E>>>(
    order: impl IntoIterator<Item = usize>,
    patience: impl Fn(usize, u64) -> Duration,
    attempt: impl Fn(usize, Progress) -> F,
) -> Result<(usize, T), Vec<(usize, E)>> {
    let mut waiting = order.into_iter().fuse().peekable();
    let mut running = FuturesUnordered::new();
    let mut newest: Option<(usize, Progress)> = None;
    let mut lost = Vec::new();
    let mut start = true;
    loop {
        if std::mem::take(&mut start)
            && let Some(nth) = waiting.next()
        {
            let progress = Progress::default();
            let attempt = attempt(nth, progress.clone());
            running.push(async move { (nth, attempt.await) });
            newest = Some((nth, progress));
        }
        let may_hedge = waiting.peek().is_some() && running.len() < AT_ONCE;
        let slow = newest.as_ref().filter(|_| may_hedge);
        tokio::select! {
            // What ended comes before what is slow.
            biased;
            ended = running.next() => match ended {
                Some((nth, Ok(won))) => return Ok((nth, won)),
                Some((nth, Err(error))) => {
                    lost.push((nth, error));
                    start = true;
                }
                None => return Err(lost),
            },
            () = is_slow(slow, &patience), if slow.is_some() => start = true,
        }
    }
}

/// Waits until the attempt is slower than it may be. Bytes that come in the meantime put that off.
async fn is_slow(attempt: Option<&(usize, Progress)>, patience: impl Fn(usize, u64) -> Duration) {
    let Some((nth, progress)) = attempt else { return std::future::pending().await };
    loop {
        match progress.slow_in(|bytes| patience(*nth, bytes)) {
            // Our own work: there is nothing to hedge.
            None => return std::future::pending().await,
            Some(Duration::ZERO) => return,
            Some(left) => tokio::time::sleep(left).await,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use tokio::sync::Notify;

    use super::*;

    const NEVER: fn(usize, u64) -> Duration = |_, _| Duration::from_hours(1);
    const IMPATIENT: fn(usize, u64) -> Duration = |_, _| Duration::ZERO;

    #[tokio::test]
    async fn the_next_is_asked_only_after_the_first_failed() {
        let asked = Mutex::new(Vec::new());
        let won = race(0..4, NEVER, |nth, _| {
            asked.lock().unwrap().push(nth);
            async move { if nth == 2 { Ok("right") } else { Err("wrong") } }
        })
        .await;
        assert_eq!((won, asked.into_inner().unwrap()), (Ok((2, "right")), vec![0, 1, 2]));
    }

    #[tokio::test]
    async fn a_slow_one_is_overtaken_and_dropped() {
        let dropped = Arc::new(Notify::new());
        let won = race(0..2, IMPATIENT, |nth, _| {
            let dropped = Arc::clone(&dropped);
            async move {
                if nth == 0 {
                    let _tells = Tells(dropped);
                    std::future::pending::<()>().await;
                }
                Ok::<_, ()>(nth)
            }
        })
        .await;
        assert_eq!(won, Ok((1, 1)));
        dropped.notified().await;
    }

    struct Tells(Arc<Notify>);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }

    #[tokio::test]
    async fn one_that_never_begins_is_overtaken_too() {
        let short = |_, _| Duration::from_millis(1);
        let race = race(0..2, short, |nth, _| async move {
            if nth == 0 {
                std::future::pending::<()>().await;
            }
            Ok::<_, ()>(nth)
        });
        let won = tokio::time::timeout(Duration::from_mins(1), race).await;
        assert_eq!(won.unwrap(), Ok((1, 1)));
    }

    #[tokio::test]
    async fn no_more_than_three_at_a_time_and_every_failure_is_told() {
        let (asked, go_on) = (Mutex::new(0), Notify::new());
        let race = race(0..5, IMPATIENT, |nth, _| {
            *asked.lock().unwrap() += 1;
            let go_on = &go_on;
            async move {
                go_on.notified().await;
                Err::<(), _>(nth)
            }
        });
        let watch = async {
            for most in [3, 4, 5, 5, 5] {
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(*asked.lock().unwrap(), most);
                go_on.notify_one();
            }
        };
        let (ended, ()) = tokio::join!(race, watch);
        assert_eq!(ended.unwrap_err().len(), 5);
    }

    #[tokio::test]
    async fn own_work_after_the_last_byte_is_not_hedged() {
        let won = race(0..2, IMPATIENT, |nth, progress| async move {
            progress.arrived();
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            Ok::<_, ()>(nth)
        })
        .await;
        assert_eq!(won, Ok((0, 0)));
    }

    #[tokio::test]
    async fn without_sources_nobody_wins() {
        assert_eq!(race([], NEVER, |_, _| async { Ok::<(), ()>(()) }).await, Err(Vec::new()));
    }
}
