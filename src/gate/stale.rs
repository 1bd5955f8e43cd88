//! Programs that were there before the command, and that the command did not write anew.
//!
//! `go` compares the build ID in an output with the one that a build would give, and does not read the rest: if both are
//! equal, it links nothing and only sets the time of the file. So whoever changed a program and kept its build ID has it
//! called built. A program that `go` links is another file than before: it has another inode, or (where it was removed first
//! and the file system gives the number again) another time of birth. Only through a link, or with `cp`, is a file written
//! in place; then its content tells.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::files::{self, Stamp};
use super::magic::{MAX_PROGRAMS, is_program};

/// The smallest file that is read although nobody may execute it. The smallest programs of `go` have a megabyte.
const MIN_PLAIN: u64 = 64 << 10;
/// Bytes of earlier programs that are hashed, in all: some seconds. What is more is told by the file alone.
const MAX_HASHED: u64 = 4 << 30;

#[derive(Debug, Default)]
pub(super) struct Earlier(BTreeMap<PathBuf, [u8; 32]>);

impl Earlier {
    /// Reads the programs among `files`. Blocks, on all processors.
    pub(super) fn of(files: &HashMap<PathBuf, Stamp>) -> Self {
        let may_be = |stamp: &Stamp| stamp.shape.executable || stamp.shape.size >= MIN_PLAIN;
        let mut programs: Vec<(&Path, u64)> = files
            .iter()
            .filter(|(_, stamp)| may_be(stamp))
            .map(|(path, stamp)| (path.as_path(), stamp.shape.size))
            .collect();
        programs.retain(|(path, _)| is_program(path).unwrap_or(false));
        programs.sort_unstable();
        let mut left = MAX_HASHED;
        programs.truncate(MAX_PROGRAMS);
        programs.retain(|(_, size)| left.checked_sub(*size).map(|rest| left = rest).is_some());
        let names: Vec<&Path> = programs.into_iter().map(|(path, _)| path).collect();
        // The names are absolute.
        let hashed = files::hash(Path::new("/"), &names).into_iter();
        Self(hashed.map(|(path, (content, _))| (path.to_owned(), content.digest)).collect())
    }

    /// Whether a program is the file that it was, with the same content as far as that is known.
    pub(super) fn has(&self, path: &Path, before: &Stamp, now: &Stamp) -> bool {
        let is_other = |then: &[u8; 32]| {
            files::hash(Path::new("/"), &[path]).get(path).is_none_or(|(content, _)| content.digest != *then)
        };
        before.is_same_file(now) && !self.0.get(path).is_some_and(is_other)
    }
}
