//! The files of a repository before and after the command: which programs are new.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

/// Files that are looked at. The largest repositories known have about 500,000.
const MAX_FILES: usize = 1_000_000;
/// New programs that are read. Each costs a run of `go version`, some 20 ms.
pub(super) const MAX_PROGRAMS: usize = 1000;
/// The first bytes of programs that a Go toolchain links: ELF, PE, Mach-O of each kind, WebAssembly, XCOFF.
const MAGICS: [&[u8]; 10] = [
    b"\x7fELF",
    b"MZ",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"\0asm",
    b"\x01\xdf\0",
    b"\x01\xf7\0",
];
/// What marks the root of a repository.
const REPOSITORIES: [&str; 6] = [".git", ".hg", ".svn", ".bzr", ".fslckout", "_FOSSIL_"];

/// What says where modules come from.
const MODULE_FILES: [&str; 2] = ["go.mod", "go.work"];

/// A file as it was. Whatever writes to it, or puts another one in its place, changes that.
type Stamp = (u64, u64, i64, i64);

/// The files of some folders at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    folders: Vec<PathBuf>,
    left_out: Vec<PathBuf>,
    files: HashMap<PathBuf, Stamp>,
    repositories: Vec<PathBuf>,
    /// Folders of vendored modules.
    pub(super) vendored: Vec<PathBuf>,
    /// Each go.mod and go.work that a build may have.
    pub(super) module_files: Vec<PathBuf>,
    complete: bool,
}

/// Programs that were not there before.
#[derive(Debug, Default)]
pub struct New {
    /// Their paths, sorted.
    pub programs: Vec<PathBuf>,
    /// There are more than are looked at.
    pub incomplete: bool,
}

impl Snapshot {
    /// Looks at all files below `folders`, but not below those that are `left_out`. Blocks.
    pub fn take(folders: &[PathBuf], left_out: &[PathBuf]) -> Self {
        let mut snapshot = Self { complete: true, ..Self::default() };
        (snapshot.folders, snapshot.left_out) = (folders.to_vec(), left_out.to_vec());
        let (mut files, mut repositories, mut vendored) = (HashMap::new(), Vec::new(), Vec::new());
        let mut module_files = Vec::new();
        snapshot.complete = snapshot.walk(|entry| {
            if REPOSITORIES.iter().any(|name| entry.file_name() == *name) {
                repositories.push(entry.path().to_owned());
            }
            if entry.path().ends_with("vendor/modules.txt") {
                vendored.extend(entry.path().parent().map(Path::to_owned));
            }
            if MODULE_FILES.iter().any(|name| entry.file_name() == *name) && !is_ignored(folders, entry.path()) {
                module_files.push(entry.path().to_owned());
            }
            if let Some(stamp) = stamp(entry) {
                files.insert(entry.path().to_owned(), stamp);
            }
        });
        (snapshot.files, snapshot.repositories, snapshot.vendored) = (files, repositories, vendored);
        snapshot.module_files = module_files;
        snapshot
    }

    /// Repositories below the folders: where their `.git` or the like is.
    pub fn repositories(&self) -> &[PathBuf] {
        &self.repositories
    }

    /// The programs that are new or changed since. Blocks.
    pub fn new_programs(&self) -> New {
        let mut programs = Vec::new();
        let complete = self.walk(|entry| {
            let is_new = stamp(entry).is_some_and(|stamp| self.files.get(entry.path()) != Some(&stamp));
            if is_new && is_program(entry.path()) {
                programs.push(entry.path().to_owned());
            }
        });
        programs.sort();
        let incomplete = !(complete && self.complete) || programs.len() > MAX_PROGRAMS;
        programs.truncate(MAX_PROGRAMS);
        New { programs, incomplete }
    }

    /// Visits files and folders, as many as may be; returns whether that is all. What is inside `.git` is no program.
    fn walk(&self, mut visit: impl FnMut(&DirEntry)) -> bool {
        let mut seen = 0;
        for folder in &self.folders {
            let enters = |entry: &DirEntry| {
                let is_repository = entry.path().parent().is_some_and(|parent| parent.ends_with(".git"));
                !is_repository && !self.left_out.iter().any(|out| entry.path() == out)
            };
            // A folder that cannot be read has no program that the command could have written.
            for entry in WalkDir::new(folder).follow_links(false).into_iter().filter_entry(enters).flatten() {
                seen += 1;
                if seen > MAX_FILES {
                    return false;
                }
                visit(&entry);
            }
        }
        true
    }
}

/// Whether a file lies in a folder that `./...` does not match, such as `testdata`.
fn is_ignored(folders: &[PathBuf], path: &Path) -> bool {
    let below = folders.iter().find_map(|folder| path.strip_prefix(folder).ok()).unwrap_or(path);
    let is_left_out = |name: &str| matches!(name, "testdata" | "vendor") || name.starts_with(['.', '_']);
    below.iter().any(|part| is_left_out(&part.to_string_lossy()))
}

fn stamp(entry: &DirEntry) -> Option<Stamp> {
    let metadata = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some((metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec()))
}

/// Whether a file begins as a program does.
pub(super) fn is_program(path: &Path) -> bool {
    let mut first = Vec::new();
    let read = File::open(path).and_then(|file| file.take(4).read_to_end(&mut first));
    read.is_ok() && MAGICS.iter().any(|magic| first.starts_with(magic))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;

    use super::*;

    #[test]
    fn new_and_changed_programs_are_found_and_others_are_not() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        let program = |name: &str| {
            fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            fs::write(path(name), b"\x7fELF and more").unwrap();
        };
        for old in ["old", "changed", "replaced", "a/.git/x", "data/y"] {
            program(old);
        }
        fs::create_dir_all(path("vendor")).unwrap();
        fs::write(path("vendor/modules.txt"), "").unwrap();
        let snapshot = Snapshot::take(&[root.path().to_owned()], &[path("data")]);
        assert_eq!(snapshot.repositories, [path("a/.git")]);
        assert_eq!(snapshot.vendored, [path("vendor")]);
        assert!(snapshot.new_programs().programs.is_empty());

        // Clocks of file systems have some milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(30));
        for new in ["changed", "deep/er/new", "a/.git/z", "data/z"] {
            program(new);
        }
        fs::rename(path("old"), path("replaced")).unwrap();
        fs::write(path("text"), "text").unwrap();
        std::os::unix::fs::symlink("replaced", path("link")).unwrap();
        let new = snapshot.new_programs();
        assert_eq!(new.programs, ["changed", "deep/er/new", "replaced"].map(path));
        assert!(!new.incomplete);
    }

    #[test]
    fn programs_begin_with_their_magic() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (first, is) in [(&b"\x7fELF\x02"[..], true), (b"MZ", true), (b"#!/bin/sh", false), (b"", false)] {
            fs::write(file.path(), first).unwrap();
            assert_eq!(is_program(file.path()), is, "{first:?}");
        }
    }
}
