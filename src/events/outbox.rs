//! What waits to be sent to a receiver: for each kind of event a bounded queue, so that many refusals cannot displace a fork, and each
//! subject at most once within some time.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
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
    /// The data folder. The receiver does not learn its path.
    data: PathBuf,
}

#[derive(Default)]
struct Waiting {
    /// The first one may be under way.
    events: VecDeque<Event>,
    /// Events that are not sent: the same within [`ONCE_WITHIN`], or too many.
    left_out: u64,
}

/// What is to be sent now. It waits until [`Outbox::done`]: nothing is lost if sending stops in between.
#[derive(Clone, Debug)]
pub(super) struct Next {
    kind: usize,
    pub(super) event: Event,
    /// Events of its kind that were left out since the last one.
    pub(super) left_out: u64,
}

impl Outbox {
    pub(super) fn new(data: &Path, clock: Clock) -> Self {
        Self {
            kinds: Mutex::default(),
            seen: Mutex::new(Recent::new(MAX_SUBJECTS, ONCE_WITHIN, clock)),
            some: Notify::new(),
            data: data.to_owned(),
        }
    }

    /// Never blocks for long, and keeps a bounded number.
    pub(super) fn add(&self, event: &Event) {
        let Some(kind) = SENT.iter().position(|outcome| *outcome == event.facts.outcome) else { return };
        if event.facts.code.as_deref() == Some(SELF_TEST) {
            return;
        }
        let (subject, event) = (subject(&event.facts), event.public(&self.data));
        let (mut kinds, seen) = (lock(&self.kinds), lock(&self.seen));
        let waiting = &mut kinds[kind];
        if seen.get(&subject).is_none() && waiting.events.len() < MAX_WAITING {
            waiting.events.push_back(event);
            seen.insert(subject, ());
            drop((kinds, seen));
            self.some.notify_one();
        } else {
            waiting.left_out = waiting.left_out.saturating_add(1);
        }
    }

    /// Waits for the next event, the most urgent one.
    pub(super) async fn next(&self) -> Next {
        loop {
            let some = self.some.notified();
            if let Some(found) = self.first() {
                return found;
            }
            some.await;
        }
    }

    /// Waits until there is something more urgent than this.
    pub(super) async fn more_urgent(&self, than: &Next) {
        loop {
            let some = self.some.notified();
            if self.first().is_some_and(|first| first.kind < than.kind) {
                return;
            }
            some.await;
        }
    }

    /// It was sent, or given up.
    pub(super) fn done(&self, next: &Next) {
        let mut kinds = lock(&self.kinds);
        let Waiting { events, left_out } = &mut kinds[next.kind];
        // Another task may have sent it before it was stopped.
        if events.front() == Some(&next.event) {
            events.pop_front();
            *left_out = left_out.saturating_sub(next.left_out);
        }
    }

    fn first(&self) -> Option<Next> {
        let kinds = lock(&self.kinds);
        let of = |(kind, waiting): (usize, &Waiting)| {
            Some(Next { kind, event: waiting.events.front()?.clone(), left_out: waiting.left_out })
        };
        kinds.iter().enumerate().find_map(of)
    }
}

/// What is sent once within some time: each private module is one, though it is sent without its name.
fn subject(facts: &Facts) -> (Outcome, String) {
    let parts = [&facts.database, &facts.code, &facts.source].into_iter().flatten().cloned();
    (facts.outcome, [facts.subject()].into_iter().chain(parts).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use futures_util::FutureExt;

    use super::*;

    fn event(outcome: Outcome, module: &str, private: bool) -> Event {
        let facts = Facts { outcome, module: Some(module.to_owned()), private, ..Facts::default() };
        Event::at(SystemTime::UNIX_EPOCH, Arc::new(facts))
    }

    fn outbox() -> Outbox {
        Outbox::new(Path::new("/srv/data"), Clock::System)
    }

    fn all(outbox: &Outbox) -> Vec<(Outcome, String, u64)> {
        let next = || {
            let next = outbox.first()?;
            outbox.done(&next);
            Some((next.event.facts.outcome, next.event.facts.subject(), next.left_out))
        };
        std::iter::from_fn(next).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn each_subject_is_sent_once_within_an_hour_and_the_others_are_counted() {
        let outbox = outbox();
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
        let outbox = outbox();
        for nth in 0..1000 {
            outbox.add(&event(Outcome::Refused, &nth.to_string(), false));
        }
        outbox.add(&event(Outcome::Fork, "", false));
        let fork = outbox.next().await;
        assert_eq!(fork.event.facts.outcome, Outcome::Fork);
        outbox.done(&fork);
        outbox.done(&fork);
        let rest = all(&outbox);
        assert_eq!((rest.len(), rest[0].2), (MAX_WAITING, 1000 - MAX_WAITING as u64));
        // What was left out is sent the next time.
        outbox.add(&event(Outcome::Refused, "999", false));
        assert_eq!(all(&outbox).len(), 1);
    }

    #[tokio::test]
    async fn what_was_not_sent_yet_waits_and_what_is_more_urgent_comes_before_it() {
        let outbox = outbox();
        outbox.add(&event(Outcome::Refused, "a", false));
        let refused = outbox.next().await;
        outbox.add(&event(Outcome::Refused, "b", false));
        assert!(outbox.more_urgent(&refused).now_or_never().is_none(), "a second refusal can wait");
        outbox.add(&event(Outcome::Fork, "", false));
        outbox.more_urgent(&refused).await;
        let order = all(&outbox).into_iter().map(|(outcome, subject, _)| (outcome, subject)).collect::<Vec<_>>();
        let text = |text: &str| text.to_owned();
        assert_eq!(order, [(Outcome::Fork, text("")), (Outcome::Refused, text("a")), (Outcome::Refused, text("b"))]);
    }

    #[tokio::test]
    async fn each_private_module_is_a_subject_and_no_name_is_sent() {
        let outbox = outbox();
        for module in ["a.corp/x", "b.corp/y", "a.corp/x"] {
            outbox.add(&event(Outcome::Refused, module, true));
        }
        let told = |left_out| (Outcome::Refused, "(private)".to_owned(), left_out);
        assert_eq!(all(&outbox), [told(1), told(0)]);
    }
}
