//! The newest events in memory: for each outcome a bounded queue, so that many releases displace no refusal, and many refusals no fork.
//! Pure.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::event::{Event, Facts, Outcome};
use crate::base::request_context::network;

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
/// Once a queue is full, one client, or one case of wrong bytes, keeps a quarter of it: nobody pushes the events of all others out.
const SHARE: usize = 4;
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
    /// By their numbers. Those that made room for others are missing between them.
    kept: VecDeque<Kept>,
    /// The number of the next one.
    next: u64,
    /// One had to make room.
    has_dropped: bool,
    /// How many there are of each cause.
    counts: HashMap<u64, usize>,
}

#[derive(Debug)]
struct Kept {
    number: u64,
    cause: u64,
    entry: Arc<Entry>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { kept: VecDeque::new(), next: FIRST, has_dropped: false, counts: HashMap::new() }
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

/// Who or what caused an event: its client, or without one the case in quarantine, the evidence or the source.
fn cause(event: &Event) -> u64 {
    let Facts { quarantine, evidence, source, .. } = &*event.facts;
    let mut hasher = DefaultHasher::new();
    match event.client {
        Some(client) => network(client).hash(&mut hasher),
        None => (quarantine, evidence, source).hash(&mut hasher),
    }
    hasher.finish()
}

impl Queue {
    fn add(&mut self, entry: Arc<Entry>, most: usize) {
        if self.kept.len() >= most {
            self.make_room(most / SHARE);
        }
        let cause = cause(&entry.event);
        *self.counts.entry(cause).or_default() += 1;
        self.kept.push_back(Kept { number: self.next, cause, entry });
        self.next += 1;
    }

    /// Removes the oldest event of a cause that has more than its share, or else the oldest of all.
    fn make_room(&mut self, share: usize) {
        let over = self.counts.iter().filter(|(_, count)| **count > share).map(|(cause, _)| *cause);
        // Fewer than SHARE, so the search compares a few numbers.
        let over: Vec<u64> = over.collect();
        let is_over = |kept: &Kept| over.contains(&kept.cause);
        // Nobody has more: the oldest of all.
        let at = if over.is_empty() { 0 } else { self.kept.iter().position(is_over).unwrap_or_default() };
        let Some(Kept { cause, .. }) = self.kept.remove(at) else { return };
        self.has_dropped = true;
        if let Some(count) = self.counts.get_mut(&cause) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&cause);
            }
        }
    }

    /// The first event that has this number or a later one.
    fn from(&self, number: u64) -> Option<&Kept> {
        self.kept.get(self.kept.partition_point(|kept| kept.number < number))
    }

    /// The number of the first event after the one with this id, or of one before it that is not here any more and may be after it.
    fn after(&self, id: u64) -> u64 {
        let at = self.kept.partition_point(|kept| kept.entry.id <= id);
        let number = self.kept.get(at).map_or(self.next, |kept| kept.number);
        let before = at.checked_sub(1).and_then(|before| self.kept.get(before));
        let misses = before.map_or(self.has_dropped && id > 0, |before| before.number + 1 < number);
        number - u64::from(misses)
    }
}

impl Ring {
    /// Adds the newest event.
    pub(super) fn add(&mut self, entry: Arc<Entry>) {
        let at = place(entry.event.facts.outcome);
        self.0[at].add(entry, QUEUES[at].1);
    }

    /// Puts the newest of these before all others, as far as there is room.
    pub(super) fn put_before(&mut self, older: Self) {
        for ((queue, older), (_, most)) in self.0.iter_mut().zip(older.0).zip(QUEUES) {
            let room = most - queue.kept.len();
            queue.has_dropped |= older.has_dropped || older.kept.len() > room;
            for Kept { cause, entry, .. } in older.kept.into_iter().rev().take(room) {
                let number = queue.kept.front().map_or(queue.next, |first| first.number) - 1;
                *queue.counts.entry(cause).or_default() += 1;
                queue.kept.push_front(Kept { number, cause, entry });
            }
        }
    }

    /// All of them, in no order.
    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        self.0.iter().flat_map(|queue| &queue.kept).map(|kept| Arc::clone(&kept.entry)).collect()
    }

    /// A reader who has seen everything.
    pub(super) fn seen(&self) -> Seen {
        Seen(self.0.each_ref().map(|queue| queue.next))
    }

    /// A reader who has seen everything up to the event with this id.
    pub(super) fn seen_until(&self, id: u64) -> Seen {
        Seen(self.0.each_ref().map(|queue| queue.after(id)))
    }

    /// The oldest events that a reader has not seen, at most `most`. Only those of `outcomes` are counted as left out; none: all.
    pub(super) fn news(&self, seen: &mut Seen, outcomes: &[Outcome], most: usize) -> News {
        let mut news = News::default();
        for _ in 0..most {
            let unseen = self.0.iter().enumerate().filter_map(|(nth, queue)| Some((nth, queue.from(seen.0[nth])?)));
            let Some((nth, kept)) = unseen.min_by_key(|(_, kept)| kept.entry.id) else { break };
            if outcomes.is_empty() || outcomes.contains(&QUEUES[nth].0) {
                news.left_out += kept.number - seen.0[nth];
            }
            news.entries.push(Arc::clone(&kept.entry));
            seen.0[nth] = kept.number + 1;
        }
        news
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::time::SystemTime;

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

    /// A refusal of a client, or wrong bytes without one.
    fn of(id: u64, client: Option<&str>, case: &str) -> Arc<Entry> {
        let outcome = if client.is_some() { Outcome::Refused } else { Outcome::Quarantined };
        let facts = Facts { outcome, quarantine: vec![case.to_owned()], ..Facts::default() };
        let event = Event::at(SystemTime::UNIX_EPOCH, Arc::new(facts));
        Arc::new(Entry { id, event: Event { client: client.map(|client| client.parse().unwrap()), ..event } })
    }

    #[test]
    fn one_client_fills_a_ring_alone_but_pushes_no_event_of_another_out() {
        let (mut ring, greedy, modest) = (Ring::default(), Some("2001:db8::1"), Some("10.0.0.2"));
        (1..=1500).for_each(|id| ring.add(of(id, greedy, "")));
        assert_eq!(sorted(&ring), (501..=1500).collect::<Vec<_>>());
        (1501..=1600).for_each(|id| ring.add(of(id, modest, "")));
        // Another address of its network.
        (1601..=4000).for_each(|id| ring.add(of(id, Some("2001:db8::2"), "")));
        assert_eq!(sorted(&ring), (1501..=1600).chain(3101..=4000).collect::<Vec<_>>());
        (4001..=4900).for_each(|id| ring.add(of(id, modest, "")));
        assert_eq!(sorted(&ring), (3751..=4000).chain(4151..=4900).collect::<Vec<_>>());
        assert_eq!((ring.0[1].counts.len(), ring.0[1].counts.values().sum::<usize>()), (2, 1000));
    }

    #[test]
    fn wrong_bytes_that_come_again_and_again_push_no_other_case_out() {
        let mut ring = Ring::default();
        (1..=31).for_each(|id| ring.add(of(id, None, &format!("quarantine/{id}"))));
        (32..=900).for_each(|id| ring.add(of(id, None, "quarantine/again")));
        assert_eq!(sorted(&ring), (1..=31).chain(832..=900).collect::<Vec<_>>());
    }

    #[test]
    fn a_reader_learns_how_many_are_missing_between_those_it_gets() {
        let (mut ring, greedy, modest) = (Ring::default(), Some("10.0.0.1"), Some("10.0.0.2"));
        let mut seen = ring.seen();
        (1..=10).for_each(|id| ring.add(of(id, modest, "")));
        (11..=1010).for_each(|id| ring.add(of(id, greedy, "")));
        let mut away = ring.seen_until(10);
        let News { entries, left_out } = ring.news(&mut seen, &[], usize::MAX);
        assert_eq!((entries.len(), ids(&entries)[9..11].to_vec(), left_out), (1000, vec![10, 21], 10));
        let News { entries, left_out } = ring.news(&mut away, &[], usize::MAX);
        assert_eq!((ids(&entries)[0], left_out), (21, 1));
        assert_eq!(ring.news(&mut ring.seen_until(1010), &[], 9).left_out, 0);
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
