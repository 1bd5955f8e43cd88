//! Observed sizes of a log: which lines of the file `heads` agree with the clock, the built-in table and each other.
//!
//! A head's signature proves the size of its tree; nothing proves the time that is stored with it. A clock that was wrong once
//! leaves wrong lines. These must not make a record older, nor invalidate the other lines.

use std::fmt;

/// Lines of one file: four months of heads that come every few minutes, 400 kB.
pub(super) const MAX_OBSERVED_SIZES: usize = 20_000;

/// A tree of `size` records existed at the time `at`. Ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ObservedSize {
    /// Seconds since 1970.
    pub(super) at: u64,
    pub(super) size: u64,
}

impl fmt::Display for ObservedSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at, self.size)
    }
}

impl ObservedSize {
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (at, size) = line.split_once(' ')?;
        Some(Self { at: at.parse().ok()?, size: size.parse().ok()? })
    }

    /// A log only grows: a larger tree cannot be earlier than a smaller one.
    pub(super) fn contradicts(&self, other: &Self) -> bool {
        (self.size > other.size && self.at < other.at) || (self.size < other.size && self.at > other.at)
    }
}

/// Why a line does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(crate) enum DropReason {
    #[error("expected `UNIX-SECONDS SIZE`, found other text; remove it")]
    Unreadable,
    #[error(
        "the time is later than the clock of this machine. If the clock is wrong, set it; if it was wrong when the line was \
         written, there is nothing to do"
    )]
    Later,
    #[error(
        "the clock of this machine was set to an earlier time. Nothing is written down until the clock has passed the time \
         of the line, or the program is restarted"
    )]
    SetBack,
    #[error("it contradicts the known sizes of this database. Check the clock of this machine")]
    Table,
    #[error("it contradicts the other lines: a log only grows. Check the clock of this machine")]
    Order,
}

/// The lines of one file that do not count: why, how many, and the first if it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped(Vec<(DropReason, usize, Option<ObservedSize>)>);

impl Dropped {
    pub(super) fn add(&mut self, why: DropReason, count: usize, first: Option<ObservedSize>) {
        if count > 0 {
            self.0.push((why, count, first));
        }
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(why, count, first)| {
            let lines = if *count == 1 { "one line does".to_owned() } else { format!("{count} lines do") };
            let first = first.map(|first| format!(" (the first is {first})")).unwrap_or_default();
            format!("{lines} not count for min-age{first}: {why}")
        })
    }
}

#[derive(Debug, Default)]
pub(super) struct Settled {
    /// They count. Ascending in time and size.
    pub(super) counted: Vec<ObservedSize>,
    /// Later than the clock. Ascending in time.
    pub(super) later: Vec<ObservedSize>,
    /// `later` and all others that do not count.
    pub(super) dropped: Dropped,
}

/// Decides which lines count at the time `now`. The rows of the table `known` always count.
pub(super) fn settle(lines: Vec<ObservedSize>, known: &[ObservedSize], now: u64) -> Settled {
    let (mut later, past): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.at > now);
    let (against_table, mut past): (Vec<_>, Vec<_>) =
        past.into_iter().partition(|line| known.iter().any(|row| line.contradicts(row)));
    past.sort_unstable();
    past.dedup();
    let (counted, out_of_order) = longest(&past);
    later.sort_unstable();
    let mut dropped = Dropped::default();
    for (why, lines) in
        [(DropReason::Later, &later), (DropReason::Table, &against_table), (DropReason::Order, &out_of_order)]
    {
        dropped.add(why, lines.len(), lines.first().copied());
    }
    later.truncate(MAX_OBSERVED_SIZES);
    Settled { counted, later, dropped }
}

/// Splits lines, ordered by time, into the longest consistent sequence and the others.
///
/// A single wrong line among right ones is the only one that is dropped. Of several longest sequences the one with the smaller
/// trees is taken, because it makes records younger.
fn longest(lines: &[ObservedSize]) -> (Vec<ObservedSize>, Vec<ObservedSize>) {
    // For each length: the index of the last line of the sequence with the smallest last tree.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(lines.len());
    for (nth, line) in lines.iter().enumerate() {
        let length = ends.partition_point(|&end| lines[end].size <= line.size);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() { ends.push(nth) } else { ends[length] = nth }
    }
    let mut is_kept = vec![false; lines.len()];
    let mut at = ends.last().copied();
    while let Some(nth) = at {
        is_kept[nth] = true;
        at = before[nth];
    }
    let lines_with = |kept: bool| lines.iter().zip(&is_kept).filter(move |(_, is)| **is == kept).map(|(line, _)| *line);
    (lines_with(true).collect(), lines_with(false).collect())
}
