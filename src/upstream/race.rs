//! Hedged requests: one source is asked, and the next one only if that one fails or is slower than usual.
//!
//! For provable files only: the first correct answer wins, from any source, and the other requests are cancelled. A source of
//! a later stage is asked only after each source of the earlier stages has failed or begun to send: until then it may refuse.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::SetOnce;
use tokio::time::Instant;

use super::wanted::UpstreamId;
use crate::base::clock::Clock;
use crate::base::lock::lock;

/// Concurrent attempts that send. The third is for the case that the second source is slow too.
const AT_ONCE: usize = 3;
/// All concurrent attempts, with those that send nothing: they cost a connection each. Half of the longest proxy list.
const MAX_ATTEMPTS: usize = 16;
/// Bytes per second, from the start of an attempt, below which it counts as one that sends nothing.
const SENDS: u64 = 1 << 10;
/// How soon it is looked again whether one of the attempts has stopped to send.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Disables the hedge: longer than any source may take (`Timeouts::whole`).
pub(crate) const NEVER: Duration = Duration::from_secs(24 * 3600);

/// The progress of one attempt, shared with the race.
#[derive(Clone, Debug)]
pub struct Progress(Arc<ProgressState>);

#[derive(Debug)]
struct ProgressState {
    clock: Clock,
    created: Instant,
    /// When its request was sent.
    sent: Mutex<Option<Instant>>,
    has_head: AtomicBool,
    bytes: AtomicU64,
    began: SetOnce<()>,
    arrived: AtomicBool,
}

impl Progress {
    pub(crate) fn new(clock: Clock) -> Self {
        Self(Arc::new(ProgressState {
            clock,
            created: clock.steady(),
            sent: Mutex::default(),
            has_head: AtomicBool::default(),
            bytes: AtomicU64::default(),
            began: SetOnce::new(),
            arrived: AtomicBool::default(),
        }))
    }

    /// The request is sent now. The wait for a request slot does not count as slow, unless it was so long that the next source
    /// was asked meanwhile: then requests to a silent source may hold all slots.
    pub(crate) fn start(&self) {
        *lock(&self.0.sent) = Some(self.0.clock.steady());
    }

    fn sent(&self) -> Option<Instant> {
        *lock(&self.0.sent)
    }

    /// The head of the answer has arrived: the source is not silent.
    pub(super) fn head(&self) {
        self.0.has_head.store(true, Ordering::Relaxed);
    }

    /// The source has the file, and begins to send. May be called more than once.
    pub(super) fn began(&self) {
        self.head();
        let _ = self.0.began.set(());
    }

    /// More bytes arrived.
    pub(super) fn received(&self, bytes: u64) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// All bytes arrived; the rest is local work.
    pub(crate) fn arrived(&self) {
        self.began();
        self.0.arrived.store(true, Ordering::Relaxed);
    }

    /// How long until the attempt is slower than `hedge_after` allows, counted from its start or from the later time `from`;
    /// `None` after all bytes arrived.
    fn slow_in(&self, from: Option<Instant>, hedge_after: impl Fn(u64) -> Duration) -> Option<Duration> {
        if self.0.arrived.load(Ordering::Relaxed) {
            return None;
        }
        let started = self.sent().unwrap_or(self.0.created);
        let started = from.map_or(started, |from| from.max(started));
        let allowed = hedge_after(self.0.bytes.load(Ordering::Relaxed));
        Some(allowed.saturating_sub(self.0.clock.steady() - started))
    }

    /// Whether bytes arrive.
    fn sends(&self) -> bool {
        let started = self.sent().unwrap_or(self.0.created);
        let bytes = self.0.bytes.load(Ordering::Relaxed);
        bytes > SENDS * (self.0.clock.steady() - started).as_secs() && bytes > 0
    }

    /// How long its request has had no answer; `None` once there is one, and before it is sent.
    fn silent_for(&self) -> Option<Duration> {
        let silent = !self.0.has_head.load(Ordering::Relaxed);
        self.sent().filter(|_| silent).map(|sent| self.0.clock.steady() - sent)
    }
}

struct Running {
    stage: usize,
    id: UpstreamId,
    progress: Progress,
}

/// Asks the sources of `stages` for one file. `hedge_after` is the time that a source may take for that many bytes before the
/// next one is asked; after an error that `ends` the search, no source of a later stage is asked. `overtaken` gets each source
/// that had no answer in that time, when another one has won.
///
/// Returns the first success with its source, or all failures in the order in which they happened.
pub(crate) async fn race<T, E, F: Future<Output = Result<T, E>>>(
    stages: Vec<Vec<UpstreamId>>,
    clock: Clock,
    hedge_after: impl Fn(UpstreamId, u64) -> Duration,
    ends: impl Fn(UpstreamId, &E) -> bool,
    attempt: impl Fn(UpstreamId, Progress) -> F,
    overtaken: impl Fn(UpstreamId),
) -> Result<(UpstreamId, T), Vec<(UpstreamId, E)>> {
    let stages = stages.into_iter().enumerate();
    let mut waiting: VecDeque<(usize, UpstreamId)> =
        stages.flat_map(|(stage, sources)| sources.into_iter().map(move |id| (stage, id))).collect();
    let mut attempts = FuturesUnordered::new();
    let mut running: Vec<Running> = Vec::new();
    let mut failures = Vec::new();
    // After a failure, the next source of that stage need not wait.
    let mut failed = None;
    loop {
        let next = waiting.front().map(|(stage, _)| *stage).filter(|_| attempts.len() < MAX_ATTEMPTS);
        tokio::select! {
            // Finished attempts come first.
            biased;
            Some((id, ended)) = attempts.next(), if !attempts.is_empty() => {
                let stage = running.iter().position(|one| one.id == id).map(|at| running.remove(at).stage);
                match ended {
                    Ok(won) => {
                        // The cancelled requests say nothing of the health themselves.
                        drop(attempts);
                        let silent = |one: &Running| Some((one.id, one.progress.silent_for()?));
                        let silent = running.iter().filter_map(silent);
                        silent.filter(|(id, after)| *after >= hedge_after(*id, 0)).for_each(|(id, _)| overtaken(id));
                        return Ok((id, won));
                    }
                    Err(error) => {
                        if ends(id, &error) {
                            waiting.retain(|(later, _)| stage.is_some_and(|stage| *later <= stage));
                        }
                        failures.push((id, error));
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
            else => return Err(failures),
        }
    }
}

/// Waits until a source of `stage` may be asked: every source of an earlier stage has begun to send, and the newest attempt is
/// too slow or an attempt of this stage has just failed.
async fn may_begin(
    stage: usize,
    running: &[Running],
    failed: Option<usize>,
    hedge_after: impl Fn(UpstreamId, u64) -> Duration,
) {
    let mut from = None;
    for earlier in running.iter().filter(|one| one.stage < stage) {
        earlier.progress.0.began.wait().await;
        // A source that begins late still gets its time for the body.
        from = Some(earlier.progress.0.clock.steady());
    }
    let Some(newest) = running.last().filter(|_| failed != Some(stage)) else { return };
    // Each byte that arrives extends the time.
    loop {
        match newest.progress.slow_in(from, |bytes| hedge_after(newest.id, bytes)) {
            None => return std::future::pending().await,
            Some(Duration::ZERO) if running.iter().filter(|one| one.progress.sends()).count() < AT_ONCE => return,
            Some(Duration::ZERO) => tokio::time::sleep(LOOK_AGAIN).await,
            Some(left) => tokio::time::sleep(left).await,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use tokio::sync::Notify;

    use super::*;

    const PATIENT: fn(usize, u64) -> Duration = |_, _| Duration::from_secs(3600);
    const IMPATIENT: fn(usize, u64) -> Duration = |_, _| Duration::ZERO;

    fn one_stage(sources: usize) -> Vec<Vec<usize>> {
        vec![(0..sources).collect()]
    }

    /// The race, with numbers for its sources.
    async fn race<T, E, F: Future<Output = Result<T, E>>>(
        stages: Vec<Vec<usize>>,
        hedge_after: impl Fn(usize, u64) -> Duration,
        ends: impl Fn(usize, &E) -> bool,
        attempt: impl Fn(usize, Progress) -> F,
    ) -> Result<(usize, T), Vec<(usize, E)>> {
        let stages = stages.into_iter().map(|stage| stage.into_iter().map(UpstreamId).collect()).collect();
        let ends = |id: UpstreamId, error: &E| ends(id.0, error);
        let attempt = |id: UpstreamId, progress| attempt(id.0, progress);
        let raced =
            super::race(stages, Clock::System, |id, bytes| hedge_after(id.0, bytes), ends, attempt, |_| {}).await;
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
    async fn a_slow_attempt_is_overtaken_and_cancelled() {
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
    async fn a_source_that_never_begins_is_overtaken_too() {
        let short = |_, _| Duration::from_millis(1);
        let race = race(one_stage(2), short, go_on, |nth, _| async move {
            if nth == 0 {
                std::future::pending::<()>().await;
            }
            Ok::<_, ()>(nth)
        });
        let won = tokio::time::timeout(Duration::from_secs(60), race).await;
        assert_eq!(won.unwrap(), Ok((1, 1)));
    }

    /// Five that never answer, and three that send a byte now and then: the last one is asked all the same.
    #[tokio::test(start_paused = true)]
    async fn attempts_that_send_nothing_do_not_keep_others_from_being_asked() {
        let race = race(one_stage(9), IMPATIENT, go_on, |nth, progress| async move {
            if nth == 8 {
                return Ok::<_, ()>(nth);
            }
            if nth < 3 {
                progress.began();
                progress.received(1);
            }
            std::future::pending().await
        });
        let won = tokio::time::timeout(LOOK_AGAIN * 3, race).await;
        assert_eq!(won.unwrap(), Ok((8, 8)));
    }

    #[tokio::test(start_paused = true)]
    async fn at_most_three_attempts_send_at_a_time_and_every_failure_is_returned() {
        let (asked, end_one) = (Mutex::new(0), Notify::new());
        let race = race(one_stage(5), IMPATIENT, go_on, |nth, progress| {
            progress.received(1 << 30);
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
    async fn local_work_after_the_last_byte_is_not_hedged() {
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
    async fn without_sources_there_is_no_success_and_no_failure() {
        assert_eq!(race(Vec::new(), PATIENT, go_on, |_, _| async { Ok::<(), ()>(()) }).await, Err(Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_the_next_stage_still_waits_for_a_source_that_sends() {
        let asked = Mutex::new(Vec::new());
        // The first is slow once, so that the second is asked, and then is not any more.
        let hedge_after =
            |_, _| if asked.lock().unwrap().len() < 2 { Duration::ZERO } else { Duration::from_secs(3600) };
        let race = race(vec![vec![0, 1], vec![2]], hedge_after, go_on, |nth, progress| {
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
