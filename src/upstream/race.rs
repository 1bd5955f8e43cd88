//! The hedged race: one source is asked, and the next only when that one fails or is slower than usual.
//!
//! For answers that can be proved alone: the first right one wins, whoever it came from, and the others are dropped,
//! which breaks their connections off. Sources stand in stages. A source of a later stage is asked only once each source of
//! the earlier ones has failed or begun to send: until then it might still refuse.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::SetOnce;
use tokio::time::Instant;

use super::wanted::UpstreamId;
use crate::base::clock::Clock;

/// Sources asked for one thing at the same time. The third is for the case that the second is slow as well.
const AT_ONCE: usize = 3;

/// For a race that asks one source after the other: longer than any source may take (`Timeouts::whole`).
pub(crate) const NEVER: Duration = Duration::from_hours(24);

/// How far an attempt has come. Shared between the attempt and the race.
#[derive(Clone, Debug)]
pub struct Progress(Arc<Way>);

#[derive(Debug)]
struct Way {
    clock: Clock,
    /// When the attempt was made, or the request went out.
    started: Mutex<Instant>,
    bytes: AtomicU64,
    began: SetOnce<()>,
    arrived: AtomicBool,
}

impl Progress {
    pub(crate) fn new(clock: Clock) -> Self {
        let started = Mutex::new(clock.steady());
        Self(Arc::new(Way {
            clock,
            started,
            bytes: AtomicU64::default(),
            began: SetOnce::new(),
            arrived: AtomicBool::default(),
        }))
    }

    /// The request goes out now: a wait for a place that was shorter than the source may take does not count against it.
    /// A longer one does, since whoever holds the places may wait for a source that is silent.
    pub(super) fn start(&self) {
        *self.0.started.lock().unwrap_or_else(PoisonError::into_inner) = self.0.clock.steady();
    }

    /// The source says that it has it, and begins to send.
    pub(super) fn began(&self) {
        // It may be told more than once.
        let _ = self.0.began.set(());
    }

    /// So many bytes have come since the start.
    pub(super) fn came(&self, bytes: u64) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// All bytes are here; what follows is our own work.
    pub(crate) fn arrived(&self) {
        self.began();
        self.0.arrived.store(true, Ordering::Relaxed);
    }

    /// How long until it is slower than `hedge_after` allows, counted from its start or a later moment; `None` while it cannot
    /// be.
    fn slow_in(&self, from: Option<Instant>, hedge_after: impl Fn(u64) -> Duration) -> Option<Duration> {
        if self.0.arrived.load(Ordering::Relaxed) {
            return None;
        }
        let started = *self.0.started.lock().unwrap_or_else(PoisonError::into_inner);
        let started = from.map_or(started, |from| from.max(started));
        let allowed = hedge_after(self.0.bytes.load(Ordering::Relaxed));
        Some(allowed.saturating_sub(self.0.clock.steady() - started))
    }
}

struct Running {
    stage: usize,
    id: UpstreamId,
    progress: Progress,
}

/// Lets the sources of `stages` race for one thing. `hedge_after` says how long a source may take for so many bytes, and `ends`
/// after which error no source of a later stage is asked.
///
/// The answer is the first success, with its source; or all failures, in the order in which they came.
pub(crate) async fn race<T, E, F: Future<Output = Result<T, E>>>(
    stages: Vec<Vec<UpstreamId>>,
    clock: Clock,
    hedge_after: impl Fn(UpstreamId, u64) -> Duration,
    ends: impl Fn(UpstreamId, &E) -> bool,
    attempt: impl Fn(UpstreamId, Progress) -> F,
) -> Result<(UpstreamId, T), Vec<(UpstreamId, E)>> {
    let stages = stages.into_iter().enumerate();
    let mut waiting: VecDeque<(usize, UpstreamId)> =
        stages.flat_map(|(stage, sources)| sources.into_iter().map(move |id| (stage, id))).collect();
    let mut attempts = FuturesUnordered::new();
    let mut running: Vec<Running> = Vec::new();
    let mut lost = Vec::new();
    // After a failure in that stage the next one of it need not wait for a slow one.
    let mut failed = None;
    loop {
        let next = waiting.front().map(|(stage, _)| *stage).filter(|_| attempts.len() < AT_ONCE);
        tokio::select! {
            // What ended comes before what is slow.
            biased;
            Some((id, ended)) = attempts.next(), if !attempts.is_empty() => {
                let stage = running.iter().position(|one| one.id == id).map(|at| running.remove(at).stage);
                match ended {
                    Ok(won) => return Ok((id, won)),
                    Err(error) => {
                        if ends(id, &error) {
                            waiting.retain(|(later, _)| stage.is_some_and(|stage| *later <= stage));
                        }
                        lost.push((id, error));
                        failed = stage;
                    }
                }
            },
            () = may_begin(next.unwrap_or_default(), &running, failed, &hedge_after), if next.is_some() => {
                let Some((stage, id)) = waiting.pop_front() else { continue };
                let progress = Progress::new(clock);
                let attempt = attempt(id, progress.clone());
                attempts.push(async move { (id, attempt.await) });
                running.push(Running { stage, id, progress });
                failed = None;
            }
            else => return Err(lost),
        }
    }
}

/// Waits until a source of `stage` may be asked: each of an earlier stage has begun to send, and the newest attempt is
/// slower than it may be, unless one of this stage has just failed.
async fn may_begin(
    stage: usize,
    running: &[Running],
    failed: Option<usize>,
    hedge_after: impl Fn(UpstreamId, u64) -> Duration,
) {
    let mut from = None;
    for earlier in running.iter().filter(|one| one.stage < stage) {
        earlier.progress.0.began.wait().await;
        // However late it begins, it gets its time for the rest.
        from = Some(earlier.progress.0.clock.steady());
    }
    let Some(newest) = running.last().filter(|_| failed != Some(stage)) else { return };
    // Bytes that come in the meantime put it off.
    loop {
        match newest.progress.slow_in(from, |bytes| hedge_after(newest.id, bytes)) {
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

    const PATIENT: fn(usize, u64) -> Duration = |_, _| Duration::from_hours(1);
    const IMPATIENT: fn(usize, u64) -> Duration = |_, _| Duration::ZERO;

    fn one_stage(sources: usize) -> Vec<Vec<usize>> {
        vec![(0..sources).collect()]
    }

    /// The race, with numbers for its sources.
    async fn race<T, E, F: Future<Output = Result<T, E>>>(
        stages: Vec<Vec<usize>>,
        patience: impl Fn(usize, u64) -> Duration,
        ends: impl Fn(usize, &E) -> bool,
        attempt: impl Fn(usize, Progress) -> F,
    ) -> Result<(usize, T), Vec<(usize, E)>> {
        let stages = stages.into_iter().map(|stage| stage.into_iter().map(UpstreamId).collect()).collect();
        let ends = |id: UpstreamId, error: &E| ends(id.0, error);
        let attempt = |id: UpstreamId, progress| attempt(id.0, progress);
        let raced = super::race(stages, Clock::System, |id, bytes| patience(id.0, bytes), ends, attempt).await;
        raced.map(|(id, won)| (id.0, won)).map_err(|lost| lost.into_iter().map(|(id, error)| (id.0, error)).collect())
    }

    /// No error ends a search.
    fn go_on<E>(_: usize, _: &E) -> bool {
        false
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_is_asked_only_after_the_first_failed() {
        let asked = Mutex::new(Vec::new());
        let won = race(one_stage(4), PATIENT, go_on, |nth, _| {
            asked.lock().unwrap().push(nth);
            async move { if nth == 2 { Ok("right") } else { Err("wrong") } }
        })
        .await;
        assert_eq!((won, asked.into_inner().unwrap()), (Ok((2, "right")), vec![0, 1, 2]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_one_is_overtaken_and_dropped() {
        let dropped = Arc::new(Notify::new());
        let won = race(one_stage(2), IMPATIENT, go_on, |nth, _| {
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

    #[tokio::test(start_paused = true)]
    async fn one_that_never_begins_is_overtaken_too() {
        let short = |_, _| Duration::from_millis(1);
        let race = race(one_stage(2), short, go_on, |nth, _| async move {
            if nth == 0 {
                std::future::pending::<()>().await;
            }
            Ok::<_, ()>(nth)
        });
        let won = tokio::time::timeout(Duration::from_mins(1), race).await;
        assert_eq!(won.unwrap(), Ok((1, 1)));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_three_at_a_time_and_every_failure_is_told() {
        let (asked, end_one) = (Mutex::new(0), Notify::new());
        let race = race(one_stage(5), IMPATIENT, go_on, |nth, _| {
            *asked.lock().unwrap() += 1;
            let end_one = &end_one;
            async move {
                end_one.notified().await;
                Err::<(), _>(nth)
            }
        });
        let watch = async {
            for most in [3, 4, 5, 5, 5] {
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(*asked.lock().unwrap(), most);
                end_one.notify_one();
            }
        };
        let (ended, ()) = tokio::join!(race, watch);
        assert_eq!(ended.unwrap_err().len(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn own_work_after_the_last_byte_is_not_hedged() {
        let won = race(one_stage(2), IMPATIENT, go_on, |nth, progress| async move {
            progress.arrived();
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            Ok::<_, ()>(nth)
        })
        .await;
        assert_eq!(won, Ok((0, 0)));
    }

    #[tokio::test(start_paused = true)]
    async fn without_sources_nobody_wins() {
        assert_eq!(race(Vec::new(), PATIENT, go_on, |_, _| async { Ok::<(), ()>(()) }).await, Err(Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_the_next_stage_still_waits_for_one_that_sends() {
        let asked = Mutex::new(Vec::new());
        // The first is slow once, so that the second is asked, and then is not any more.
        let patience = |_, _| if asked.lock().unwrap().len() < 2 { Duration::ZERO } else { Duration::from_hours(1) };
        let race = race(vec![vec![0, 1], vec![2]], patience, go_on, |nth, progress| {
            asked.lock().unwrap().push(nth);
            async move {
                if nth == 0 {
                    progress.began();
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    return Ok(nth);
                }
                Err(nth)
            }
        });
        assert_eq!(race.await, Ok((0, 0)));
        assert_eq!(asked.into_inner().unwrap(), [0, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_stage_waits_until_the_earlier_one_begins_or_fails() {
        for begins in [true, false] {
            let (asked, tell) = (Mutex::new(Vec::new()), Notify::new());
            let race = race(vec![vec![0, 1], vec![2]], IMPATIENT, go_on, |nth, progress| {
                asked.lock().unwrap().push(nth);
                let tell = &tell;
                async move {
                    if nth == 2 {
                        return Ok(nth);
                    }
                    tell.notified().await;
                    if !begins {
                        return Err(nth);
                    }
                    progress.began();
                    std::future::pending().await
                }
            });
            let watch = async {
                for so_far in [vec![0, 1], vec![0, 1]] {
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                    assert_eq!(*asked.lock().unwrap(), so_far, "the third waits for both, however slow they are");
                    tell.notify_one();
                }
            };
            let (won, ()) = tokio::join!(race, watch);
            assert_eq!(won, Ok((2, 2)), "{begins}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_ends_the_search_leaves_the_rest_of_its_stage() {
        let asked = Mutex::new(Vec::new());
        let lost = race(
            vec![vec![1, 0], vec![2]],
            PATIENT,
            |nth, _| nth == 1,
            |nth, _| {
                asked.lock().unwrap().push(nth);
                async move { Err::<(), _>(nth) }
            },
        )
        .await;
        assert_eq!((lost, asked.into_inner().unwrap()), (Err(vec![(1, 1), (0, 0)]), vec![1, 0]));
    }
}
