//! How much was served and refused lately: counters for each minute of the last day.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::event::{Facts, Outcome};
use crate::base::lock::lock;

/// The minutes of a day, of 24 bytes each.
const MINUTES: usize = 24 * 60;

/// Cheap to clone; clones share the counters.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    started: Instant,
    minutes: Arc<Mutex<Box<[Minute]>>>,
}

/// The counters of one minute since the start. A day later another one takes its place.
#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    nth: u64,
    counts: Counts,
}

/// What clients got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// The `.zip` and `.mod` files that were served.
    pub(crate) served: u32,
    /// The `.zip` and `.mod` files that were downloaded for it, and proved.
    pub(crate) downloaded: u32,
    /// The requests that were refused.
    pub(crate) refused: u32,
    /// The requests that failed because an upstream, a database or this machine did.
    pub(crate) failed: u32,
}

impl Tally {
    pub(crate) fn new(started: Instant) -> Self {
        Self { started, minutes: Arc::new(Mutex::new(vec![Minute::default(); MINUTES].into())) }
    }

    /// A request of a client was answered at this time.
    pub(super) fn count(&self, at: Instant, facts: &Facts) {
        self.in_minute(at, |counts| counts.count(facts));
    }

    pub(super) fn downloaded(&self, at: Instant) {
        self.in_minute(at, |counts| counts.downloaded = counts.downloaded.saturating_add(1));
    }

    fn in_minute(&self, at: Instant, count: impl FnOnce(&mut Counts)) {
        let nth = self.minute(at);
        let mut minutes = lock(&self.minutes);
        let minute = &mut minutes[slot(nth)];
        // A thread may be late by a moment.
        if minute.nth < nth {
            *minute = Minute { nth, ..Minute::default() };
        }
        count(&mut minute.counts);
    }

    /// The counts of the last `minutes`, of which the present one is part.
    pub(crate) fn last(&self, now: Instant, minutes: u64) -> Counts {
        let end = self.minute(now) + 1;
        let mut sum = Counts::default();
        for minute in lock(&self.minutes).iter() {
            if minute.nth + minutes >= end {
                sum.add(&minute.counts);
            }
        }
        sum
    }

    /// For how long it has counted.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    fn minute(&self, at: Instant) -> u64 {
        self.age(at).as_secs() / 60
    }
}

fn slot(nth: u64) -> usize {
    // Less than `MINUTES`.
    usize::try_from(nth % MINUTES as u64).unwrap_or_default()
}

impl Counts {
    fn count(&mut self, facts: &Facts) {
        match facts.outcome {
            Outcome::Released => self.served = self.served.saturating_add(1),
            Outcome::Refused => self.refused = self.refused.saturating_add(1),
            Outcome::Failed => self.failed = self.failed.saturating_add(1),
            Outcome::Quarantined | Outcome::Fork | Outcome::SourceDown => {}
        }
    }

    fn add(&mut self, other: &Self) {
        self.served = self.served.saturating_add(other.served);
        self.downloaded = self.downloaded.saturating_add(other.downloaded);
        self.refused = self.refused.saturating_add(other.refused);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;

    fn facts(outcome: Outcome) -> Facts {
        Facts { outcome, ..Facts::default() }
    }

    #[test]
    fn the_last_hour_and_day_are_counted_and_what_is_older_is_forgotten() {
        let start = Clock::System.steady();
        let tally = Tally::new(start);
        let at = |minutes: u64| start + Duration::from_secs(60 * minutes + 30);
        tally.count(at(0), &facts(Outcome::Released));
        tally.count(at(0), &facts(Outcome::Released));
        tally.downloaded(at(0));
        tally.count(at(30), &facts(Outcome::Refused));
        tally.count(at(59), &facts(Outcome::Failed));
        let all = Counts { served: 2, downloaded: 1, refused: 1, failed: 1 };
        assert_eq!((tally.last(at(59), 60), tally.last(at(59), 1440)), (all, all));
        assert_eq!(tally.last(at(60), 60), Counts { refused: 1, failed: 1, ..Counts::default() });
        assert_eq!(tally.last(at(1439), 1440), all);
        assert_eq!(tally.last(at(1440), 1440), Counts { refused: 1, failed: 1, ..Counts::default() });
        // The same place, a day later.
        tally.count(at(1440), &facts(Outcome::Released));
        assert_eq!(tally.last(at(1440), 60), Counts { served: 1, ..Counts::default() });
        assert_eq!(tally.last(at(9999), 1440), Counts::default());
        assert_eq!(tally.age(at(1)), Duration::from_secs(90));
    }

    #[test]
    fn what_no_client_asked_for_is_not_counted() {
        let start = Clock::System.steady();
        let tally = Tally::new(start);
        for outcome in [Outcome::Quarantined, Outcome::Fork, Outcome::SourceDown] {
            tally.count(start, &facts(outcome));
        }
        assert_eq!(tally.last(start, 1440), Counts::default());
    }
}
