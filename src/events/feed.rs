//! Gives the newest events to readers, and new ones as they happen.
//!
//! A reader has a place in the rings and nothing else: one that is slow misses events and learns how many, but holds no memory and
//! delays no request. Readers who must not learn of private modules have a ring of their own, so that not even the number of
//! such events can be seen in it.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use super::event::{Event, Outcome};
use super::ring::{Entry, News, Ring, Seen};
use crate::base::lock::lock;

/// Cheap to clone; clones share the events.
#[derive(Clone)]
pub(crate) struct Feed(Arc<Shared>);

struct Shared {
    rings: Mutex<Rings>,
    some: Notify,
    /// How often the streams were ended.
    ends: watch::Sender<u64>,
    start: Timestamp,
}

#[derive(Default)]
pub(super) struct Rings {
    all: Ring,
    public: Ring,
    last: u64,
}

/// The time until streams are ended: a reload, or the end of the mirror.
#[derive(Clone)]
pub(crate) struct Span {
    ends: watch::Receiver<u64>,
    at: u64,
}

/// A reader of what happens from now on.
pub(crate) struct Follower {
    feed: Feed,
    with_private: bool,
    outcomes: Vec<Outcome>,
    seen: Seen,
    span: Span,
}

impl Rings {
    pub(super) fn add(&mut self, event: Event) {
        let time = u64::try_from(event.time.as_microsecond()).unwrap_or_default();
        self.last = time.max(self.last.saturating_add(1));
        let entry = Arc::new(Entry { id: self.last, event });
        if entry.event.facts.is_public() {
            self.public.add(Arc::clone(&entry));
        }
        self.all.add(entry);
    }

    fn of(&self, with_private: bool) -> &Ring {
        if with_private { &self.all } else { &self.public }
    }
}

impl Feed {
    pub(crate) fn new(now: SystemTime) -> Self {
        let start = Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH);
        let (rings, some, ends) = (Mutex::default(), Notify::new(), watch::Sender::new(0));
        Self(Arc::new(Shared { rings, some, ends, start }))
    }

    /// Never blocks for long.
    pub(super) fn add(&self, event: Event) {
        lock(&self.0.rings).add(event);
        self.0.some.notify_waiters();
    }

    /// Events of the time before [`Feed::start`].
    pub(super) fn put_before(&self, older: Rings) {
        let mut rings = lock(&self.0.rings);
        rings.all.put_before(older.all);
        rings.public.put_before(older.public);
        rings.last = rings.last.max(older.last);
    }

    /// When it was made.
    pub(super) fn start(&self) -> Timestamp {
        self.0.start
    }

    /// All events that are kept, the newest first.
    pub(crate) fn newest(&self, with_private: bool) -> Vec<Arc<Entry>> {
        let mut all = lock(&self.0.rings).of(with_private).all();
        all.sort_by_key(|entry| std::cmp::Reverse(entry.id));
        all
    }

    /// Ends all streams, also those that are begun with an earlier [`Span`]. Returns the one until the next call.
    pub(crate) fn end_streams(&self) -> Span {
        self.0.ends.send_modify(|ends| *ends += 1);
        let mut ends = self.0.ends.subscribe();
        let at = *ends.borrow_and_update();
        Span { ends, at }
    }

    /// Follows events of these outcomes, or of all if there are none, until the end of the span. With an id, from the event after it on.
    pub(crate) fn follow(
        &self,
        with_private: bool,
        outcomes: Vec<Outcome>,
        after: Option<u64>,
        span: Span,
    ) -> Follower {
        let rings = lock(&self.0.rings);
        let ring = rings.of(with_private);
        let seen = after.map_or_else(|| ring.seen(), |id| ring.seen_until(id));
        Follower { feed: self.clone(), with_private, outcomes, seen, span }
    }
}

impl Follower {
    /// Waits for news, of at most `most` events. `None` at the end of the span.
    pub(crate) async fn next(&mut self, most: usize) -> Option<News> {
        loop {
            let some = self.feed.0.some.notified();
            if *self.span.ends.borrow() != self.span.at {
                return None;
            }
            let news = lock(&self.feed.0.rings).of(self.with_private).news(&mut self.seen, &self.outcomes, most);
            if !news.entries.is_empty() || news.left_out > 0 {
                return Some(news);
            }
            tokio::select! {
                () = some => {}
                // It fails only without a feed.
                _ = self.span.ends.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use futures_util::FutureExt;

    use super::super::event::Facts;
    use super::*;

    fn event(nth: u64, private: bool) -> Event {
        Event::at(SystemTime::UNIX_EPOCH, Arc::new(Facts { bytes: Some(nth), private, ..Facts::default() }))
    }

    fn numbers(entries: &[Arc<Entry>]) -> Vec<u64> {
        entries.iter().map(|entry| entry.event.facts.bytes.unwrap()).collect()
    }

    #[tokio::test]
    async fn followers_get_what_happens_and_others_nothing_of_private_modules() {
        let feed = Feed::new(SystemTime::UNIX_EPOCH);
        let span = feed.end_streams();
        let mut all = feed.follow(true, Vec::new(), None, span.clone());
        let mut public = feed.follow(false, Vec::new(), None, span);
        assert!(all.next(9).now_or_never().is_none());
        feed.add(event(1, false));
        (0..2000).for_each(|_| feed.add(event(2, true)));
        feed.add(event(3, false));
        assert_eq!(all.next(9).await.unwrap().left_out, 1002);
        let News { entries, left_out } = public.next(9).await.unwrap();
        assert_eq!((numbers(&entries), left_out), (vec![1, 3], 0));
        assert_eq!((numbers(&feed.newest(false)), feed.newest(true).len()), (vec![3, 1], 1000));
        // One that waits is woken.
        let waiting = tokio::spawn(async move { public.next(9).await.map(|news| numbers(&news.entries)) });
        tokio::task::yield_now().await;
        feed.add(event(4, false));
        assert_eq!(waiting.await.unwrap(), Some(vec![4]));
    }

    #[tokio::test]
    async fn streams_end_and_those_of_before_do_not_begin_again() {
        let feed = Feed::new(SystemTime::UNIX_EPOCH);
        let old = feed.end_streams();
        let mut follower = feed.follow(false, Vec::new(), None, old.clone());
        let waiting = tokio::spawn(async move { follower.next(9).await.is_none() });
        tokio::task::yield_now().await;
        let new = feed.end_streams();
        assert!(waiting.await.unwrap());
        feed.add(event(1, false));
        assert!(feed.follow(false, Vec::new(), Some(0), old).next(9).await.is_none());
        assert!(feed.follow(false, Vec::new(), Some(0), new).next(9).await.is_some());
    }

    #[test]
    fn each_id_is_above_the_one_before_it() {
        let feed = Feed::new(SystemTime::UNIX_EPOCH);
        (0..3).for_each(|nth| feed.add(event(nth, false)));
        assert_eq!(feed.newest(false).iter().map(|entry| entry.id).collect::<Vec<_>>(), [3, 2, 1]);
    }
}
