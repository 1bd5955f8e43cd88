//! Programs from before the command that the command touched but did not write again.
//!
//! `go` compares the build ID in an output with that of the new build and does not read the rest: if they are equal, it links
//! nothing and only sets the time of the file. So a changed program with its old build ID would pass as built. A program that
//! `go` links is a new file: it has another inode or, if the file system reuses the number, another birth time. Only through a
//! link, or with `cp`, is a file overwritten in place; then its content decides.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::files::{self, Stamp};
use super::magic::{MAX_PROGRAMS, is_program};

/// Files without the executable bit are read from this size on. The smallest programs of `go` have a megabyte.
const MIN_PLAIN: u64 = 64 << 10;
/// Bytes of earlier programs that are hashed, in all: some seconds. For the others only the identity of the file counts.
const MAX_HASHED: u64 = 4 << 30;

/// The digests of the programs before the command.
#[derive(Debug, Default)]
pub(super) struct EarlierPrograms(BTreeMap<PathBuf, [u8; 32]>);

impl EarlierPrograms {
    /// Hashes the programs among `files`. Blocks, on all processors.
    pub(super) fn of(files: &HashMap<PathBuf, Stamp>) -> Self {
        let candidates = files.iter().map(|(path, stamp)| (path.as_path(), stamp.shape));
        let candidates = candidates.filter(|(_, shape)| shape.executable || shape.size >= MIN_PLAIN);
        let mut programs: Vec<(&Path, u64)> = candidates.map(|(path, shape)| (path, shape.size)).collect();
        programs.retain(|(path, _)| is_program(path).unwrap_or(false));
        programs.sort_unstable();
        let mut left = MAX_HASHED;
        programs.truncate(MAX_PROGRAMS);
        programs.retain(|(_, size)| left.checked_sub(*size).map(|rest| left = rest).is_some());
        let names: Vec<&Path> = programs.into_iter().map(|(path, _)| path).collect();
        // The paths are absolute.
        let hashed = files::hash(Path::new("/"), &names).into_iter();
        Self(hashed.map(|(path, (content, _))| (path.to_owned(), content.digest)).collect())
    }

    /// Whether a program is the same file as before, with the same content if its digest is known.
    pub(super) fn is_unchanged(&self, path: &Path, before: &Stamp, now: &Stamp) -> bool {
        let is_other = |then: &[u8; 32]| {
            files::hash(Path::new("/"), &[path]).get(path).is_none_or(|(content, _)| content.digest != *then)
        };
        before.is_same_file(now) && !self.0.get(path).is_some_and(is_other)
    }
}
