//! How old a record is at least, measured in the log.
//!
//! The date in an `.info` is the author's word. The log is not: a record whose number is below the size of a head that was
//! seen N days ago is at least N days old. So the size of every head that comes to be trusted is written down with the
//! time, `UNIX-SECONDS SIZE` a line. A small table gives a new installation of sum.golang.org a past.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Sizes that sum.golang.org is known to have had at the end of a day (2025-07-27, 2025-10-30, 2026-03-20).
const SUM_GOLANG_ORG: [Seen; 3] = [
    Seen { size: 41_265_000, at: 1_753_660_800 },
    Seen { size: 45_752_995, at: 1_761_868_800 },
    Seen { size: 51_312_332, at: 1_774_051_200 },
];
/// Heads come every few minutes; ages are asked for in hours and days.
const RESOLUTION: Duration = Duration::from_mins(10);
/// Four months of such lines, 400 kB. Then every second one of the older half goes.
const MAX_SEEN: usize = 20_000;

/// A tree of `size` records existed at the time `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    size: u64,
    /// Seconds since 1970.
    at: u64,
}

/// The sizes that were seen, and when. Ascending in both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ages {
    known: Vec<Seen>,
    seen: Vec<Seen>,
}

impl Ages {
    /// Reads what was written down; a line that cannot be read is as good as absent, and so is one out of order.
    pub(super) fn read(text: &str, is_public: bool) -> Self {
        let known = if is_public { SUM_GOLANG_ORG.to_vec() } else { Vec::new() };
        let mut ages = Self { known, seen: Vec::new() };
        for line in text.lines() {
            let Some((at, size)) = line.split_once(' ') else { continue };
            if let (Ok(at), Ok(size)) = (at.parse(), size.parse()) {
                ages.push(Seen { size, at });
            }
        }
        ages
    }

    /// Takes down a head. Says whether that changed anything worth writing.
    pub(super) fn add(&mut self, size: u64, now: SystemTime) -> bool {
        let at = seconds(now);
        if self.seen.last().is_some_and(|last| at < last.at + RESOLUTION.as_secs()) || !self.push(Seen { size, at }) {
            return false;
        }
        if self.seen.len() > MAX_SEEN {
            let mut nth = 0;
            self.seen.retain(|_| {
                nth += 1;
                nth > MAX_SEEN / 2 || nth % 2 == 1
            });
        }
        true
    }

    fn push(&mut self, seen: Seen) -> bool {
        let grows = self.seen.last().is_none_or(|last| seen.size > last.size && seen.at >= last.at);
        if grows {
            self.seen.push(seen);
        }
        grows
    }

    /// The size of the first head that was seen.
    pub(super) fn first(&self) -> Option<u64> {
        self.seen.first().map(|seen| seen.size)
    }

    /// The least age of record `id`; `None` if no tree with it was seen before.
    pub(super) fn at_least(&self, id: u64, now: SystemTime) -> Option<Duration> {
        let covers = |seen: &&Seen| seen.size > id;
        let first = [self.known.iter().find(covers), self.seen.iter().find(covers)];
        let at = first.into_iter().flatten().map(|seen| seen.at).min()?;
        Some(Duration::from_secs(seconds(now).saturating_sub(at)))
    }

    /// How far back there is a head to compare with. A record that is younger than this, as far as is known, is young.
    pub(super) fn reach(&self, now: SystemTime) -> Duration {
        let first = self.known.first().into_iter().chain(self.seen.first()).map(|seen| seen.at).min();
        first.map_or(Duration::ZERO, |at| Duration::from_secs(seconds(now).saturating_sub(at)))
    }

    /// The lines to write down.
    pub(super) fn text(&self) -> String {
        self.seen.iter().map(|seen| format!("{} {}\n", seen.at, seen.size)).collect()
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const DAY: u64 = 86_400;

    fn day(n: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(n * DAY)
    }

    #[test]
    fn a_record_is_as_old_as_the_first_tree_that_was_seen_with_it() {
        let mut ages = Ages::default();
        assert_eq!(ages.at_least(5, day(100)), None);
        assert!(ages.add(10, day(90)) && ages.add(20, day(95)));
        assert_eq!(ages.at_least(9, day(100)), Some(Duration::from_secs(10 * DAY)));
        // Record 10 is the first that the tree of 10 records does not have.
        assert_eq!(ages.at_least(10, day(100)), Some(Duration::from_secs(5 * DAY)));
        assert_eq!(ages.at_least(20, day(100)), None);
        assert_eq!(ages.reach(day(100)), Duration::from_secs(10 * DAY));
    }

    #[test]
    fn a_clock_that_goes_backwards_makes_nothing_older() {
        let mut ages = Ages::default();
        ages.add(10, day(100));
        assert!(!ages.add(20, day(50)));
        assert_eq!(ages.at_least(9, day(60)), Some(Duration::ZERO));
        assert_eq!(Ages::read("8640000 20\n4320000 30\nnonsense\n1 x\n", false).text(), "8640000 20\n");
    }

    #[test]
    fn what_is_written_down_is_read_again_and_stays_bounded() {
        let mut ages = Ages::default();
        for nth in 0..50_000_u64 {
            ages.add(nth + 1, UNIX_EPOCH + RESOLUTION * u32::try_from(nth).unwrap());
        }
        assert!(ages.seen.len() <= MAX_SEEN, "{}", ages.seen.len());
        assert_eq!(Ages::read(&ages.text(), false), ages);
        assert!(ages.at_least(0, day(1000)).is_some());
    }

    #[test]
    fn a_new_installation_of_the_public_database_has_a_past() {
        let ages = Ages::read("", true);
        let now = UNIX_EPOCH + Duration::from_secs(1_774_051_200 + 10 * DAY);
        assert_eq!(ages.at_least(51_312_331, now), Some(Duration::from_secs(10 * DAY)));
        assert_eq!(ages.at_least(51_312_332, now), None);
        assert_eq!(Ages::read("", false).at_least(0, now), None);
    }
}
