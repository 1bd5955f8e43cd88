//! The minimum age of a record, from observed tree sizes.
//!
//! The author chooses the date in an `.info`. The log cannot be changed afterwards: a record whose number is below the size of
//! a head that was observed N days ago is at least N days old. So the size of every trusted head is written down with the
//! time, one line `UNIX-SECONDS SIZE` each. A built-in table has earlier sizes of sum.golang.org, for new installations.
//!
//! This file is pure: the clock is an argument. `observed_sizes` decides which lines count.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::observed_sizes::{DropReason, Dropped, MAX_OBSERVED_SIZES, ObservedSize, Settled, settle};
use crate::policy::Age;

/// Known sizes of sum.golang.org at the end of a day (2025-07-27, 2025-10-30, 2026-03-20).
pub(crate) const KNOWN_SIZES: [ObservedSize; 3] = [
    ObservedSize { size: 41_265_000, at: 1_753_660_800 },
    ObservedSize { size: 45_752_995, at: 1_761_868_800 },
    ObservedSize { size: 51_312_332, at: 1_774_051_200 },
];
/// The time of the oldest known head: no record is known to be older, except by heads that an installation recorded itself.
pub(crate) fn known_since() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(KNOWN_SIZES[0].at)
}

/// Heads come every few minutes; rules are in hours and days.
const RESOLUTION: u64 = 10 * 60;

/// The observed sizes. `known` and `counted` ascend in time and size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ages {
    /// The built-in table.
    known: Vec<ObservedSize>,
    /// The lines that count.
    counted: Vec<ObservedSize>,
    /// Lines later than the clock. The clock may be wrong, so they are kept until, at a start, more lines agree with the clock.
    later: Vec<ObservedSize>,
    /// The clock is earlier than the newest of `counted`, and that was reported.
    clock_set_back: bool,
    /// No stored line counts, and none is written.
    table_only: bool,
}

impl Ages {
    /// The table alone. Observed heads are not written down.
    pub(super) fn of_table(known: &[ObservedSize]) -> Self {
        Self { known: known.to_vec(), table_only: true, ..Self::default() }
    }

    /// Reads the stored lines, and returns those that do not count.
    pub(crate) fn read(text: &str, known: &[ObservedSize], now: SystemTime) -> (Self, Dropped) {
        let (lines, unreadable): (Vec<_>, Vec<_>) = text.lines().map(ObservedSize::parse).partition(Option::is_some);
        let lines = lines.into_iter().flatten().collect();
        let Settled { counted, mut later, mut dropped } = settle(lines, known, seconds(now));
        if counted.len() > later.len() {
            later.clear();
        }
        dropped.add(DropReason::Unreadable, unreadable.len(), None);
        (Self { known: known.to_vec(), counted, later, ..Self::default() }, dropped)
    }

    /// Adds the size of a head. Returns whether the file must be written, and the lines that no longer count.
    pub(super) fn add(&mut self, size: u64, now: SystemTime) -> (bool, Dropped) {
        let new = ObservedSize { size, at: seconds(now) };
        // A clock earlier than the newest row of the table is wrong.
        if self.table_only || self.known.last().is_some_and(|newest| new.at < newest.at) {
            return (false, Dropped::default());
        }
        // So is a clock earlier than the newest line, now or when that was written. It is reported once.
        if self.counted.last().is_some_and(|last| new.at < last.at) {
            let ahead = &self.counted[self.counted.partition_point(|line| line.at <= new.at)..];
            let mut dropped = Dropped::default();
            if !std::mem::replace(&mut self.clock_set_back, true) {
                dropped.add(DropReason::SetBack, ahead.len(), ahead.first().copied());
            }
            return (false, dropped);
        }
        self.clock_set_back = false;
        let dropped = self.settle_again(new.at);
        let contradicts_table = self.known.last().is_some_and(|newest| new.contradicts(newest));
        if contradicts_table
            || self.counted.last().is_some_and(|last| size < last.size || (size == last.size && is_soon(last, &new)))
        {
            return (false, dropped);
        }
        // The newest head is always kept; of the others no three within `RESOLUTION`.
        if let [.., before, _] = self.counted[..]
            && is_soon(&before, &new)
        {
            self.counted.pop();
        }
        self.counted.push(new);
        // Every other line of the older half is dropped.
        if self.counted.len() > MAX_OBSERVED_SIZES {
            let mut nth = 0;
            self.counted.retain(|_| {
                nth += 1;
                nth > MAX_OBSERVED_SIZES / 2 || nth % 2 == 1
            });
        }
        (true, dropped)
    }

    /// Whether a tree of at least `size` records was written down.
    pub(super) fn has_observed(&self, size: u64) -> bool {
        self.counted.last().is_some_and(|last| last.size >= size)
    }

    /// While there are lines later than the clock, decides again which lines count: the clock may have been corrected. Returns
    /// the lines that no longer count.
    fn settle_again(&mut self, now: u64) -> Dropped {
        if self.later.is_empty() {
            return Dropped::default();
        }
        let before = self.counted.len();
        let lines = self.counted.drain(..).chain(self.later.drain(..)).collect();
        let settled = settle(lines, &self.known, now);
        (self.counted, self.later) = (settled.counted, settled.later);
        if self.counted.len() < before { settled.dropped } else { Dropped::default() }
    }

    /// Whether the head of this size, observed again, must be written down again.
    pub(super) fn is_due(&self, size: u64, now: SystemTime) -> bool {
        let now = ObservedSize { size, at: seconds(now) };
        !self.table_only && self.counted.last().is_some_and(|last| last.size == size && !is_soon(last, &now))
    }

    /// The size of the oldest observed tree.
    pub(super) fn first_size(&self) -> Option<u64> {
        self.counted.first().map(|first| first.size)
    }

    /// When the newest tree was observed last, if that was written down.
    pub(super) fn last_observed(&self) -> Option<SystemTime> {
        self.counted.last().map(|last| UNIX_EPOCH + Duration::from_secs(last.at))
    }

    /// At most `most` observed sizes, in order of time, with the first and the last.
    pub(super) fn growth(&self, most: usize) -> Vec<(SystemTime, u64)> {
        let mut all: Vec<&ObservedSize> = self.known.iter().chain(&self.counted).collect();
        all.sort_unstable();
        let last = all.len().saturating_sub(1);
        let every = last.div_ceil(most.saturating_sub(1).max(1)).max(1);
        let chosen = all.into_iter().enumerate().filter(|(nth, _)| nth % every == 0 || *nth == last);
        chosen.map(|(_, line)| (UNIX_EPOCH + Duration::from_secs(line.at), line.size)).collect()
    }

    /// How old record `id` is at the time `now`, for a rule that requires `min`.
    ///
    /// Evidence is an observation at least `min` ago. A record below its size is old. Any other record is young if the newest
    /// evidence is at most twice `min` old; otherwise its age is unknown.
    pub(super) fn age(&self, id: u64, min: Duration, now: SystemTime) -> Age {
        let (now, min) = (seconds(now), min.as_secs());
        let both = [&self.known, &self.counted];
        let covering = both.iter().filter_map(|list| list.get(list.partition_point(|line| line.size <= id)));
        let at_least = covering.map(|line| now.saturating_sub(line.at)).max().unwrap_or_default();
        let until = now.checked_sub(min);
        let evidence =
            |list: &&Vec<ObservedSize>| list.partition_point(|line| until.is_some_and(|until| line.at <= until));
        let newest = both.iter().filter_map(|list| list[..evidence(list)].last()).map(|line| now - line.at).min();
        let is_known = at_least >= min || newest.is_some_and(|age| age <= min.saturating_mul(2));
        if is_known { Age::AtLeast(Duration::from_secs(at_least)) } else { Age::Unknown }
    }

    pub(crate) fn text(&self) -> String {
        self.counted.iter().chain(&self.later).map(|line| format!("{line}\n")).collect()
    }
}

fn is_soon(before: &ObservedSize, after: &ObservedSize) -> bool {
    after.at < before.at.saturating_add(RESOLUTION)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
