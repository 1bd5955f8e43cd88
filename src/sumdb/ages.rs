//! How old a record is at least, measured in the log.
//!
//! The date in an `.info` is the author's word. The log is not: a record whose number is below the size of a head that was
//! seen N days ago is at least N days old. So the size of every head that comes to be trusted is written down with the
//! time, `UNIX-SECONDS SIZE` a line. A small table gives a new installation of sum.golang.org a past.
//!
//! Everything here is pure: the clock is an argument. Which lines count is decided in `sightings`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::sightings::{Dropped, MAX_SEEN, Seen, Settled, Why, settle};
use crate::policy::Age;

/// Sizes that sum.golang.org is known to have had at the end of a day (2025-07-27, 2025-10-30, 2026-03-20).
pub(crate) const SUM_GOLANG_ORG: [Seen; 3] = [
    Seen { size: 41_265_000, at: 1_753_660_800 },
    Seen { size: 45_752_995, at: 1_761_868_800 },
    Seen { size: 51_312_332, at: 1_774_051_200 },
];
/// Heads come every few minutes; ages are asked for in hours and days.
const RESOLUTION: u64 = 10 * 60;

/// The sizes that were seen, and when. Both lists ascend in both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ages {
    /// What the program knows by itself.
    known: Vec<Seen>,
    /// What was written down.
    seen: Vec<Seen>,
    /// Written down with a time that is later than the clock. It may be the clock that is wrong, so they are kept until a
    /// start finds more lines that speak for the clock.
    later: Vec<Seen>,
    /// The clock is behind the newest of `seen`, and that was told.
    behind: bool,
    /// Nothing that was written down counts, and nothing more is written down.
    closed: bool,
}

impl Ages {
    /// Nothing but a table. Heads that are seen are not taken down.
    pub(super) fn of_table(known: &[Seen]) -> Self {
        Self { known: known.to_vec(), closed: true, ..Self::default() }
    }

    /// Reads what was written down; and what of it does not count.
    pub(crate) fn read(text: &str, known: &[Seen], now: SystemTime) -> (Self, Dropped) {
        let (lines, unreadable): (Vec<_>, Vec<_>) = text.lines().map(Seen::parse).partition(Option::is_some);
        let lines = lines.into_iter().flatten().collect();
        let Settled { seen, mut later, mut dropped } = settle(lines, known, seconds(now));
        if seen.len() > later.len() {
            later.clear();
        }
        dropped.add(Why::Unreadable, unreadable.len(), None);
        (Self { known: known.to_vec(), seen, later, behind: false, closed: false }, dropped)
    }

    /// Takes down a head. Says whether that changed anything worth writing, and what counted until now and does not now.
    pub(super) fn add(&mut self, size: u64, now: SystemTime) -> (bool, Dropped) {
        let new = Seen { size, at: seconds(now) };
        // A clock behind the newest head that the program carries is wrong.
        if self.closed || self.known.last().is_some_and(|newest| new.at < newest.at) {
            return (false, Dropped::default());
        }
        // So is one that is set back behind a time that this program took down, or was before. It is told once.
        if self.seen.last().is_some_and(|last| new.at < last.at) {
            let ahead = &self.seen[self.seen.partition_point(|seen| seen.at <= new.at)..];
            let mut dropped = Dropped::default();
            if !std::mem::replace(&mut self.behind, true) {
                dropped.add(Why::Behind, ahead.len(), ahead.first().copied());
            }
            return (false, dropped);
        }
        self.behind = false;
        let dropped = self.settle_anew(new.at);
        let odd = self.known.last().is_some_and(|newest| new.contradicts(newest));
        if odd || self.seen.last().is_some_and(|last| size < last.size || (size == last.size && is_soon(last, &new))) {
            return (false, dropped);
        }
        // The newest head is always there; of the others no three within ten minutes.
        if let [.., before, _] = self.seen[..]
            && is_soon(&before, &new)
        {
            self.seen.pop();
        }
        self.seen.push(new);
        if self.seen.len() > MAX_SEEN {
            let mut nth = 0;
            self.seen.retain(|_| {
                nth += 1;
                nth > MAX_SEEN / 2 || nth % 2 == 1
            });
        }
        (true, dropped)
    }

    /// Whether a tree as large was seen and written down.
    pub(super) fn has_seen(&self, size: u64) -> bool {
        self.seen.last().is_some_and(|last| last.size >= size)
    }

    /// Decides anew which lines count, while some are later than the clock: it may be set right meanwhile. Returns what counted until now and does not now.
    fn settle_anew(&mut self, now: u64) -> Dropped {
        if self.later.is_empty() {
            return Dropped::default();
        }
        let counted = self.seen.len();
        let lines = self.seen.drain(..).chain(self.later.drain(..)).collect();
        let settled = settle(lines, &self.known, now);
        (self.seen, self.later) = (settled.seen, settled.later);
        if self.seen.len() < counted { settled.dropped } else { Dropped::default() }
    }

    /// Whether the newest head that was seen, which is seen again, is worth taking down again.
    pub(super) fn is_due(&self, size: u64, now: SystemTime) -> bool {
        let now = Seen { size, at: seconds(now) };
        !self.closed && self.seen.last().is_some_and(|last| last.size == size && !is_soon(last, &now))
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.seen.first().map(|seen| seen.size)
    }

    /// How old record `id` is at the time `now`, for a rule that requires `min`.
    ///
    /// Evidence is a head that was seen at least `min` ago. What a piece of it covers is old. What none covers is young if
    /// the newest piece is at most twice as old as required; otherwise, and where there is none, nobody can tell.
    pub(super) fn age(&self, id: u64, min: Duration, now: SystemTime) -> Age {
        let (now, min) = (seconds(now), min.as_secs());
        let both = [&self.known, &self.seen];
        let covering = both.iter().filter_map(|list| list.get(list.partition_point(|seen| seen.size <= id)));
        let known = covering.map(|seen| now.saturating_sub(seen.at)).max().unwrap_or_default();
        let until = now.checked_sub(min);
        let evidence = |list: &&Vec<Seen>| list.partition_point(|seen| until.is_some_and(|until| seen.at <= until));
        let newest = both.iter().filter_map(|list| list[..evidence(list)].last()).map(|seen| now - seen.at).min();
        let can_tell = known >= min || newest.is_some_and(|age| age <= min.saturating_mul(2));
        if can_tell { Age::AtLeast(Duration::from_secs(known)) } else { Age::Unknown }
    }

    pub(crate) fn text(&self) -> String {
        self.seen.iter().chain(&self.later).map(|seen| format!("{seen}\n")).collect()
    }
}

fn is_soon(before: &Seen, after: &Seen) -> bool {
    after.at < before.at.saturating_add(RESOLUTION)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
