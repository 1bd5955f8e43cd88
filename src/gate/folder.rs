//! The folder of a run, `DATA/run/N`: module cache, build cache and GOPATH of its command.
//!
//! N is the first number whose lock is free, so that a single job always has the same paths: `go` recompiles where paths
//! change. Files from before the run are of an earlier run or of a restored cache: they are removed, unless a seal covers them.

use std::fs::{self, DirEntry, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::{FdFlags, fcntl_setfd};

use super::seal;
use crate::store::remove::{open_up, remove};
use crate::store::{StoreError, open_lock};

/// Runs at the same time with one data folder: more than one machine can build.
const MAX_RUNS: u32 = 256;

/// The caches of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caches {
    /// The module cache.
    pub modules: PathBuf,
    /// The build cache; `None` for the user's own.
    pub build: Option<PathBuf>,
    /// GOPATH: the state of the checksum database, and installed programs.
    pub gopath: PathBuf,
}

/// The folder of this run. Dropping it removes its content.
///
/// No other run uses it while its lock is held: by this process, and by the processes that it starts, which inherit the lock.
/// So the next run does not verify a folder that a process of this one can still write to.
#[derive(Debug)]
pub struct RunFolder {
    root: PathBuf,
    keeps_caches: bool,
    _lock: File,
}

impl RunFolder {
    /// Takes the first free folder below `data`.
    pub fn take(data: &Path) -> Result<Self, StoreError> {
        let all = data.join("run");
        make(&all)?;
        for nth in 1..=MAX_RUNS {
            let path = all.join(format!("{nth}.lock"));
            let failed = |cause| StoreError::new("lock", &path, cause);
            if path.is_dir() {
                remove(&path)?;
            }
            let lock = open_lock(&path)?;
            match lock.try_lock() {
                Ok(()) => {
                    fcntl_setfd(&lock, FdFlags::empty()).map_err(|error| failed(error.into()))?;
                    let root = all.join(nth.to_string());
                    make(&root)?;
                    return Ok(Self { root, keeps_caches: false, _lock: lock });
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
        }
        Err(StoreError::new("find a free folder in", &all, io::Error::other(format!("{MAX_RUNS} runs are under way"))))
    }

    /// Its path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The module cache of a run.
    pub fn modules(&self) -> PathBuf {
        self.root.join("mod")
    }

    /// The build cache of a run.
    pub fn build(&self) -> PathBuf {
        self.root.join("build")
    }

    /// GOPATH of a run.
    pub fn gopath(&self) -> PathBuf {
        self.root.join("path")
    }

    /// Keeps the caches and their seal after the run.
    pub fn keep_caches(&mut self) {
        self.keeps_caches = true;
    }

    /// Removes the files of earlier runs, and creates GOPATH.
    pub fn clear(&self) -> Result<(), StoreError> {
        self.remove_all_but_kept()?;
        make(&self.gopath())
    }

    fn remove_all_but_kept(&self) -> Result<(), StoreError> {
        let failed = |cause| StoreError::new("read", &self.root, cause);
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if !(self.keeps_caches && is_kept(&entry)) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // The next run removes what remains.
        let _ = self.remove_all_but_kept();
    }
}

/// A link instead of a cache is not kept: its target may have files of another user.
fn is_kept(entry: &DirEntry) -> bool {
    let (folders, files) = seal::KEPT;
    let is_one_of = |names: [&str; 2]| names.iter().any(|name| entry.file_name() == *name);
    entry.file_type().is_ok_and(|kind| (kind.is_dir() && is_one_of(folders)) || (kind.is_file() && is_one_of(files)))
}

/// Creates a folder that only the owner can use. Replaces anything else at its path, such as a link.
fn make(folder: &Path) -> Result<(), StoreError> {
    let failed = |cause| StoreError::new("make the folder", folder, cause);
    if folder.symlink_metadata().is_ok_and(|found| !found.is_dir()) {
        fs::remove_file(folder).map_err(failed)?;
    }
    fs::create_dir_all(folder).map_err(failed)?;
    open_up(folder).map_err(failed)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn the_first_free_number_is_taken() {
        let data = tempfile::tempdir().unwrap();
        let first = RunFolder::take(data.path()).unwrap();
        let second = RunFolder::take(data.path()).unwrap();
        assert!(first.root().ends_with("run/1") && second.root().ends_with("run/2"));
        drop(first);
        assert!(RunFolder::take(data.path()).unwrap().root().ends_with("run/1"));
    }

    #[test]
    fn a_store_opens_in_a_data_folder_that_has_only_a_run() {
        let data = tempfile::tempdir().unwrap();
        let _run = RunFolder::take(data.path()).unwrap();
        let marker = data.path().join("sumgate-format");
        assert!(!marker.exists());
        crate::store::Store::open(data.path()).unwrap();
        assert!(marker.is_file());
    }

    #[test]
    fn leftovers_are_removed_and_links_are_not_followed() {
        let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(other.path().join("kept"), "").unwrap();
        symlink(other.path(), data.path().join("run")).unwrap();
        let folder = RunFolder::take(data.path()).unwrap();
        symlink(other.path(), folder.modules()).unwrap();
        let module = folder.build().join("a@v1");
        fs::create_dir_all(&module).unwrap();
        fs::write(module.join("a.go"), "").unwrap();
        fs::set_permissions(&module, fs::Permissions::from_mode(0o555)).unwrap();
        folder.clear().unwrap();
        let left: Vec<_> = fs::read_dir(folder.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["path"]);
        assert!(other.path().join("kept").is_file());
        fs::write(folder.modules(), "").unwrap();
        let root = folder.root().to_owned();
        drop(folder);
        assert_eq!(fs::read_dir(root).unwrap().count(), 0, "nothing outlives the run");
    }

    #[test]
    fn sealed_caches_are_kept() {
        let data = tempfile::tempdir().unwrap();
        let mut folder = RunFolder::take(data.path()).unwrap();
        folder.clear().unwrap();
        folder.keep_caches();
        fs::create_dir(folder.modules()).unwrap();
        for name in ["seal", "other"] {
            fs::write(folder.root().join(name), "").unwrap();
        }
        let root = folder.root().to_owned();
        drop(folder);
        let mut left: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["mod", "seal"]);
    }

    #[test]
    fn a_link_is_not_kept() {
        let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(other.path().join("kept"), "").unwrap();
        let mut folder = RunFolder::take(data.path()).unwrap();
        folder.keep_caches();
        symlink(other.path(), folder.modules()).unwrap();
        fs::write(folder.build(), "").unwrap();
        symlink(other.path().join("kept"), folder.root().join("seal")).unwrap();
        fs::create_dir(folder.root().join("manifest")).unwrap();
        folder.clear().unwrap();
        let left: Vec<_> = fs::read_dir(folder.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["path"]);
        assert!(other.path().join("kept").is_file());
    }

    #[test]
    fn a_folder_is_locked_while_a_started_process_runs() {
        let data = tempfile::tempdir().unwrap();
        let folder = RunFolder::take(data.path()).unwrap();
        let mut left = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        drop(folder);
        assert!(RunFolder::take(data.path()).unwrap().root().ends_with("run/2"));
        drop(left.stdin.take());
        left.wait().unwrap();
        assert!(RunFolder::take(data.path()).unwrap().root().ends_with("run/1"));
    }

    #[test]
    fn a_link_is_replaced_by_a_folder() {
        let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(data.path().join("run")).unwrap();
        symlink(other.path(), data.path().join("run/1")).unwrap();
        let folder = RunFolder::take(data.path()).unwrap();
        assert!(folder.root().symlink_metadata().unwrap().is_dir());
    }
}
