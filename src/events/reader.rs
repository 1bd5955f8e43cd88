//! Reads the event log, from the oldest line to the newest, one line in memory at a time.
//!
//! A mirror may be writing: a line without an end is not there yet, or was torn by a crash.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use super::event::{Event, FORMAT};
use crate::store::{EventFiles, StoreError};

/// Longest line, in bytes: 69 texts of 2,000 characters (`event`), each of which may be escaped with 12 bytes.
const MAX_LINE: u64 = 2 << 20;

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Event(Box<Event>),
    /// An event of a later format.
    Later,
    /// Part of a line, or something else.
    Unreadable,
}

/// At a place in the log.
pub(crate) struct Reader {
    files: EventFiles,
    /// The file and its number.
    now: Option<(u64, BufReader<File>)>,
    /// The beginning of a line whose end has not been read.
    begun: Vec<u8>,
    /// The number of the last file that was opened.
    last: u64,
}

impl Reader {
    pub(crate) fn new(files: &EventFiles) -> Self {
        Self { files: files.clone(), now: None, begun: Vec::new(), last: 0 }
    }

    /// At the last `bytes` bytes of the log, from the next line on. Blocks.
    pub(crate) fn of_end(files: &EventFiles, bytes: u64) -> Result<Self, StoreError> {
        let (mut reader, mut left) = (Self::new(files), bytes);
        for number in files.numbers()?.into_iter().rev() {
            let Some(file) = files.open(number)? else { break };
            let failed = |cause| StoreError::new("read the events", &files.path(number), cause);
            let length = file.metadata().map_err(failed)?.len();
            let mut file = BufReader::new(file);
            if length > left {
                file.seek(SeekFrom::Start(length - left)).map_err(failed)?;
                skip_line(&mut file).map_err(failed)?;
            }
            (reader.now, reader.last) = (Some((number, file)), number);
            left = left.saturating_sub(length);
            if left == 0 {
                break;
            }
        }
        Ok(reader)
    }

    /// The next line; `None` at the end of the log, which may grow. Blocks.
    pub(crate) fn next(&mut self) -> Result<Option<Found>, StoreError> {
        loop {
            let Some((number, file)) = &mut self.now else {
                if !self.open_next()? {
                    return Ok(None);
                }
                continue;
            };
            let number = *number;
            let room = MAX_LINE.saturating_sub(self.begun.len() as u64);
            let read = file.by_ref().take(room).read_until(b'\n', &mut self.begun);
            read.map_err(|cause| StoreError::new("read the events", &self.files.path(number), cause))?;
            if self.begun.ends_with(b"\n") {
                return Ok(Some(found(&std::mem::take(&mut self.begun))));
            }
            if self.begun.len() as u64 >= MAX_LINE {
                self.begun.clear();
                skip_line(file).map_err(|cause| StoreError::new("read the events", &self.files.path(number), cause))?;
                return Ok(Some(Found::Unreadable));
            }
            if !self.has_next()? {
                return Ok(None);
            }
            // The last lines may have come meanwhile. What another process on the same folder still writes here is not read.
            let Some((_, file)) = &mut self.now else { continue };
            let is_end = file.fill_buf().is_ok_and(<[u8]>::is_empty);
            if is_end {
                self.now = None;
                if !std::mem::take(&mut self.begun).is_empty() {
                    return Ok(Some(Found::Unreadable));
                }
            }
        }
    }

    /// Whether part of a line is at the end of the log: it is being written, or a crash tore it.
    pub(crate) fn has_begun(&self) -> bool {
        !self.begun.is_empty()
    }

    fn has_next(&self) -> Result<bool, StoreError> {
        Ok(self.files.numbers()?.into_iter().any(|number| number > self.last))
    }

    fn open_next(&mut self) -> Result<bool, StoreError> {
        for number in self.files.numbers()?.into_iter().filter(|number| *number > self.last) {
            // One that was removed meanwhile is passed over.
            if let Some(file) = self.files.open(number)? {
                (self.now, self.last) = (Some((number, BufReader::new(file))), number);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Reads to the end of a line that is too long, without keeping it.
fn skip_line(file: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = file.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let (used, is_end) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), false),
        };
        file.consume(used);
        if is_end {
            return Ok(());
        }
    }
}

fn found(line: &[u8]) -> Found {
    /// The least that every format has.
    #[derive(serde::Deserialize)]
    struct Format {
        v: u32,
    }
    match serde_json::from_slice::<Event>(line) {
        Ok(event) if event.v == FORMAT => Found::Event(Box::new(event)),
        _ => match serde_json::from_slice::<Format>(line) {
            Ok(Format { v }) if v > FORMAT => Found::Later,
            _ => Found::Unreadable,
        },
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test may touch the world, and panic")]

    use std::fs;
    use std::io::Write;
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::super::event::Facts;
    use super::*;
    use crate::store::{EventLimits, Store};

    fn event(nth: u64) -> Event {
        Event::at(SystemTime::UNIX_EPOCH, Arc::new(Facts { bytes: Some(nth), ..Facts::default() }))
    }

    fn line(nth: u64) -> String {
        event(nth).line() + "\n"
    }

    /// All that there is now: the numbers of the events, or what else it is.
    fn all(reader: &mut Reader) -> Vec<Result<u64, Found>> {
        let number = |found| match found {
            Found::Event(event) => Ok(event.facts.bytes.unwrap()),
            other => Err(other),
        };
        std::iter::from_fn(|| reader.next().unwrap().map(number)).collect()
    }

    #[test]
    fn all_files_are_read_in_order_and_what_comes_later_too() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        let mut reader = Reader::new(store.events());
        assert!(all(&mut reader).is_empty());
        let mut writer = store.events().writer(EventLimits { file_size: 200, files: 10 });
        (0..7).for_each(|nth| assert!(writer.append(line(nth).as_bytes())));
        assert!(store.events().numbers().unwrap().len() > 2);
        assert_eq!(all(&mut reader), (0..7).map(Ok).collect::<Vec<_>>());
        (7..9).for_each(|nth| assert!(writer.append(line(nth).as_bytes())));
        assert_eq!(all(&mut reader), [Ok(7), Ok(8)]);
        assert_eq!(all(&mut Reader::new(store.events())).len(), 9);
    }

    #[test]
    fn the_end_of_the_log_begins_with_a_whole_line() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        assert!(all(&mut Reader::of_end(store.events(), 100).unwrap()).is_empty());
        let length = line(1).len() as u64;
        let mut writer = store.events().writer(EventLimits { file_size: 3 * length, files: 10 });
        (1..=7).for_each(|nth| assert!(writer.append(line(nth).as_bytes())));
        let end = |bytes| all(&mut Reader::of_end(store.events(), bytes).unwrap());
        assert_eq!(end(u64::MAX), (1..=7).map(Ok).collect::<Vec<_>>());
        assert_eq!(end(4 * length), (4..=7).map(Ok).collect::<Vec<_>>());
        assert_eq!(end(3 * length + 1), (5..=7).map(Ok).collect::<Vec<_>>());
        assert_eq!(end(3 * length - 1), (6..=7).map(Ok).collect::<Vec<_>>());
        assert_eq!((end(length), end(1)), (vec![Ok(7)], vec![]));
    }

    #[test]
    fn lines_that_are_torn_long_or_foreign_do_not_stop_the_reader() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        fs::create_dir(data.path().join("events")).unwrap();
        let long = "x".repeat(5 << 20);
        let later = "{\"v\":2,\"time\":7}\n";
        let text =
            [&line(1), "{\"v\":1,\"ti\n", &long, "\n", &line(2), later, "\u{1b}[2J\n", "\n", "{\"v\":1"].concat();
        fs::write(store.events().path(1), text).unwrap();
        let mut reader = Reader::new(store.events());
        let bad = || Err(Found::Unreadable);
        assert_eq!(all(&mut reader), [Ok(1), bad(), bad(), Ok(2), Err(Found::Later), bad(), bad()]);
        assert!(reader.has_begun());
        // The rest of the line comes.
        let mut file = fs::File::options().append(true).open(store.events().path(1)).unwrap();
        file.write_all(&line(3).as_bytes()["{\"v\":1".len()..]).unwrap();
        assert_eq!(all(&mut reader), [Ok(3)]);
        assert!(!reader.has_begun());
        // A line that was torn at the end of a file is not joined with the next file.
        file.write_all(b"{\"v\":1").unwrap();
        fs::write(store.events().path(2), line(4)).unwrap();
        assert_eq!(all(&mut reader), [bad(), Ok(4)]);
    }

    #[test]
    fn a_file_that_was_removed_is_passed_over() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        fs::create_dir(data.path().join("events")).unwrap();
        (1..=3).for_each(|nth| fs::write(store.events().path(nth), line(nth)).unwrap());
        let mut reader = Reader::new(store.events());
        assert!(matches!(reader.next().unwrap(), Some(Found::Event(_))));
        fs::remove_file(store.events().path(2)).unwrap();
        assert_eq!(all(&mut reader), [Ok(3)]);
    }
}
