//! Finds the programs that a command wrote, by the files of the repository before and after it.
//!
//! A link in the repository may lead out of it (`bin -> ../out`), and the command may write through it. So the targets of such
//! links are searched as well; a file there is new if it changed since the snapshot. Links in these targets are not followed:
//! they are not part of the repository.

use std::collections::{BTreeSet, HashMap};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use walkdir::{DirEntry, WalkDir};

use super::files::Stamp;
use super::magic::{MAX_PROGRAMS, is_program};
use super::repository::{FILES, FOLDERS};
use super::stale::EarlierPrograms;

/// Files and folders that are visited, targets of links included. The largest known repositories have about 500,000.
pub(super) const MAX_FILES: usize = 1_000_000;
/// File systems of the kernel: no program is built there.
const KERNEL_FOLDERS: [&str; 2] = ["/proc", "/sys"];
/// How far the clock of a file server may lag, in seconds. A file that is wrongly taken as new is only examined.
const CLOCK_DIFFERENCE: i64 = 60;
/// They say where modules come from.
const MODULE_FILES: [&str; 2] = ["go.mod", "go.work"];

/// The files of some folders at one time.
#[derive(Debug, Default)]
pub struct Snapshot {
    folders: Vec<PathBuf>,
    left_out: Vec<PathBuf>,
    files: HashMap<PathBuf, Stamp>,
    earlier: EarlierPrograms,
    repositories: Vec<PathBuf>,
    /// Folders of vendored modules.
    pub(super) vendored: Vec<PathBuf>,
    /// Targets of links that lead out of the folders, as paths without links.
    linked: BTreeSet<PathBuf>,
    /// Folders that could not be read.
    closed: BTreeSet<PathBuf>,
    /// Each go.mod and go.work that a build may use.
    pub(super) module_files: Vec<PathBuf>,
    complete: bool,
    /// The time of the snapshot, in seconds since 1970.
    taken: i64,
}

/// Programs that the command wrote or touched.
#[derive(Debug, Default)]
pub struct NewPrograms {
    /// New and changed programs, sorted.
    pub programs: Vec<PathBuf>,
    /// Earlier programs that the command touched but did not write again. Sorted.
    pub stale: Vec<PathBuf>,
    /// Executable files, and folders, that the command made unreadable.
    pub unreadable: Vec<PathBuf>,
    /// A limit was reached.
    pub incomplete: bool,
}

impl Snapshot {
    /// Records all files below `folders`, except below `left_out`. Blocks.
    pub fn take(folders: &[PathBuf], left_out: &[PathBuf]) -> Self {
        let taken = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let taken = i64::try_from(taken).unwrap_or(i64::MAX);
        let (folders, left_out) = (outermost(&real(folders)), real(left_out));
        let mut this = Self { folders: folders.clone(), taken, ..Self::default() };
        let mut walk = Walk::without(&left_out);
        for folder in &folders {
            walk.below(folder, |entry| is_outside_git(entry) || entry.depth() < 2, |entry| this.record(entry));
        }
        walk.link_targets(&this.linked, &folders, |entry| {
            this.files.extend(file(entry).map(|found| (entry.path().to_owned(), Stamp::of(&found))));
        });
        (this.complete, this.closed) = (walk.complete, walk.closed);
        // git looks for submodules in left-out folders, too.
        for folder in left_out.iter().filter(|out| folders.iter().any(|folder| out.starts_with(folder))) {
            let mut walk = Walk::without(&[]);
            walk.below(folder, is_outside_git, |entry| {
                if entry.file_name() == ".git" {
                    this.repositories.push(entry.path().to_owned());
                }
            });
            this.complete &= walk.complete;
        }
        Self { earlier: EarlierPrograms::of(&this.files), left_out, ..this }
    }

    fn record(&mut self, entry: &DirEntry) {
        let (path, name) = (entry.path(), entry.file_name());
        if FOLDERS.iter().chain(&FILES).any(|repository| name == *repository) {
            self.repositories.push(path.to_owned());
        }
        // `go` follows a link to a vendor folder, too.
        if name == "vendor" && path.join("modules.txt").is_file() {
            self.vendored.push(path.to_owned());
        }
        if MODULE_FILES.iter().any(|file| name == *file) && !is_ignored(&self.folders, path) {
            self.module_files.push(path.to_owned());
        }
        self.files.extend(file(entry).map(|found| (path.to_owned(), Stamp::of(&found))));
        self.linked.extend(leads_out(entry, &self.folders));
    }

    /// The paths of each `.git` or the like below the folders.
    pub fn repositories(&self) -> &[PathBuf] {
        &self.repositories
    }

    /// The programs that are new or changed since the snapshot. Blocks.
    pub fn new_programs(&self) -> NewPrograms {
        let (mut new, mut linked) = (NewPrograms::default(), self.linked.clone());
        let mut walk = Walk::without(&self.left_out);
        for folder in &self.folders {
            walk.below(
                folder,
                |entry| is_outside_git(entry) || entry.depth() < 2,
                |entry| {
                    linked.extend(leads_out(entry, &self.folders));
                    self.compare(entry.path(), file(entry), &mut new);
                },
            );
        }
        // Everything would be new in the target of a link that the command created.
        let is_late = |found: &Metadata| found.ctime() >= self.taken - CLOCK_DIFFERENCE;
        walk.link_targets(&linked, &self.folders, |entry| {
            self.compare(entry.path(), file(entry).filter(is_late), &mut new);
        });
        // The command cannot have written to a folder that could not be read before.
        let closed = walk.closed.difference(&self.closed);
        new.unreadable.extend(closed.filter(|path| path.metadata().is_ok_and(|found| is_late(&found))).cloned());
        new.programs.sort();
        new.stale.sort();
        new.incomplete = !(walk.complete && self.complete) || new.programs.len().max(new.stale.len()) > MAX_PROGRAMS;
        new.programs.truncate(MAX_PROGRAMS);
        new.stale.truncate(MAX_PROGRAMS);
        new
    }

    /// Adds a file that the command created or changed.
    fn compare(&self, path: &Path, found: Option<Metadata>, new: &mut NewPrograms) {
        let Some(found) = found else { return };
        let (before, now) = (self.files.get(path), Stamp::of(&found));
        if before == Some(&now) {
            return;
        }
        match is_program(path) {
            Ok(true) if before.is_some_and(|before| self.earlier.is_unchanged(path, before, &now)) => {
                new.stale.push(path.to_owned());
            }
            Ok(true) => new.programs.push(path.to_owned()),
            Err(error) if error.kind() != io::ErrorKind::NotFound && found.mode() & 0o111 != 0 => {
                new.unreadable.push(path.to_owned());
            }
            _ => {}
        }
    }

    /// Whether the command left a program unchanged. `path` has no links.
    pub(super) fn has_unchanged(&self, path: &Path) -> bool {
        let stamps = Stamp::at(path).zip(self.files.get(path));
        stamps.is_some_and(|(now, before)| self.earlier.is_unchanged(path, before, &now))
    }
}

struct Walk<'a> {
    left_out: &'a [PathBuf],
    seen: usize,
    complete: bool,
    closed: BTreeSet<PathBuf>,
}

impl<'a> Walk<'a> {
    fn without(left_out: &'a [PathBuf]) -> Self {
        Self { left_out, seen: 0, complete: true, closed: BTreeSet::new() }
    }

    /// Visits `root` and everything below it, up to [`MAX_FILES`] in the whole walk.
    fn below(&mut self, root: &Path, enters: impl Fn(&DirEntry) -> bool, mut visit: impl FnMut(&DirEntry)) {
        let left_out = self.left_out;
        let is_left_out = |path: &Path| {
            left_out.iter().any(|out| path == out) || KERNEL_FOLDERS.iter().any(|kernel| path == Path::new(kernel))
        };
        let entries = WalkDir::new(root).follow_links(false).follow_root_links(false).into_iter();
        for entry in entries.filter_entry(|entry| enters(entry) && !is_left_out(entry.path())) {
            self.seen += 1;
            if self.seen > MAX_FILES {
                self.complete = false;
                return;
            }
            match entry {
                Ok(entry) => visit(&entry),
                Err(error) => self.closed.extend(error.path().map(Path::to_owned)),
            }
        }
    }

    /// Visits the targets of links that lead out of `folders`.
    fn link_targets(&mut self, linked: &BTreeSet<PathBuf>, folders: &[PathBuf], mut visit: impl FnMut(&DirEntry)) {
        let mut walked: Vec<&Path> = self.left_out.iter().map(PathBuf::as_path).collect();
        // Sorted: a folder comes before its content.
        for place in linked {
            if !walked.iter().any(|folder| place.starts_with(folder)) {
                self.below(place, |entry| !folders.iter().any(|folder| entry.path() == folder), &mut visit);
                walked.push(place);
            }
        }
    }
}

/// The folders that are not inside of another one; a `.git` counts as outside, since it is not searched.
fn outermost(folders: &[PathBuf]) -> Vec<PathBuf> {
    let covers = |outer: &PathBuf, folder: &PathBuf| {
        folder.strip_prefix(outer).is_ok_and(|within| within.iter().all(|part| part != ".git"))
    };
    let is_covered = |nth: usize, folder: &PathBuf| {
        folders.iter().enumerate().any(|(other, outer)| covers(outer, folder) && (outer != folder || other < nth))
    };
    folders
        .iter()
        .enumerate()
        .filter(|(nth, folder)| !is_covered(*nth, folder))
        .map(|(_, folder)| folder.clone())
        .collect()
}

/// Whether a file lies in a folder that `./...` does not match, such as `testdata`.
fn is_ignored(folders: &[PathBuf], path: &Path) -> bool {
    let below = folders.iter().find_map(|folder| path.strip_prefix(folder).ok()).unwrap_or(path);
    let is_left_out = |name: &str| matches!(name, "testdata" | "vendor") || name.starts_with(['.', '_']);
    below.iter().any(|part| is_left_out(&part.to_string_lossy()))
}

/// The content of a `.git` is not part of the repository, unless a link leads there.
fn is_outside_git(entry: &DirEntry) -> bool {
    !entry.path().parent().is_some_and(|parent| parent.ends_with(".git"))
}

/// The target of a link, if it lies outside of these folders.
fn leads_out(entry: &DirEntry, folders: &[PathBuf]) -> Option<PathBuf> {
    let place = entry.path_is_symlink().then(|| entry.path().canonicalize().ok()).flatten()?;
    let is_walked = folders.iter().any(|folder| {
        place.strip_prefix(folder).is_ok_and(|within| within.components().all(|part| part.as_os_str() != ".git"))
    });
    (!is_walked).then_some(place)
}

fn real(folders: &[PathBuf]) -> Vec<PathBuf> {
    folders.iter().map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.clone())).collect()
}

fn file(entry: &DirEntry) -> Option<Metadata> {
    entry.metadata().ok().filter(Metadata::is_file)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::fs;

    use super::*;

    #[test]
    fn only_new_and_changed_programs_are_found() {
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

        // File times have a resolution of some milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(30));
        for new in ["deep/er/new", "a/.git/z", "data/z"] {
            program(new);
        }
        fs::write(path("changed"), b"\x7fELF and something else").unwrap();
        fs::rename(path("old"), path("replaced")).unwrap();
        fs::write(path("text"), "text").unwrap();
        std::os::unix::fs::symlink("replaced", path("link")).unwrap();
        let new = snapshot.new_programs();
        assert_eq!(new.programs, ["changed", "deep/er/new", "replaced"].map(path));
        assert!(!new.incomplete);
    }

    #[test]
    fn a_program_is_stale_if_its_file_and_content_are_the_same() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().canonicalize().unwrap().join(name);
        let write = |name: &str, content: &[u8]| {
            fs::write(path(name), content).unwrap();
            fs::set_permissions(path(name), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        };
        let (one, other) = (b"\x7fELF one", b"\x7fELF two");
        for old in ["touched", "same", "in-place", "anew", "left"] {
            write(old, one);
        }
        let snapshot = Snapshot::take(&[root.path().to_owned()], &[]);
        // File times have a resolution of some milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(30));
        fs::File::options().append(true).open(path("touched")).unwrap().set_modified(SystemTime::now()).unwrap();
        write("same", one);
        write("in-place", other);
        fs::remove_file(path("anew")).unwrap();
        write("anew", one);
        let new = snapshot.new_programs();
        assert_eq!(new.programs, ["anew", "in-place"].map(path));
        assert_eq!(new.stale, ["same", "touched"].map(path));
        let still =
            ["touched", "same", "in-place", "anew", "left", "none"].map(|name| snapshot.has_unchanged(&path(name)));
        assert_eq!(still, [true, true, false, false, true, false]);
    }

    #[test]
    fn links_that_lead_out_are_followed_and_old_files_there_are_not_new() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        for folder in ["work/.git/hidden", "work/data", "work/inside", "out/deep", "other"] {
            fs::create_dir_all(path(folder)).unwrap();
        }
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, path(name)).unwrap();
        link("../out", "work/bin");
        link("../out/deep", "work/again");
        link(".git/hidden", "work/hidden");
        link("data", "work/left-out");
        link("inside", "work/seen");
        link("../other/file", "work/file");
        link("../nowhere", "work/nowhere");
        let program = |name: &str| fs::write(path(name), b"\x7fELF and more").unwrap();
        program("out/old");
        let snapshot = Snapshot::take(&[path("work")], &[path("work/data")]);
        assert!(snapshot.new_programs().programs.is_empty(), "what lay there before");
        link("../other", "work/late");
        assert!(snapshot.new_programs().programs.is_empty());
        for new in ["work/.git/hidden/a", "work/data/a", "work/inside/a", "out/deep/a", "other/file", "other/late"] {
            program(new);
        }
        let expected = ["other/file", "other/late", "out/deep/a", "work/.git/hidden/a", "work/inside/a"].map(path);
        assert_eq!(snapshot.new_programs().programs, expected.map(|path| path.canonicalize().unwrap()));
    }
}
