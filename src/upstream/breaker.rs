//! A circuit breaker: after repeated failures there are no requests for a while; then one request is sent, and its result
//! decides. If it has none soon, one more is sent. Pure: the time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// Consecutive failures after which the breaker opens: all three rounds of one request (`retry`).
pub(super) const OPENS_AFTER: u32 = 3;
/// How long it is open the first time; each time is twice as long as the one before.
const FIRST_OPEN: Duration = Duration::from_millis(500);
/// The longest time: a source that works again is found within ten seconds.
const LONGEST_OPEN: Duration = Duration::from_secs(10);
/// The longest `Retry-After` that is obeyed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);
/// How long other requests wait for the result of a probe: the longest time to the head of an answer before another source is
/// asked too (`health`).
const PROBE_FOR: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// When it opened last.
    opened: Option<Instant>,
    open_until: Option<Instant>,
    /// The source asked for that with `Retry-After`.
    asked_for: bool,
    /// When the last probe began, until it has a result.
    probe: Option<Instant>,
    last_failure: String,
}

impl Breaker {
    /// Whether a request may be sent now, or how long the breaker stays open. A half-open breaker lets one request through at a
    /// time.
    pub(super) fn ask(&mut self, now: Instant) -> Result<(), Duration> {
        match self.open_until {
            Some(until) if now < until => Err(until - now),
            Some(_) if self.probe.is_some_and(|probe| now - probe < PROBE_FOR) => Err(FIRST_OPEN),
            Some(_) => {
                self.probe = Some(now);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A request that `started` then has an answer. If it started before the source asked for a pause, the pause goes on.
    pub(super) fn close(&mut self, started: Instant) {
        if self.asked_for && self.opened.is_some_and(|opened| started < opened) {
            return;
        }
        self.asked_for = false;
        (self.failures, self.open_until, self.probe) = (0, None, None);
    }

    /// The probe was cancelled: another request may be the probe.
    pub(super) fn probe_cancelled(&mut self) {
        self.probe = None;
    }

    /// A request that `started` then failed, perhaps with a `Retry-After`. If it started before the breaker opened, it is one of
    /// the requests that were under way when the source went down, and tells nothing new.
    pub(super) fn failed(&mut self, started: Instant, now: Instant, why: String, retry_after: Option<Duration>) {
        let retry_after = retry_after.map(|wait| wait.min(LONGEST_RETRY_AFTER));
        if self.opened.is_some_and(|opened| started < opened) {
            let pause = retry_after.map(|wait| now + wait);
            self.asked_for |= pause > self.open_until;
            self.open_until = pause.max(self.open_until);
            return;
        }
        self.last_failure = why;
        self.failures = self.failures.saturating_add(1);
        self.probe = None;
        let nth = self.failures.checked_sub(OPENS_AFTER);
        let broken = nth.map(|nth| FIRST_OPEN.saturating_mul(1 << nth.min(16)).min(LONGEST_OPEN));
        // The breaker also opens if each failure says `Retry-After: 0`.
        let open = retry_after.max(broken);
        self.asked_for = retry_after.is_some() && open == retry_after;
        self.open_until = open.map(|open| now + open);
        if self.is_open(now) {
            self.opened = Some(now);
        }
    }

    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.open_until.is_some_and(|until| now < until)
    }

    /// Whether the source failed repeatedly, and no request has had an answer since. One that asked for a pause once is not down.
    pub(super) fn is_tripped(&self) -> bool {
        self.failures >= OPENS_AFTER
    }

    /// How long it stays open.
    pub(super) fn opens_in(&self, now: Instant) -> Option<Duration> {
        self.open_until.filter(|until| now < *until).map(|until| until - now)
    }

    /// Consecutive failures, as far as they count.
    pub(super) fn failures(&self) -> u32 {
        self.failures.min(OPENS_AFTER)
    }

    pub(super) fn last_failure(&self) -> &str {
        &self.last_failure
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a moment to count from; a test may panic")]

    use super::*;

    fn fail(breaker: &mut Breaker, now: Instant, retry_after: Option<Duration>) {
        breaker.failed(now, now, "on purpose".to_owned(), retry_after);
    }

    #[test]
    fn the_breaker_opens_after_three_failures_then_one_probe_decides() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        for _ in 0..2 {
            fail(&mut breaker, start, None);
            assert_eq!(breaker.ask(start), Ok(()));
        }
        fail(&mut breaker, start, None);
        assert_eq!(breaker.ask(start), Err(FIRST_OPEN));
        let later = start + FIRST_OPEN;
        assert_eq!(breaker.ask(later), Ok(()), "the probe");
        assert_eq!(breaker.ask(later), Err(FIRST_OPEN), "no other request until it has a result");
        fail(&mut breaker, later, None);
        assert_eq!(breaker.ask(later), Err(FIRST_OPEN * 2), "the next time is longer");
        assert!(
            breaker.is_tripped() && !breaker.is_open(later + LONGEST_OPEN),
            "it is down until a request has an answer"
        );
        let later = later + FIRST_OPEN * 2;
        assert_eq!(breaker.ask(later), Ok(()));
        breaker.probe_cancelled();
        assert_eq!(breaker.ask(later), Ok(()), "a probe that went away makes room for another");
        breaker.close(later);
        assert_eq!((breaker.ask(later), breaker.ask(later), breaker.is_tripped()), (Ok(()), Ok(()), false));
    }

    #[test]
    fn a_probe_without_a_result_makes_room_for_another() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        (0..OPENS_AFTER).for_each(|_| fail(&mut breaker, start, None));
        let first = start + FIRST_OPEN;
        assert_eq!((breaker.ask(first), breaker.ask(first + PROBE_FOR / 2)), (Ok(()), Err(FIRST_OPEN)));
        let second = first + PROBE_FOR;
        assert_eq!((breaker.ask(second), breaker.ask(second)), (Ok(()), Err(FIRST_OPEN)), "one at a time");
        // Both fail: the breaker opens once.
        let end = second + FIRST_OPEN;
        breaker.failed(first, end, "on purpose".to_owned(), None);
        breaker.failed(second, end, "on purpose".to_owned(), None);
        assert_eq!(breaker.ask(end), Err(FIRST_OPEN * 2));
    }

    #[test]
    fn an_open_breaker_is_bounded() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..100 {
            fail(&mut breaker, now, None);
        }
        assert_eq!(breaker.ask(now), Err(LONGEST_OPEN));
        fail(&mut breaker, now, Some(Duration::from_secs(24 * 3600)));
        assert_eq!(breaker.ask(now), Err(LONGEST_RETRY_AFTER));
    }

    #[test]
    fn requests_that_were_under_way_when_it_opened_do_not_open_it_again() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        let down = start + Duration::from_secs(1);
        let mut fail = |started, now, wait| {
            breaker.failed(started, now, "on purpose".to_owned(), wait);
            breaker.clone()
        };
        for _ in 0..20 {
            fail(start, down, None);
        }
        assert_eq!(fail(start, down + FIRST_OPEN / 2, None).ask(down + FIRST_OPEN / 2), Err(FIRST_OPEN / 2));
        let later = down + FIRST_OPEN;
        // While the probe is under way, too.
        let mut probing = fail(start, later, None);
        assert_eq!((probing.ask(later), probing.ask(later)), (Ok(()), Err(FIRST_OPEN)));
        probing.failed(start, later, "on purpose".to_owned(), None);
        assert_eq!(probing.ask(later), Err(FIRST_OPEN));
        // Nor after it closed.
        probing.close(start);
        (0..20).for_each(|_| probing.failed(start, later, "on purpose".to_owned(), None));
        assert_eq!(probing.ask(later), Ok(()));
        // A Retry-After is obeyed.
        let wait = Duration::from_secs(7);
        assert_eq!(fail(start, later, Some(wait)).ask(later), Err(wait));
        // The failure of the probe counts.
        assert_eq!(fail(later + wait, later + wait, None).ask(later + wait), Err(FIRST_OPEN * 2));
    }

    #[test]
    fn retry_after_is_obeyed_at_once() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        fail(&mut breaker, now, Some(Duration::from_secs(7)));
        assert_eq!(breaker.ask(now + Duration::from_millis(6999)), Err(Duration::from_millis(1)));
        breaker.close(now.checked_sub(FIRST_OPEN).unwrap());
        assert_eq!(breaker.ask(now), Err(Duration::from_secs(7)), "an answer to an earlier request does not end it");
        assert!(!breaker.is_tripped(), "the source is busy, not down");
        assert_eq!(breaker.ask(now + Duration::from_secs(7)), Ok(()));
        breaker.close(now + Duration::from_secs(7));
        assert_eq!((breaker.ask(now), breaker.ask(now)), (Ok(()), Ok(())));
        let mut eager = Breaker::default();
        (0..3).for_each(|_| fail(&mut eager, now, Some(Duration::ZERO)));
        assert_eq!(eager.ask(now), Err(FIRST_OPEN), "Retry-After: 0 does not keep the breaker closed");
    }
}
