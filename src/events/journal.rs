//! The writer of the event log: one thread, fed by one bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{io, thread};

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::event::Event;
use crate::store::EventWriter;
use crate::telemetry::Metrics;

/// Events that wait for the disk: about 600 bytes each. At a thousand a second a disk may hang for eight seconds.
const MAX_WAITING: usize = 8192;
/// While nothing waits, how long the thread gathers events before it writes them. A busy mirror wakes it, and opens the file, 200 times
/// a second and not once for each event.
const GATHER: Duration = Duration::from_millis(5);
/// Bytes of one write: a hundred lines.
const BATCH: usize = 64 << 10;
/// How long the last events may take at the end.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// Receives events. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Journal {
    queue: mpsc::Sender<Message>,
    lost: LostEvents,
}

/// Counts what is not in the log. Cheap to clone.
#[derive(Clone, Default)]
struct LostEvents {
    number: Arc<AtomicU64>,
    metrics: Metrics,
}

impl LostEvents {
    /// Returns how many there are with these.
    fn add(&self, number: u64) -> u64 {
        self.metrics.events_lost(number);
        self.number.fetch_add(number, Ordering::Relaxed) + number
    }
}

enum Message {
    Event(Event),
    /// Answer when everything before this was written.
    Flush(oneshot::Sender<()>),
}

impl Journal {
    /// Starts the thread, which ends when the last clone is dropped. If the log is off or the store is only read, events are dropped.
    pub(crate) fn start(writer: EventWriter, metrics: Metrics) -> io::Result<Self> {
        let (queue, messages) = mpsc::channel(MAX_WAITING);
        let lost = LostEvents { metrics, ..LostEvents::default() };
        let counter = lost.clone();
        thread::Builder::new().name("events".to_owned()).spawn(move || write_all(messages, writer, &counter))?;
        Ok(Self { queue, lost })
    }

    /// Never blocks. What does not fit into the queue is counted.
    pub(crate) fn record(&self, event: Event) {
        if self.queue.try_send(Message::Event(event)).is_err() {
            let lost = self.lost.add(1);
            // Ever more rarely, the longer it lasts.
            if lost.is_power_of_two() {
                tracing::warn!(lost, "the event log is incomplete: the disk is too slow for it");
            }
        }
    }

    /// Events that are not in the log, because the disk was full or too slow.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.number.load(Ordering::Relaxed)
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

#[expect(
    clippy::disallowed_methods,
    reason = "this thread does nothing else, and what it waits for is more of the same"
)]
fn write_all(mut messages: mpsc::Receiver<Message>, mut writer: EventWriter, lost: &LostEvents) {
    let is_on = writer.is_on();
    while let Some(first) = messages.blocking_recv() {
        if matches!(first, Message::Event(_)) && messages.is_empty() {
            thread::sleep(GATHER);
        }
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
            lost.add(number);
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
    use crate::telemetry::{Format, Gauges, expose};

    const LIMITS: EventLimits = EventLimits { file_size: 1 << 20, files: 2 };

    fn event(nth: u64) -> Event {
        Event::at(SystemTime::UNIX_EPOCH, Arc::new(Facts { bytes: Some(nth), ..Facts::default() }))
    }

    #[tokio::test]
    async fn events_are_written_in_order() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        let journal = Journal::start(store.events().writer(LIMITS), Metrics::default()).unwrap();
        (0..=500).for_each(|nth| journal.record(event(nth)));
        journal.flush().await;
        let text = std::fs::read_to_string(store.events().path(1)).unwrap();
        let expected: String = (0..=500).map(|nth| event(nth).line() + "\n").collect();
        assert!(text == expected && journal.lost() == 0);
    }

    #[tokio::test]
    async fn what_the_disk_does_not_take_is_counted_and_the_log_goes_on() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        let metrics = Metrics::counting(&[], SystemTime::UNIX_EPOCH);
        let journal = Journal::start(store.events().writer(LIMITS), metrics.clone()).unwrap();
        std::fs::write(data.path().join("events"), "in the way").unwrap();
        journal.record(event(1));
        journal.flush().await;
        assert_eq!(journal.lost(), 1);
        let text = expose(&metrics, Gauges::default(), &[], Format::Prometheus).unwrap();
        assert!(text.contains("\nsumgate_events_lost_total 1\n"), "{text}");
        std::fs::remove_file(data.path().join("events")).unwrap();
        journal.record(event(2));
        journal.flush().await;
        assert_eq!(std::fs::read_to_string(store.events().path(1)).unwrap(), event(2).line() + "\n");
    }

    #[tokio::test]
    async fn a_full_queue_never_blocks() {
        let (queue, _messages) = mpsc::channel(2);
        let journal = Journal { queue, lost: LostEvents::default() };
        (0..5).for_each(|nth| journal.record(event(nth)));
        assert_eq!(journal.lost(), 3);
    }

    #[tokio::test]
    async fn a_log_that_is_off_writes_nothing() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        let journal =
            Journal::start(store.events().writer(EventLimits { files: 0, ..LIMITS }), Metrics::default()).unwrap();
        journal.record(event(1));
        journal.flush().await;
        assert_eq!((journal.lost(), data.path().join("events").exists()), (0, false));
    }
}
