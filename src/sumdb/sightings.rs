//! Which sightings of a log count: the lines of `heads` that fit the clock, the built-in table and each other.
//!
//! A head's signature proves the size of its tree; nothing proves the time that is written beside it. A wrong clock at one
//! start is enough for a wrong line. A wrong line must not make a record older, and must not spoil the other lines.

use std::fmt;

/// As many lines as are kept: four months of heads that come every few minutes, 400 kB.
pub(super) const MAX_SEEN: usize = 20_000;

/// A tree of `size` records existed at the time `at`. In the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    /// Seconds since 1970.
    pub(super) at: u64,
    pub(super) size: u64,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at, self.size)
    }
}

impl Seen {
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (at, size) = line.split_once(' ')?;
        Some(Self { at: at.parse().ok()?, size: size.parse().ok()? })
    }

    /// A log only grows: the larger of two trees cannot be the earlier one.
    pub(super) fn contradicts(&self, other: &Self) -> bool {
        (self.size > other.size && self.at < other.at) || (self.size < other.size && self.at > other.at)
    }
}

/// Why a line does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(crate) enum Why {
    #[error("expected `UNIX-SECONDS SIZE`, and it is something else; remove it")]
    Unreadable,
    #[error(
        "its time is later than the clock of this machine. If the clock is wrong, set it; if the clock was wrong when the \
         line was written, there is nothing to do"
    )]
    Later,
    /// While the program ran.
    #[error(
        "the clock of this machine was set back behind its time. Nothing more is written down until the clock has passed \
         it, or the program starts anew"
    )]
    Behind,
    #[error(
        "it contradicts the sizes that this database is known to have had. Look whether the clock of this machine is right"
    )]
    Table,
    #[error("it contradicts the other lines: a log only grows. Look whether the clock of this machine is right")]
    Order,
}

/// What does not count of one file: why, how many lines, and the first of them where it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped(Vec<(Why, usize, Option<Seen>)>);

impl Dropped {
    pub(super) fn add(&mut self, why: Why, count: usize, first: Option<Seen>) {
        if count > 0 {
            self.0.push((why, count, first));
        }
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(why, count, first)| {
            let lines = if *count == 1 { "one line does".to_owned() } else { format!("{count} lines do") };
            let first = first.map(|seen| format!(" (the first is {seen})")).unwrap_or_default();
            format!("{lines} not count for min-age{first}: {why}")
        })
    }
}

#[derive(Debug, Default)]
pub(super) struct Settled {
    /// They count. Ascending in both.
    pub(super) seen: Vec<Seen>,
    /// Later than the clock. Ascending in time.
    pub(super) later: Vec<Seen>,
    /// These and all others that do not count.
    pub(super) dropped: Dropped,
}

/// Decides which lines count at the time `now`, beside the rows of a table that always count.
pub(super) fn settle(lines: Vec<Seen>, known: &[Seen], now: u64) -> Settled {
    let (mut later, past): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.at > now);
    let (against, mut past): (Vec<_>, Vec<_>) =
        past.into_iter().partition(|line| known.iter().any(|row| line.contradicts(row)));
    past.sort_unstable();
    past.dedup();
    let (seen, odd) = longest(&past);
    later.sort_unstable();
    let mut dropped = Dropped::default();
    for (why, lines) in [(Why::Later, &later), (Why::Table, &against), (Why::Order, &odd)] {
        dropped.add(why, lines.len(), lines.first().copied());
    }
    later.truncate(MAX_SEEN);
    Settled { seen, later, dropped }
}

/// Of lines in the order of time, the most that fit together, and the others.
///
/// One wrong line among right ones goes alone, whichever way it is wrong. Where as many lines speak for one time as for
/// another, those with the smaller trees stay, so that records are younger.
fn longest(lines: &[Seen]) -> (Vec<Seen>, Vec<Seen>) {
    // For each length the chain of that length with the smallest last tree: the index of its last line.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(lines.len());
    for (nth, line) in lines.iter().enumerate() {
        let length = ends.partition_point(|&end| lines[end].size <= line.size);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() { ends.push(nth) } else { ends[length] = nth }
    }
    let mut stays = vec![false; lines.len()];
    let mut at = ends.last().copied();
    while let Some(nth) = at {
        stays[nth] = true;
        at = before[nth];
    }
    let by = |stay: bool| lines.iter().zip(&stays).filter(move |(_, stays)| **stays == stay).map(|(line, _)| *line);
    (by(true).collect(), by(false).collect())
}
