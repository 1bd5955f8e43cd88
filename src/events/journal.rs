//! The writer of the event log: one thread, fed by one bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{io, thread};

use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::timeout;

use super::event::Event;
use crate::store::EventWriter;

/// Events that wait for the disk: about 600 bytes each. At a thousand a second a disk may hang for eight seconds.
const MAX_WAITING: usize = 8192;
/// Bytes of one write: a hundred lines.
const BATCH: usize = 64 << 10;
/// Events that a slow subscriber may be late by; then it misses some.
const MAX_LATE: usize = 256;
/// How long the last events may take at the end.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// Receives events. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Journal {
    queue: mpsc::Sender<Message>,
    lost: Arc<AtomicU64>,
    live: broadcast::Sender<Event>,
}

enum Message {
    Event(Event),
    /// Answer when everything before this was written.
    Flush(oneshot::Sender<()>),
}

impl Journal {
    /// Starts the thread, which ends when the last clone is dropped. If the log is off or the store is only read, events go to
    /// subscribers alone.
    pub(crate) fn start(writer: EventWriter) -> io::Result<Self> {
        let (queue, messages) = mpsc::channel(MAX_WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lost);
        thread::Builder::new().name("events".to_owned()).spawn(move || write_all(messages, writer, &counter))?;
        Ok(Self { queue, lost, live: broadcast::Sender::new(MAX_LATE) })
    }

    /// Never blocks. What does not fit into the queue is counted.
    pub(crate) fn record(&self, event: Event) {
        if self.live.receiver_count() > 0 {
            // Fails only if the subscriber has just left.
            let _ = self.live.send(event.clone());
        }
        if self.queue.try_send(Message::Event(event)).is_err() {
            let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
            // Ever more rarely, the longer it lasts.
            if lost.is_power_of_two() {
                tracing::warn!(lost, "the event log is incomplete: the disk is too slow for it");
            }
        }
    }

    #[cfg_attr(not(test), expect(dead_code, reason = "for a page that shows events as they happen"))]
    /// The events from now on, for a reader that must not slow anybody down: one that is late misses some.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.live.subscribe()
    }

    /// Events that are not in the log, because the disk was full or too slow.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until all events so far are written, for a bounded time. Says how many are missing.
    pub(crate) async fn flush(&self) {
        let (answer, written) = oneshot::channel();
        let flushed = async {
            if self.queue.send(Message::Flush(answer)).await.is_ok() {
                let _ = written.await;
            }
        };
        if timeout(FLUSH_WITHIN, flushed).await.is_err() {
            tracing::warn!("the event log lacks the last events: the disk did not take them within {FLUSH_WITHIN:?}");
        }
        let lost = self.lost();
        if lost > 0 {
            tracing::warn!(lost, "the event log is incomplete: the disk was full or too slow for it");
        }
    }
}

fn write_all(mut messages: mpsc::Receiver<Message>, mut writer: EventWriter, lost: &AtomicU64) {
    let is_on = writer.is_on();
    while let Some(first) = messages.blocking_recv() {
        let (mut lines, mut number, mut waiting, mut next) = (String::new(), 0, None, Some(first));
        while let Some(message) = next {
            match message {
                Message::Event(event) if is_on => {
                    lines.push_str(&event.line());
                    lines.push('\n');
                    number += 1;
                }
                Message::Event(_) => {}
                Message::Flush(answer) => {
                    waiting = Some(answer);
                    break;
                }
            }
            next = if lines.len() < BATCH { messages.try_recv().ok() } else { None };
        }
        // The store logs the cause.
        if number > 0 && !writer.append(lines.as_bytes()) {
            lost.fetch_add(number, Ordering::Relaxed);
        }
        // It has given up waiting if this fails.
        waiting.map(|answer| answer.send(()));
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

    use std::time::SystemTime;

    use super::super::event::Facts;
    use super::*;
    use crate::store::{EventLimits, Store};

    const LIMITS: EventLimits = EventLimits { file_size: 1 << 20, files: 2 };

    fn event(nth: u64) -> Event {
        Event::at(SystemTime::UNIX_EPOCH, Arc::new(Facts { bytes: Some(nth), ..Facts::default() }))
    }

    #[tokio::test]
    async fn events_are_written_in_order_and_subscribers_see_them() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        let journal = Journal::start(store.events().writer(LIMITS)).unwrap();
        journal.record(event(0));
        let mut live = journal.subscribe();
        (1..=500).for_each(|nth| journal.record(event(nth)));
        journal.flush().await;
        let text = std::fs::read_to_string(store.events().path(1)).unwrap();
        let expected: String = (0..=500).map(|nth| event(nth).line() + "\n").collect();
        assert!(text == expected && journal.lost() == 0);
        assert!(matches!(live.recv().await, Err(broadcast::error::RecvError::Lagged(244))), "it is late");
        assert_eq!(live.recv().await.unwrap(), event(245));
    }

    #[tokio::test]
    async fn what_the_disk_does_not_take_is_counted_and_the_log_goes_on() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        let journal = Journal::start(store.events().writer(LIMITS)).unwrap();
        std::fs::write(data.path().join("events"), "in the way").unwrap();
        journal.record(event(1));
        journal.flush().await;
        assert_eq!(journal.lost(), 1);
        std::fs::remove_file(data.path().join("events")).unwrap();
        journal.record(event(2));
        journal.flush().await;
        assert_eq!(std::fs::read_to_string(store.events().path(1)).unwrap(), event(2).line() + "\n");
    }

    #[tokio::test]
    async fn a_full_queue_never_blocks() {
        let (queue, _messages) = mpsc::channel(2);
        let journal = Journal { queue, lost: Arc::default(), live: broadcast::Sender::new(1) };
        (0..5).for_each(|nth| journal.record(event(nth)));
        assert_eq!(journal.lost(), 3);
    }

    #[tokio::test]
    async fn a_log_that_is_off_writes_nothing() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        let journal = Journal::start(store.events().writer(EventLimits { files: 0, ..LIMITS })).unwrap();
        journal.record(event(1));
        journal.flush().await;
        assert_eq!((journal.lost(), data.path().join("events").exists()), (0, false));
    }
}
