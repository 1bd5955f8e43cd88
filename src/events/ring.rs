//! The newest events in memory: for each outcome a bounded queue, so that many releases displace no refusal, and many refusals no fork.
//! Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use super::event::{Event, Outcome};

/// How many of each are kept. A page shows 200, some 500 bytes each; with a filter it looks through all of them. Wrong bytes: more than
/// the quarantine has cases.
const QUEUES: [(Outcome, usize); 6] = [
    (Outcome::Released, 1000),
    (Outcome::Refused, 1000),
    (Outcome::Failed, 1000),
    (Outcome::Quarantined, 100),
    (Outcome::Fork, 16),
    (Outcome::SourceDown, 100),
];
/// The number of the first event that is added. Older ones may be put before it.
const FIRST: u64 = 1 << 32;

/// An event in memory.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Each is above those before it: the microseconds of its time, or one more than the last one. A client that was away continues
    /// after it, also if the mirror was restarted meanwhile.
    pub(crate) id: u64,
    pub(crate) event: Event,
}

/// The newest events of each outcome.
#[derive(Debug, Default)]
pub(super) struct Ring([Queue; QUEUES.len()]);

#[derive(Debug)]
struct Queue {
    entries: VecDeque<Arc<Entry>>,
    /// The number of the first one.
    first: u64,
    /// One had to make room.
    has_dropped: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self { entries: VecDeque::new(), first: FIRST, has_dropped: false }
    }
}

/// The number of the next event of each outcome that a reader has not seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen([u64; QUEUES.len()]);

/// What happened since a reader looked.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// From the oldest.
    pub(crate) entries: Vec<Arc<Entry>>,
    /// At least so many more were displaced before the reader took them.
    pub(crate) left_out: u64,
}

fn place(outcome: Outcome) -> usize {
    QUEUES.iter().position(|(one, _)| *one == outcome).unwrap_or_default()
}

impl Queue {
    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn at(&self, number: u64) -> Option<&Arc<Entry>> {
        self.entries.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }
}

impl Ring {
    /// Adds the newest event.
    pub(super) fn add(&mut self, entry: Arc<Entry>) {
        let at = place(entry.event.facts.outcome);
        let queue = &mut self.0[at];
        if queue.entries.len() >= QUEUES[at].1 {
            queue.entries.pop_front();
            queue.first += 1;
            queue.has_dropped = true;
        }
        queue.entries.push_back(entry);
    }

    /// Puts the newest of these before all others, as far as there is room.
    pub(super) fn put_before(&mut self, older: Self) {
        for ((queue, older), (_, most)) in self.0.iter_mut().zip(older.0).zip(QUEUES) {
            let room = most - queue.entries.len();
            queue.has_dropped |= older.has_dropped || older.entries.len() > room;
            for entry in older.entries.into_iter().rev().take(room) {
                queue.entries.push_front(entry);
                queue.first -= 1;
            }
        }
    }

    /// All of them, in no order.
    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        self.0.iter().flat_map(|queue| &queue.entries).cloned().collect()
    }

    /// A reader who has seen everything.
    pub(super) fn seen(&self) -> Seen {
        Seen(self.0.each_ref().map(Queue::next))
    }

    /// A reader who has seen everything up to the event with this id.
    pub(super) fn seen_until(&self, id: u64) -> Seen {
        Seen(self.0.each_ref().map(|queue| {
            let seen = queue.entries.partition_point(|entry| entry.id <= id) as u64;
            // Some that are not here any more may have come after it.
            queue.first + seen - u64::from(seen == 0 && id > 0 && queue.has_dropped)
        }))
    }

    /// The oldest events that a reader has not seen, at most `most`. Only those of `outcomes` are counted as left out; none: all.
    pub(super) fn news(&self, seen: &mut Seen, outcomes: &[Outcome], most: usize) -> News {
        let mut news = News::default();
        for ((queue, seen), (outcome, _)) in self.0.iter().zip(&mut seen.0).zip(QUEUES) {
            let left_out = queue.first.saturating_sub(*seen);
            *seen += left_out;
            if outcomes.is_empty() || outcomes.contains(&outcome) {
                news.left_out += left_out;
            }
        }
        while news.entries.len() < most {
            let unseen = self.0.iter().zip(&mut seen.0).filter_map(|(queue, seen)| Some((queue.at(*seen)?, seen)));
            let Some((entry, seen)) = unseen.min_by_key(|(entry, _)| entry.id) else { break };
            news.entries.push(Arc::clone(entry));
            *seen += 1;
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::event::Facts;
    use super::*;

    fn entry(id: u64, outcome: Outcome) -> Arc<Entry> {
        let facts = Facts { outcome, ..Facts::default() };
        Arc::new(Entry { id, event: Event::at(SystemTime::UNIX_EPOCH, Arc::new(facts)) })
    }

    fn ids(entries: &[Arc<Entry>]) -> Vec<u64> {
        entries.iter().map(|entry| entry.id).collect()
    }

    fn sorted(ring: &Ring) -> Vec<u64> {
        let mut all = ids(&ring.all());
        all.sort_unstable();
        all
    }

    #[test]
    fn every_outcome_has_a_queue_and_none_displaces_another() {
        let mut ring = Ring::default();
        ring.add(entry(1, Outcome::Fork));
        ring.add(entry(2, Outcome::Refused));
        (3..3000).for_each(|id| ring.add(entry(id, Outcome::Released)));
        assert_eq!(sorted(&ring), [1, 2].into_iter().chain(2000..3000).collect::<Vec<_>>());
        for outcome in <Outcome as clap::ValueEnum>::value_variants() {
            assert_eq!(QUEUES[place(*outcome)].0, *outcome);
        }
    }

    #[test]
    fn a_reader_gets_what_it_has_not_seen_in_order_and_learns_what_it_missed() {
        let mut ring = Ring::default();
        ring.add(entry(1, Outcome::Released));
        let mut seen = ring.seen();
        ring.add(entry(2, Outcome::Refused));
        ring.add(entry(3, Outcome::Released));
        ring.add(entry(4, Outcome::Refused));
        let News { entries, left_out } = ring.news(&mut seen, &[], 2);
        assert_eq!((ids(&entries), left_out), (vec![2, 3], 0));
        (5..1505).for_each(|id| ring.add(entry(id, Outcome::Released)));
        let mut other = seen;
        let News { entries, left_out } = ring.news(&mut seen, &[], usize::MAX);
        assert_eq!((entries.len(), ids(&entries)[0], ids(&entries)[1], left_out), (1001, 4, 505, 500));
        assert_eq!(ring.news(&mut seen, &[], 9).entries.len(), 0);
        // A reader of refusals misses no release.
        assert_eq!(ring.news(&mut other, &[Outcome::Refused], 1).left_out, 0);
    }

    #[test]
    fn a_reader_that_was_away_continues_after_the_last_one() {
        let mut ring = Ring::default();
        (1..=1000).for_each(|id| ring.add(entry(id * 10, Outcome::Released)));
        let news = |ring: &Ring, id| ring.news(&mut ring.seen_until(id), &[], usize::MAX);
        assert_eq!(ids(&news(&ring, 9985).entries), [9990, 10000]);
        assert_eq!((news(&ring, 0).entries.len(), news(&ring, 1).left_out), (1000, 0));
        ring.add(entry(10010, Outcome::Released));
        assert_eq!((news(&ring, 0).left_out, news(&ring, 1).left_out, news(&ring, 20).left_out), (0, 1, 0));
    }

    #[test]
    fn what_was_before_the_start_is_put_before_and_no_reader_sees_it_as_new() {
        let (mut ring, mut older) = (Ring::default(), Ring::default());
        let mut early = ring.seen();
        ring.add(entry(5000, Outcome::Released));
        (1..=1000).for_each(|id| older.add(entry(id, Outcome::Released)));
        older.add(entry(1001, Outcome::Quarantined));
        ring.put_before(older);
        assert_eq!(sorted(&ring), (2..=1001).chain([5000]).collect::<Vec<_>>());
        let News { entries, left_out } = ring.news(&mut early, &[], 9);
        assert_eq!((ids(&entries), left_out), (vec![5000], 0));
    }
}
