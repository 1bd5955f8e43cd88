//! Fills the feed from the end of the event log, so that a restart does not empty the page.

use super::feed::{Feed, Rings};
use super::reader::{Found, Reader};
use crate::store::{EventFiles, StoreError};

/// Bytes at the end of the log that are read: some sixty thousand events, read in less than a second.
const TAIL: u64 = 32 << 20;
/// Longest line that is kept in memory: the reason of a refusal has 2,000 characters, each of at most 12 bytes. Others may write to
/// the log.
const MAX_LINE: usize = 32 << 10;

/// Reads the events of before the start of the feed. Blocks.
pub(crate) fn fill(feed: &Feed, files: &EventFiles) -> Result<(), StoreError> {
    let (mut reader, mut older) = (Reader::of_end(files, TAIL)?, Rings::default());
    while let Some(found) = reader.next()? {
        let Found::Event(event) = found else { continue };
        // What this process writes is in the feed already.
        if event.time < feed.start() && event.line().len() <= MAX_LINE {
            older.add(*event);
        }
    }
    feed.put_before(older);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use super::super::event::{Event, Facts, Outcome};
    use super::*;
    use crate::store::{EventLimits, Store};

    #[test]
    fn the_end_of_the_log_is_read_and_what_came_after_the_start_is_not_read_twice() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        let mut writer = store.events().writer(EventLimits { file_size: 1 << 20, files: 9 });
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let event = |second, facts| Event::at(SystemTime::UNIX_EPOCH + Duration::from_secs(second), Arc::new(facts));
        let fork = Facts { outcome: Outcome::Fork, ..Facts::default() };
        let long = Facts { h1: Some("x".repeat(MAX_LINE)), ..Facts::default() };
        let mut write = |event: Event| assert!(writer.append((event.line() + "\n").as_bytes()));
        write(event(1, fork));
        (2..1500).for_each(|second| write(event(second, Facts { bytes: Some(second), ..Facts::default() })));
        write(event(3, long));
        assert!(writer.append(b"torn"));
        let feed = Feed::new(now);
        feed.add(event(1000, Facts { bytes: Some(1000), ..Facts::default() }));
        fill(&feed, store.events()).unwrap();
        let bytes: Vec<_> = feed.newest(false).iter().map(|entry| entry.event.facts.bytes).collect();
        assert_eq!((bytes.len(), bytes[0], bytes[998], bytes[999]), (1000, Some(1000), Some(2), None));
        assert_eq!(feed.newest(false)[999].event.facts.outcome, Outcome::Fork);
    }
}
