//! Hands events to the log, to the receiver and to the page.

use std::sync::Arc;

use super::event::{Event, Facts};
use super::feed::Feed;
use super::journal::Journal;
use super::notifier::Notifier;
use super::tally::Tally;
use crate::base::clock::Clock;
use crate::base::request_context::RequestContext;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Recorder {
    journal: Journal,
    notifier: Option<Notifier>,
    feed: Feed,
    tally: Tally,
    clock: Clock,
}

impl Recorder {
    pub(crate) fn new(journal: Journal, notifier: Option<Notifier>, feed: Feed, tally: Tally, clock: Clock) -> Self {
        Self { journal, notifier, feed, tally, clock }
    }

    /// Something happened now, in this request of a client or without one. Never blocks.
    pub(crate) fn record(&self, facts: Arc<Facts>, request: Option<&RequestContext>) {
        let now = self.clock.now();
        if request.is_some() {
            self.tally.count(now.steady, &facts);
        }
        let event = Event {
            request: request.map(|request| request.id.to_string()),
            client: request.map(|request| request.client),
            ..Event::at(now.wall, facts)
        };
        if let Some(notifier) = &self.notifier {
            notifier.tell(&event);
        }
        self.feed.add(event.clone());
        self.journal.record(event);
    }

    /// A file was downloaded and proved.
    pub(crate) fn downloaded(&self) {
        self.tally.downloaded(self.clock.steady());
    }

    /// What clients got lately.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }
}
