//! What waits to be sent to a receiver: for each kind of event a bounded queue, so that many refusals cannot displace a fork, and each
//! subject at most once within some time.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;

use super::event::{Event, Facts, Outcome};
use crate::base::clock::Clock;
use crate::base::lock::lock;
use crate::base::recent::Recent;

/// What is sent, the most urgent first.
const SENT: [Outcome; 4] = [Outcome::Fork, Outcome::Quarantined, Outcome::SourceDown, Outcome::Refused];
/// A build that is run again and again must not send a message each time; a mirror that is still broken should be mentioned again
/// within a working day.
const ONCE_WITHIN: Duration = Duration::from_secs(3600);
/// The code of the refusal that `doctor --try` asks for.
const SELF_TEST: &str = "reserved";
/// Subjects remembered for each kind: about 200 bytes each.
const MAX_SUBJECTS: usize = 10_000;
/// Events of one kind that wait while the receiver is away. More are only counted: their reader looks at the log.
const MAX_WAITING: usize = 64;

pub(super) struct Outbox {
    kinds: Mutex<[Waiting; SENT.len()]>,
    seen: Mutex<Recent<(Outcome, String), ()>>,
    some: Notify,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// Events that are not sent: the same within [`ONCE_WITHIN`], or too many.
    left_out: u64,
}

impl Outbox {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            kinds: Mutex::default(),
            seen: Mutex::new(Recent::new(MAX_SUBJECTS, ONCE_WITHIN, clock)),
            some: Notify::new(),
        }
    }

    /// Never blocks for long, and keeps a bounded number.
    pub(super) fn add(&self, event: &Event) {
        let Some(kind) = SENT.iter().position(|outcome| *outcome == event.facts.outcome) else { return };
        if event.facts.code.as_deref() == Some(SELF_TEST) {
            return;
        }
        let event = event.public();
        let is_new = self.is_new(&event.facts);
        let mut kinds = lock(&self.kinds);
        let waiting = &mut kinds[kind];
        if is_new && waiting.events.len() < MAX_WAITING {
            waiting.events.push_back(event);
            drop(kinds);
            self.some.notify_one();
        } else {
            waiting.left_out = waiting.left_out.saturating_add(1);
        }
    }

    fn is_new(&self, facts: &Facts) -> bool {
        let parts = [&facts.database, &facts.code, &facts.source].into_iter().flatten().cloned();
        let subject = [facts.subject()].into_iter().chain(parts).collect::<Vec<_>>().join(" ");
        let seen = lock(&self.seen);
        let key = (facts.outcome, subject);
        let is_new = seen.get(&key).is_none();
        if is_new {
            seen.insert(key, ());
        }
        is_new
    }

    /// Waits for the next event. Returns it, and the number of events of its kind that were left out since the last one.
    pub(super) async fn next(&self) -> (Event, u64) {
        loop {
            let some = self.some.notified();
            if let Some(found) = self.take() {
                return found;
            }
            some.await;
        }
    }

    fn take(&self) -> Option<(Event, u64)> {
        let mut kinds = lock(&self.kinds);
        kinds.iter_mut().find_map(|kind| Some((kind.events.pop_front()?, std::mem::take(&mut kind.left_out))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;

    fn event(outcome: Outcome, module: &str, private: bool) -> Event {
        let facts = Facts { outcome, module: Some(module.to_owned()), private, ..Facts::default() };
        Event::at(SystemTime::UNIX_EPOCH, Arc::new(facts))
    }

    fn all(outbox: &Outbox) -> Vec<(Outcome, String, u64)> {
        let next = || outbox.take().map(|(event, left_out)| (event.facts.outcome, event.facts.subject(), left_out));
        std::iter::from_fn(next).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn each_subject_is_sent_once_within_an_hour_and_the_others_are_counted() {
        let outbox = Outbox::new(Clock::System);
        for module in ["a", "a", "b", "a"] {
            outbox.add(&event(Outcome::Refused, module, false));
        }
        outbox.add(&event(Outcome::Released, "a", false));
        outbox.add(&event(Outcome::Failed, "a", false));
        let text = |text: &str| text.to_owned();
        assert_eq!(all(&outbox), [(Outcome::Refused, text("a"), 2), (Outcome::Refused, text("b"), 0)]);
        tokio::time::advance(ONCE_WITHIN).await;
        outbox.add(&event(Outcome::Refused, "a", false));
        assert_eq!(all(&outbox), [(Outcome::Refused, text("a"), 0)]);
    }

    #[tokio::test]
    async fn many_refusals_neither_displace_nor_delay_a_fork() {
        let outbox = Outbox::new(Clock::System);
        for nth in 0..1000 {
            outbox.add(&event(Outcome::Refused, &nth.to_string(), false));
        }
        outbox.add(&event(Outcome::Fork, "", false));
        assert_eq!(outbox.next().await.0.facts.outcome, Outcome::Fork);
        let rest = all(&outbox);
        assert_eq!((rest.len(), rest[0].2), (MAX_WAITING, 1000 - MAX_WAITING as u64));
    }

    #[tokio::test]
    async fn all_private_modules_are_one_subject_without_a_name() {
        let outbox = Outbox::new(Clock::System);
        for module in ["a.corp/x", "b.corp/y", "c.corp/z"] {
            outbox.add(&event(Outcome::Refused, module, true));
        }
        assert_eq!(all(&outbox), [(Outcome::Refused, "(private)".to_owned(), 2)]);
    }
}
