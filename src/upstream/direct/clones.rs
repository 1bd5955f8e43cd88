//! The clones of past runs, so that a further run fetches only what is new.
//!
//! A run gets copies, with hard links to the objects, which are named by their hashes. Tags are left out: `go` believes a local tag
//! and would never see that it was moved. Only a run that follows another one at once reads the tags and branches of the copy
//! instead of those of the host. `go` names the folder of a clone by the hash of its url, so that no repository can
//! write into the clone of another one.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;
use walkdir::{DirEntry, WalkDir};

use crate::base::lock::lock;
use crate::store::private_folder;
use gomodule::module::ModulePath;

/// A build asks for its modules within minutes. After an hour without a request, a clone is not worth its place on the disk.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(3600);
/// More repositories than a company builds within an hour; each costs a run a comparison of paths.
const MAX_CLONES: usize = 100;
/// All clones of a source: as much as two copies of the largest public Go repositories with their history.
const MAX_BYTES: u64 = 4 << 30;
/// Files of one clone: with packs it has a few hundred. To link more takes longer than a fetch.
const MAX_FILES: usize = 20_000;
/// Modules of one clone: more than a path has elements.
const MAX_MODULES: usize = 32;

/// Where a run reads what branches and tags name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refs {
    OfTheHost,
    OfTheClone,
}

/// Whether one path is the other, or a prefix of it.
pub(super) fn are_near(one: &ModulePath, other: &ModulePath) -> bool {
    let is_above = |above: &str, path: &str| path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
    let (one, other) = (one.as_ref(), other.as_ref());
    one == other || is_above(one, other) || is_above(other, one)
}

#[derive(Debug)]
pub(super) struct Clones {
    /// Where the folder of clones is made.
    above: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    folder: Option<TempDir>,
    /// The newest last.
    all: VecDeque<Clone>,
}

#[derive(Debug)]
struct Clone {
    /// The name of its folder.
    name: OsString,
    /// The modules for which it was read.
    modules: Vec<ModulePath>,
    bytes: u64,
    since: Instant,
}

impl Clones {
    pub(super) fn new(above: &Path) -> Self {
        Self { above: above.to_owned(), state: Mutex::default() }
    }

    /// Copies the clones that belong to these modules to `to`, the folder of clones of a run. Returns whether there are any.
    /// Blocks.
    pub(super) fn give(&self, modules: &[ModulePath], refs: Refs, to: &Path, now: Instant) -> bool {
        let mut state = self.locked();
        state.remove_old(now);
        let State { folder: Some(folder), all } = &*state else { return false };
        let mut given = false;
        for clone in all.iter().filter(|clone| clone.is_of(modules)) {
            // A run without it only fetches more.
            given |= copy(folder.path(), &clone.name, refs, to).is_ok();
        }
        given
    }

    /// Keeps the clones in `from`, the folder of clones of a run for these modules. Blocks.
    pub(super) fn take(&self, modules: &[ModulePath], from: &Path, now: Instant) -> io::Result<()> {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let Some(bytes) = size(&entry.path()) else { continue };
            let mut state = self.locked();
            let mut all_modules = state.remove(&entry.file_name());
            all_modules
                .extend(modules.iter().filter(|module| !all_modules.contains(module)).cloned().collect::<Vec<_>>());
            let excess = all_modules.len().saturating_sub(MAX_MODULES);
            all_modules.drain(..excess);
            let folder = match &state.folder {
                Some(folder) => folder.path().to_owned(),
                None => state.folder.insert(private_folder(&self.above, "clones-")?).path().to_owned(),
            };
            fs::rename(entry.path(), folder.join(entry.file_name()))?;
            fs::rename(info(&entry.path()), info(&folder.join(entry.file_name())))?;
            state.all.push_back(Clone { name: entry.file_name(), modules: all_modules, bytes, since: now });
            state.remove_excess();
        }
        Ok(())
    }

    /// Removes the clones of these modules. Blocks.
    pub(super) fn forget(&self, modules: &[ModulePath]) {
        let mut state = self.locked();
        let names: Vec<OsString> =
            state.all.iter().filter(|clone| clone.is_of(modules)).map(|clone| clone.name.clone()).collect();
        for name in names {
            state.remove(&name);
        }
    }

    /// Removes the clones that are too old. Blocks.
    pub(super) fn sweep(&self, now: Instant) {
        self.locked().remove_old(now);
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Clone {
    fn is_of(&self, modules: &[ModulePath]) -> bool {
        self.modules.iter().any(|own| modules.iter().any(|module| are_near(own, module)))
    }
}

impl State {
    /// Removes a clone. Returns its modules.
    fn remove(&mut self, name: &OsStr) -> Vec<ModulePath> {
        let Some(nth) = self.all.iter().position(|clone| clone.name == name) else { return Vec::new() };
        let removed = self.all.remove(nth);
        if let Some(folder) = &self.folder {
            // What is left of it is removed with the folder. `go` refuses a clone without its .info.
            let _ = fs::remove_file(info(&folder.path().join(name)));
            let _ = fs::remove_dir_all(folder.path().join(name));
        }
        removed.map_or(Vec::new(), |clone| clone.modules)
    }

    fn remove_old(&mut self, now: Instant) {
        while let Some(name) =
            self.all.front().filter(|first| now - first.since >= KEPT_FOR).map(|first| first.name.clone())
        {
            self.remove(&name);
        }
    }

    fn remove_excess(&mut self) {
        while self.all.len() > MAX_CLONES || self.all.iter().map(|clone| clone.bytes).sum::<u64>() > MAX_BYTES {
            let Some(name) = self.all.front().map(|first| first.name.clone()) else { return };
            self.remove(&name);
        }
    }
}

/// The file beside a clone that names its url.
fn info(clone: &Path) -> PathBuf {
    let mut path = clone.as_os_str().to_owned();
    path.push(".info");
    path.into()
}

/// The size of a clone. `None` for anything else, and for one that is too large to keep.
fn size(folder: &Path) -> Option<u64> {
    if !folder.join("objects").is_dir() || !info(folder).is_file() {
        return None;
    }
    let mut bytes = 0;
    for (nth, entry) in WalkDir::new(folder).into_iter().enumerate() {
        bytes += entry.ok()?.metadata().ok()?.len();
        if nth >= MAX_FILES || bytes > MAX_BYTES {
            return None;
        }
    }
    Some(bytes)
}

/// Copies the clone `name` from one folder to another. Leaves nothing there if it fails.
fn copy(from: &Path, name: &OsStr, refs: Refs, to: &Path) -> io::Result<()> {
    let (from, to) = (from.join(name), to.join(name));
    let copied = copy_files(&from, refs, &to).and_then(|()| fs::copy(info(&from), info(&to)));
    copied.map(drop).inspect_err(|_| {
        let _ = fs::remove_dir_all(&to);
    })
}

fn copy_files(from: &Path, refs: Refs, to: &Path) -> io::Result<()> {
    let below = |entry: &DirEntry| entry.path().strip_prefix(from).map(Path::to_owned).unwrap_or_default();
    // A lock is of a git that was stopped.
    let is_wanted = |entry: &DirEntry| {
        let (below, name) = (below(entry), entry.file_name());
        let is_tags = refs == Refs::OfTheHost && below == Path::new("refs/tags");
        !is_tags && name != "FETCH_HEAD" && below.extension() != Some(OsStr::new("lock"))
    };
    for entry in WalkDir::new(from).into_iter().filter_entry(is_wanted) {
        let entry = entry?;
        let (below, kind) = (below(&entry), entry.file_type());
        let place = to.join(&below);
        if kind.is_dir() {
            fs::create_dir_all(place)?;
        } else if kind.is_file() && below.starts_with("objects") {
            fs::hard_link(entry.path(), place)?;
        } else if kind.is_file() && refs == Refs::OfTheHost && below == Path::new("packed-refs") {
            fs::write(place, without_tags(&fs::read_to_string(entry.path())?))?;
        } else if kind.is_file() && refs == Refs::OfTheClone && below == Path::new("config") {
            fs::write(place, of_itself(&fs::read_to_string(entry.path())?))?;
        } else if kind.is_file() {
            fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}

/// The `config` of a clone (git-config(1)) with the clone itself as its remote. `go` makes no other remote.
fn of_itself(config: &str) -> String {
    let line = |line: &str| if line.starts_with("\turl = ") { "\turl = .\n".to_owned() } else { format!("{line}\n") };
    config.lines().map(line).collect()
}

/// A file `packed-refs` without its tags (gitrepository-layout(5)). The line after a tag, with `^`, belongs to it.
fn without_tags(packed: &str) -> String {
    let mut is_of_a_tag = false;
    let mut kept = String::new();
    for line in packed.lines() {
        is_of_a_tag = line.contains(" refs/tags/") || (is_of_a_tag && line.starts_with('^'));
        if !is_of_a_tag {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn modules(path: &str) -> Vec<ModulePath> {
        vec![path.parse().unwrap()]
    }

    /// A clone in the folder of a run.
    fn run(name: &str) -> TempDir {
        let run = tempfile::tempdir().unwrap();
        for folder in ["objects/aa", "refs/tags", "refs/heads"] {
            fs::create_dir_all(run.path().join(name).join(folder)).unwrap();
        }
        for file in ["objects/aa/bb", "refs/tags/v1.0.0", "refs/heads/main", "FETCH_HEAD", "shallow.lock", "HEAD"] {
            fs::write(run.path().join(name).join(file), file).unwrap();
        }
        let packed = "# pack-refs\n1 refs/heads/main\n2 refs/tags/v1.0.0\n^3\n4 refs/tags/v1.1.0\n5 refs/x\n";
        fs::write(run.path().join(name).join("packed-refs"), packed).unwrap();
        let config = "[remote \"origin\"]\n\turl = https://a.example\n\tfetch = x\n";
        fs::write(run.path().join(name).join("config"), config).unwrap();
        fs::write(info(&run.path().join(name)), "git3:https://a.example").unwrap();
        run
    }

    #[tokio::test]
    async fn a_run_gets_the_clones_of_its_modules_without_tags() {
        let (above, now) = (tempfile::tempdir().unwrap(), Instant::now());
        let clones = Clones::new(above.path());
        clones.take(&modules("a.example/x"), run("one").path(), now).unwrap();
        clones.take(&modules("b.example/x"), run("two").path(), now).unwrap();
        let to = tempfile::tempdir().unwrap();
        assert!(!clones.give(&modules("a.example/xy"), Refs::OfTheHost, to.path(), now));
        assert!(clones.give(&modules("a.example/x/below"), Refs::OfTheHost, to.path(), now));
        assert!(!to.path().join("two").exists() && info(&to.path().join("one")).is_file());
        let has = |file: &str| to.path().join("one").join(file).is_file();
        assert!(has("objects/aa/bb") && has("refs/heads/main") && has("HEAD"));
        assert!(!has("refs/tags/v1.0.0") && !has("FETCH_HEAD") && !has("shallow.lock"));
        let packed = fs::read_to_string(to.path().join("one/packed-refs")).unwrap();
        assert_eq!(packed, "# pack-refs\n1 refs/heads/main\n5 refs/x\n");

        let own = tempfile::tempdir().unwrap();
        assert!(clones.give(&modules("a.example/x"), Refs::OfTheClone, own.path(), now));
        let config = fs::read_to_string(own.path().join("one/config")).unwrap();
        assert_eq!(config, "[remote \"origin\"]\n\turl = .\n\tfetch = x\n");
        let of_the_clone = own.path().join("one/packed-refs");
        assert!(own.path().join("one/refs/tags/v1.0.0").is_file());
        assert!(fs::read_to_string(of_the_clone).unwrap().contains("refs/tags/v1.1.0"));

        // Another run for the same repository replaces the clone.
        clones.take(&modules("a.example/x/below"), to.path(), now).unwrap();
        assert_eq!(clones.locked().all.len(), 2);
        clones.forget(&modules("a.example/x"));
        assert!(!clones.give(&modules("a.example/x"), Refs::OfTheHost, tempfile::tempdir().unwrap().path(), now));
        clones.sweep(now + KEPT_FOR);
        let left = fs::read_dir(clones.locked().folder.as_ref().unwrap().path()).unwrap().count();
        assert_eq!((left, clones.locked().all.len()), (0, 0), "the other one is too old");
    }

    #[tokio::test]
    async fn the_oldest_clones_make_room() {
        let (above, now) = (tempfile::tempdir().unwrap(), Instant::now());
        let clones = Clones::new(above.path());
        for nth in 0..=MAX_CLONES {
            clones.take(&modules(&format!("a.example/m{nth}")), run(&nth.to_string()).path(), now).unwrap();
        }
        let has = |nth: usize| {
            let (modules, to) = (modules(&format!("a.example/m{nth}")), tempfile::tempdir().unwrap());
            clones.give(&modules, Refs::OfTheHost, to.path(), now)
        };
        assert!(!has(0) && has(1) && has(MAX_CLONES));
    }
}
