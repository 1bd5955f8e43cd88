//! Many authenticated values in one file: a line with the name of the value, a tab, and its text.
//!
//! An audit stores hundreds of records and tiles, and a file costs more to make than to write. So they are appended together, in
//! one write and without a sync: every reader authenticates what it gets, and treats a torn or changed line as missing. A write
//! begins with a line end, so that a torn line before it costs only itself. The last line with a name counts.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::StoreError;
use super::durable::{self, Modes};
use super::open::open;
use crate::base::lock::lock;

/// The file does not grow further; then values are stored one by one. It has room for about 40,000 records with their proofs, or
/// 5,800 tiles, and is read through once by a process that needs it (30 ms).
const MAX_LEN: u64 = 64 << 20;
/// A longer line was not written by this program: a record with its proof has at most 2 MiB (`database`).
const MAX_LINE: u64 = 3 << 20;
/// Bytes for one read while the names are found.
const BLOCK: usize = 256 << 10;
/// Names that are remembered: more than twice the records for which the file has room. A file with more was not written by this
/// program.
const MAX_NAMES: usize = 100_000;

/// A file of lines. Clones share the positions of the lines, which are found when they are first needed.
#[derive(Clone, Debug)]
pub(super) struct LineFile {
    path: PathBuf,
    modes: Modes,
    found: Arc<Mutex<Option<Lines>>>,
}

/// The open file, and where its lines are.
#[derive(Debug)]
struct Lines {
    file: File,
    /// All before it was looked through.
    read_to: u64,
    /// The length then. What is between the two is the beginning of a line.
    seen: u64,
    texts: HashMap<Box<str>, Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    len: usize,
}

impl LineFile {
    pub(super) fn new(path: PathBuf, modes: Modes) -> Self {
        Self { path, modes, found: Arc::default() }
    }

    /// The text with this name. The caller authenticates it.
    pub(super) fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.with(|lines| lines.text(name))?.flatten())
    }

    /// Whether there is a line with such a name.
    pub(super) fn has(&self, is_it: impl Fn(&str) -> bool) -> Result<bool, StoreError> {
        Ok(self.with(|lines| Ok(lines.texts.keys().any(|name| is_it(name))))?.unwrap_or(false))
    }

    /// Appends values, without tabs and line ends in names and without line ends in texts. Returns whether there was room.
    pub(super) fn append(&self, values: impl Iterator<Item = (String, String)>) -> Result<bool, StoreError> {
        let len = self.path.symlink_metadata().map_or(0, |found| found.len());
        let mut lines = String::from("\n");
        for (name, text) in values {
            lines.extend([&name, "\t", &text, "\n"]);
        }
        if len + lines.len() as u64 > MAX_LEN {
            return Ok(false);
        }
        // A new one has its mode whatever the umask is.
        durable::create_new(&self.path, self.modes).map_err(|cause| StoreError::new("write", &self.path, cause))?;
        durable::append(&self.path, lines.as_bytes(), self.modes)?;
        Ok(true)
    }

    /// Removes the file with all its values.
    pub(super) fn remove(&self) -> Result<(), StoreError> {
        match fs::remove_file(&self.path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(StoreError::new("remove", &self.path, cause)),
            _ => Ok(()),
        }
    }

    /// Looks at the lines, with those that this or another process has added; `None` without a file.
    fn with<T>(&self, look: impl FnOnce(&Lines) -> io::Result<T>) -> Result<Option<T>, StoreError> {
        let failed = |cause| StoreError::new("read", &self.path, cause);
        let mut found = lock(&self.found);
        let len = match &*found {
            Some(lines) => lines.len_at_its_path().map_err(failed)?,
            None => None,
        };
        if len.is_none() {
            let file = open(&self.path).map_err(failed)?;
            *found = file.map(|file| Lines { file, read_to: 0, seen: 0, texts: HashMap::new() });
        }
        let Some(lines) = &mut *found else { return Ok(None) };
        let len = len.map_or_else(|| Ok(lines.file.metadata()?.len()), Ok).map_err(failed)?;
        if len != lines.seen {
            lines.read_on().map_err(failed)?;
            lines.seen = len;
        }
        look(lines).map(Some).map_err(failed)
    }
}

impl Lines {
    /// Its length, if it was neither removed nor made shorter.
    fn len_at_its_path(&self) -> io::Result<Option<u64>> {
        let found = self.file.metadata()?;
        Ok(Some(found.len()).filter(|len| found.nlink() > 0 && *len >= self.read_to))
    }

    fn text(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(place) = self.texts.get(name) else { return Ok(None) };
        let mut text = vec![0; place.len];
        match self.file.read_exact_at(&mut text, place.offset) {
            // It was made shorter just now.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            read => read.map(|()| Some(text)),
        }
    }

    /// Finds the lines that were added.
    fn read_on(&mut self) -> io::Result<()> {
        let mut from = BufReader::with_capacity(BLOCK, &self.file);
        from.seek(SeekFrom::Start(self.read_to))?;
        let mut line = Vec::new();
        while self.read_to < MAX_LEN {
            line.clear();
            let len = from.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? as u64;
            if line.pop() != Some(b'\n') && len < MAX_LINE {
                // Not ended yet: another process is about to write the rest, or never will.
                break;
            }
            let tab = line.iter().position(|byte| *byte == b'\t');
            if let Some(tab) = tab
                && let Ok(name) = str::from_utf8(&line[..tab])
            {
                let place = Place { offset: self.read_to + tab as u64 + 1, len: line.len() - tab - 1 };
                if let Some(known) = self.texts.get_mut(name) {
                    *known = place;
                } else if self.texts.len() < MAX_NAMES {
                    self.texts.insert(name.into(), place);
                }
            }
            self.read_to += len;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::io::Write;
    use std::path::Path;

    use super::*;

    fn file(path: &Path) -> LineFile {
        LineFile::new(path.to_owned(), Modes::Private)
    }

    fn add(to: &LineFile, values: &[(&str, &str)]) -> bool {
        to.append(values.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))).unwrap()
    }

    fn texts(of: &LineFile, names: &[&str]) -> Vec<Option<String>> {
        names.iter().map(|name| of.get(name).unwrap().map(|text| String::from_utf8(text).unwrap())).collect()
    }

    #[test]
    fn two_processes_see_what_either_adds_and_the_last_line_with_a_name_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let (one, two) = (file(&path), file(&path));
        assert_eq!(texts(&one, &["a"]), [None]);
        add(&one, &[("a", "1"), ("b", "2\t3")]);
        assert_eq!(texts(&two, &["a", "b", "c"]), [Some("1".to_owned()), Some("2\t3".to_owned()), None]);
        add(&two, &[("a", "4")]);
        assert_eq!(texts(&one, &["a", "b"]), [Some("4".to_owned()), Some("2\t3".to_owned())]);
        assert!(one.has(|name| name == "b").unwrap() && !one.has(|name| name == "2").unwrap());
    }

    #[test]
    fn a_shared_file_is_readable_whatever_the_umask_is() {
        let folder = tempfile::tempdir().unwrap();
        for (modes, expected) in [(Modes::Private, 0o600), (Modes::Shared, 0o644)] {
            let path = folder.path().join(format!("{modes:?}"));
            add(&LineFile::new(path.clone(), modes), &[("a", "1")]);
            assert_eq!(path.metadata().unwrap().mode() & 0o777, expected);
        }
    }

    #[test]
    fn a_torn_line_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        add(&file(&path), &[("a", "1"), ("b", "2")]);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 2]).unwrap();
        let reader = file(&path);
        assert_eq!(texts(&reader, &["a", "b"]), [Some("1".to_owned()), None]);
        add(&file(&path), &[("c", "3")]);
        assert_eq!(texts(&reader, &["a", "b", "c"]), [Some("1".to_owned()), Some(String::new()), Some("3".to_owned())]);
    }

    #[test]
    fn a_file_that_was_removed_or_made_shorter_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let lines = file(&path);
        add(&lines, &[("a", "1"), ("b", "2")]);
        assert_eq!(texts(&lines, &["b"]), [Some("2".to_owned())]);
        fs::remove_file(&path).unwrap();
        assert_eq!(texts(&lines, &["b"]), [None]);
        add(&lines, &[("b", "3"), ("c", "4")]);
        assert_eq!(texts(&lines, &["a", "b"]), [None, Some("3".to_owned())]);
        fs::write(&path, "b\t5\n").unwrap();
        assert_eq!(texts(&lines, &["b", "c"]), [Some("5".to_owned()), None]);
    }

    #[test]
    fn an_unended_tail_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let lines = file(&path);
        fs::write(&path, "a\t1\nb\t2").unwrap();
        assert_eq!(texts(&lines, &["a", "b"]), [Some("1".to_owned()), None]);
        // The length is the same, so this is not seen until there is more.
        fs::write(&path, "a\t1\nb\t\n").unwrap();
        assert_eq!(texts(&lines, &["b"]), [None]);
        add(&lines, &[("c", "3")]);
        assert_eq!(texts(&lines, &["b", "c"]), [Some(String::new()), Some("3".to_owned())]);
    }

    #[test]
    fn names_have_a_limit_and_known_ones_still_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let text: String = (0..=MAX_NAMES).map(|nth| format!("n{nth}\t1\n")).collect();
        fs::write(&path, text).unwrap();
        let lines = file(&path);
        add(&lines, &[("n0", "2")]);
        let (last, first_over) = (format!("n{}", MAX_NAMES - 1), format!("n{MAX_NAMES}"));
        assert_eq!(texts(&lines, &["n0", &last, &first_over]), [Some("2".to_owned()), Some("1".to_owned()), None]);
    }

    #[test]
    fn a_file_that_is_made_shorter_while_it_is_read_has_no_such_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let lines = file(&path);
        add(&lines, &[("a", "1"), ("b", "2")]);
        let text = lines.with(|found| {
            fs::write(&path, "\n").unwrap();
            found.text("b")
        });
        assert_eq!(text.unwrap(), Some(None));
    }

    #[test]
    fn other_bytes_are_no_lines_and_the_file_has_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let mut bytes = vec![b'x'; usize::try_from(MAX_LINE).unwrap() + 10];
        bytes.extend(b"\nno tab\n\xff\t1\na\t2\n");
        fs::write(&path, bytes).unwrap();
        assert_eq!(texts(&file(&path), &["a", "no tab"]), [Some("2".to_owned()), None]);
        File::options().write(true).open(&path).unwrap().set_len(MAX_LEN).unwrap();
        assert!(!add(&file(&path), &[("b", "3")]), "there is no room");
        std::os::unix::fs::symlink(&path, folder.path().join("link")).unwrap();
        assert_eq!(texts(&file(&folder.path().join("link")), &["a"]), [None], "no link is followed");
        let mut whole = File::options().append(true).open(&path).unwrap();
        whole.write_all(b"\nb\t3\n").unwrap();
        assert_eq!(texts(&file(&path), &["a", "b"]), [Some("2".to_owned()), None], "no more is read than the limit");
    }
}
