//! The files of the event log: `DATA/events/events-N.jsonl`, lines that are appended. The highest number is the newest file.
//!
//! A full file is followed by the next number, and the oldest are removed, so no file is renamed below a reader. Several processes
//! may write: each batch of lines is one write at the end of a file. One may still write to a file after another one began the next: a
//! reader that has gone on does not see that, and lines are not in order. Nothing is synced: a power cut may lose the last lines, and
//! leave part of one. A line after part of one begins a new line, so only that one is lost.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::access::StoreOptions;
use super::durable::{self, append, create_new};
use super::open::{entries, open};

const FOLDER: &str = "events";
const START: &str = "events-";
const END: &str = ".jsonl";
/// Digits in a name: at one file a minute enough for nineteen hundred thousand years, and names sort like numbers until then.
const DIGITS: usize = 12;

/// How much of the log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventLimits {
    /// The size in bytes at which the next file begins.
    pub(crate) file_size: u64,
    /// The number of files. None turns the log off.
    pub(crate) files: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct EventFiles {
    folder: PathBuf,
    options: StoreOptions,
}

/// Appends lines. One per process.
#[derive(Debug)]
pub(crate) struct EventWriter {
    files: EventFiles,
    limits: EventLimits,
    newest: Option<Newest>,
}

#[derive(Clone, Copy, Debug)]
struct Newest {
    number: u64,
    /// The last byte ends a line.
    is_whole: bool,
}

impl EventFiles {
    pub(super) fn new(root: &Path, options: &StoreOptions) -> Self {
        Self { folder: root.join(FOLDER), options: options.clone() }
    }

    /// The numbers of the files, from the oldest.
    pub(crate) fn numbers(&self) -> Result<Vec<u64>, StoreError> {
        let failed = |cause| StoreError::new("read the events", &self.folder, cause);
        let mut found = Vec::new();
        for entry in entries(&self.folder).map_err(failed)? {
            found.extend(entry.map_err(failed)?.file_name().to_str().and_then(number));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Opens a file to read; `None` if it was removed.
    pub(crate) fn open(&self, number: u64) -> Result<Option<File>, StoreError> {
        let path = self.path(number);
        open(&path).map_err(|cause| StoreError::new("read the events", &path, cause))
    }

    pub(crate) fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{START}{number:0DIGITS$}{END}"))
    }

    pub(crate) fn writer(&self, limits: EventLimits) -> EventWriter {
        EventWriter { files: self.clone(), limits, newest: None }
    }
}

/// The number in the name of a file.
fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(START)?.strip_suffix(END)?;
    let is_number = digits.len() >= DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

impl EventWriter {
    /// Whether this store may write, and the log is on.
    pub(crate) fn is_on(&self) -> bool {
        self.files.options.writes && self.limits.files > 0
    }

    /// Appends whole lines. A failure is logged, at most once a minute with all others of the store. Returns whether the lines are in
    /// the log. Blocks.
    pub(crate) fn append(&mut self, lines: &[u8]) -> bool {
        let written = self.write(lines);
        if let Err(error) = &written {
            let options = &self.files.options;
            options.write_failures.log(error, options.clock.steady());
            // The folder may be another one by now, and the file may have part of a line.
            self.newest = None;
        }
        written.is_ok()
    }

    fn write(&mut self, lines: &[u8]) -> Result<(), StoreError> {
        let modes = self.files.options.modes;
        durable::make_dir(&self.files.folder, modes)?;
        let Newest { number, is_whole } = self.place(lines.len() as u64)?;
        let path = self.files.path(number);
        // With its mode, whatever the umask is.
        create_new(&path, modes).map_err(|cause| StoreError::new("write", &path, cause))?;
        if is_whole {
            append(&path, lines, modes)?;
        } else {
            append(&path, &[b"\n", lines].concat(), modes)?;
        }
        self.newest = Some(Newest { number, is_whole: true });
        Ok(())
    }

    /// The file that has room for so many bytes.
    fn place(&mut self, bytes: u64) -> Result<Newest, StoreError> {
        let newest = match self.newest {
            Some(newest) => newest,
            None => self.newest_on_disk()?,
        };
        let length = fs::metadata(self.files.path(newest.number)).map_or(0, |found| found.len());
        if length == 0 || length.saturating_add(bytes) <= self.limits.file_size {
            return Ok(newest);
        }
        let on_disk = self.newest_on_disk()?;
        // Another process has gone on to the next one, or further.
        if on_disk.number > newest.number {
            return Ok(on_disk);
        }
        let number = newest.number.saturating_add(1);
        self.remove_old(number)?;
        Ok(Newest { number, is_whole: true })
    }

    fn newest_on_disk(&self) -> Result<Newest, StoreError> {
        let number = self.files.numbers()?.last().copied().unwrap_or(1);
        let is_whole = match self.files.open(number)? {
            Some(file) => ends_a_line(&file)
                .map_err(|cause| StoreError::new("read the events", &self.files.path(number), cause))?,
            None => true,
        };
        Ok(Newest { number, is_whole })
    }

    /// Removes the oldest files, so that the one with this number fits in.
    fn remove_old(&self, number: u64) -> Result<(), StoreError> {
        for old in self.files.numbers()?.into_iter().filter(|old| old.saturating_add(self.limits.files) <= number) {
            let path = self.files.path(old);
            match fs::remove_file(&path) {
                // Another process removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(|cause| StoreError::new("remove", &path, cause))?,
            }
        }
        Ok(())
    }
}

fn ends_a_line(file: &File) -> io::Result<bool> {
    let Some(last) = file.metadata()?.len().checked_sub(1) else { return Ok(true) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte == *b"\n")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::base::clock::Clock;
    use crate::store::{Access, Modes, Store};

    const LIMITS: EventLimits = EventLimits { file_size: 10, files: 3 };

    fn read(files: &EventFiles) -> Vec<String> {
        let text = |number| io::read_to_string(files.open(number).unwrap().unwrap()).unwrap();
        files.numbers().unwrap().into_iter().map(text).collect()
    }

    #[test]
    fn the_files_are_bounded_in_size_and_number() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        let (files, mut writer) = (store.events(), store.events().writer(LIMITS));
        let write = |writer: &mut EventWriter, line: &str| assert!(writer.append(line.as_bytes()));
        (0..5).for_each(|nth| write(&mut writer, &format!("abc{nth}\n")));
        assert_eq!(read(files), ["abc0\nabc1\n", "abc2\nabc3\n", "abc4\n"]);
        write(&mut writer, "longer than a file may be\n");
        assert_eq!(read(files), ["abc2\nabc3\n", "abc4\n", "longer than a file may be\n"]);
        assert_eq!(fs::read_dir(data.path().join(FOLDER)).unwrap().count(), 3);
        // A later process continues, and others may write at the same time.
        let mut other = store.events().writer(LIMITS);
        write(&mut other, "x\n");
        write(&mut writer, "y\n");
        assert_eq!(read(files), ["abc4\n", "longer than a file may be\n", "x\ny\n"]);
        fs::remove_dir_all(data.path().join(FOLDER)).unwrap();
        write(&mut writer, "after all was removed\n");
        assert_eq!(read(files).concat(), "after all was removed\n");
    }

    #[test]
    fn a_line_after_part_of_one_begins_a_new_line() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        assert!(store.events().writer(LIMITS).append(b"abc\nde"));
        assert!(store.events().writer(LIMITS).append(b"f\n"));
        assert_eq!(read(store.events()), ["abc\nde\nf\n"]);
    }

    #[test]
    fn only_full_names_are_files_of_the_log_and_others_stay() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path()).unwrap();
        let mut writer = store.events().writer(EventLimits { file_size: 1, files: 1 });
        assert!(writer.append(b"a\n"));
        let names = ["events-1.jsonl", "events-00000000000x.jsonl", "events-000000000000.json", "notes"];
        for name in names {
            fs::write(data.path().join(FOLDER).join(name), "").unwrap();
        }
        assert!(writer.append(b"b\n") && writer.append(b"c\n"));
        assert_eq!(read(store.events()), ["c\n"]);
        assert_eq!(fs::read_dir(data.path().join(FOLDER)).unwrap().count(), names.len() + 1);
    }

    #[test]
    fn the_modes_are_those_of_the_store_and_a_link_is_not_followed() {
        for (modes, folder, file) in [(Modes::Private, 0o700, 0o600), (Modes::Shared, 0o755, 0o644)] {
            let (data, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let store = Store::open_for(data.path(), Access::Download, modes, Clock::System).unwrap();
            assert!(store.events().writer(LIMITS).append(b"a\n"));
            let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
            assert_eq!((mode(&data.path().join(FOLDER)), mode(&store.events().path(1))), (folder, file));
            fs::remove_dir_all(data.path().join(FOLDER)).unwrap();
            std::os::unix::fs::symlink(elsewhere.path(), data.path().join(FOLDER)).unwrap();
            assert!(!store.events().writer(LIMITS).append(b"a\n"));
            assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        }
    }
}
