//! The folder of a run: module cache, build cache and GOPATH of its command, below `DATA/run/N`.
//!
//! N is the first number whose lock is free, so that a job on its own always has the same paths: `go` compiles anew where
//! paths change. What lies there at the start was written by an earlier run, or by whoever restored the folder: it is
//! removed, unless a seal covers it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::store::StoreError;

/// Runs at the same time with one data folder: more than a machine can build.
const MAX_RUNS: u32 = 256;
/// For the owner only.
const PRIVATE: u32 = 0o700;

/// The module cache of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleCache {
    /// The run's own.
    Own(PathBuf),
    /// The one that `go` uses outside.
    Inherited(PathBuf),
}

impl ModuleCache {
    /// Where it is.
    pub fn path(&self) -> &Path {
        match self {
            Self::Own(path) | Self::Inherited(path) => path,
        }
    }
}

/// The caches of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caches {
    /// Modules.
    pub modules: ModuleCache,
    /// What was compiled; `None` for the build cache that `go` uses outside.
    pub build: Option<PathBuf>,
    /// GOPATH: the state of the checksum database, and programs that are installed.
    pub gopath: PathBuf,
}

/// The folder of this run. Other runs leave it alone while it is held. When it is dropped, its content is removed.
#[derive(Debug)]
pub struct RunFolder {
    root: PathBuf,
    /// What stays.
    kept: &'static [&'static str],
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
            // Whoever restored the folder may have put anything there, and to open a pipe would wait for ever.
            if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
                remove(&path)?;
            }
            let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
            match lock.try_lock() {
                Ok(()) => {
                    let root = all.join(nth.to_string());
                    make(&root)?;
                    return Ok(Self { root, kept: &[], _lock: lock });
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
        }
        Err(StoreError::new("find a free folder in", &all, io::Error::other(format!("{MAX_RUNS} runs are under way"))))
    }

    /// Where it is.
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

    /// The caches, and what seals them, outlive the run.
    pub fn keep_caches(&mut self) {
        self.kept = &super::seal::KEPT;
    }

    /// Removes what is left of earlier runs, and makes GOPATH.
    pub fn clear(&self) -> Result<(), StoreError> {
        self.remove_the_rest()?;
        make(&self.gopath())
    }

    fn remove_the_rest(&self) -> Result<(), StoreError> {
        let failed = |cause| StoreError::new("read", &self.root, cause);
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if !self.kept.iter().any(|name| entry.file_name() == *name) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next run.
        let _ = self.remove_the_rest();
    }
}

/// Makes a folder for the owner alone. What stands in its place, such as a link, is removed.
fn make(folder: &Path) -> Result<(), StoreError> {
    let failed = |cause| StoreError::new("make the folder", folder, cause);
    if folder.symlink_metadata().is_ok_and(|found| !found.is_dir()) {
        fs::remove_file(folder).map_err(failed)?;
    }
    fs::create_dir_all(folder).map_err(failed)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(PRIVATE)).map_err(failed)
}

/// Removes a file, a link or a folder. `go` makes the folders of a module cache read-only.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    let failed = |cause| StoreError::new("remove", path, cause);
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return fs::remove_file(path).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(failed(cause)),
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            for entry in WalkDir::new(path).follow_links(false) {
                let entry = entry.map_err(|error| failed(error.into()))?;
                if entry.file_type().is_dir() {
                    fs::set_permissions(entry.path(), fs::Permissions::from_mode(PRIVATE)).map_err(failed)?;
                }
            }
            fs::remove_dir_all(path).map_err(failed)
        }
        removed => removed.map_err(failed),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_first_free_number_counts() {
        let data = tempfile::tempdir().unwrap();
        let first = RunFolder::take(data.path()).unwrap();
        let second = RunFolder::take(data.path()).unwrap();
        assert!(first.root().ends_with("run/1") && second.root().ends_with("run/2"));
        drop(first);
        assert!(RunFolder::take(data.path()).unwrap().root().ends_with("run/1"));
    }

    #[test]
    fn what_was_left_is_removed_and_links_are_not_followed() {
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
    fn caches_that_are_sealed_stay() {
        let data = tempfile::tempdir().unwrap();
        let mut folder = RunFolder::take(data.path()).unwrap();
        folder.clear().unwrap();
        folder.keep_caches();
        for name in [folder.modules(), folder.root().join("seal"), folder.root().join("other")] {
            fs::write(name, "").unwrap();
        }
        let root = folder.root().to_owned();
        drop(folder);
        let mut left: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["mod", "seal"]);
    }

    #[test]
    fn a_place_that_is_a_link_becomes_a_folder() {
        let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(data.path().join("run")).unwrap();
        symlink(other.path(), data.path().join("run/1")).unwrap();
        let folder = RunFolder::take(data.path()).unwrap();
        assert!(folder.root().symlink_metadata().unwrap().is_dir());
    }
}
