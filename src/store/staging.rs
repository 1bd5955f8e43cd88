//! Files on their way. Each process has a staging folder of its own, held by a lock.
//!
//! A folder whose lock can be taken belongs to a process that is gone; the next process that starts removes it. Nothing
//! in staging is ever served. The data folder may have been restored from a cache, with links or pipes in it: what is
//! swept is never reached through a link.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir, TempPath};

use super::open::{open, open_to_write};
use super::remove::remove;
use super::{StoreError, durable};

/// This process's staging folder; removed when dropped.
#[derive(Debug)]
pub(super) struct Staging {
    dir: PathBuf,
    _lock: File,
}

/// A file in staging: open, and removed when dropped unless it is put in place.
#[derive(Debug)]
pub struct StagingFile {
    /// The open file: what is written, hashed, and served later.
    pub(crate) file: File,
    pub(super) place: TempPath,
}

impl StagingFile {
    /// A second handle to write through. The first one stays, to hash and to serve what was written.
    pub(crate) fn writer(&self) -> Result<File, StoreError> {
        self.file.try_clone().map_err(|cause| StoreError::new("open", &self.place, cause))
    }
}

impl Staging {
    pub(super) fn open(all: &Path) -> Result<Self, StoreError> {
        durable::make_own_dir(all)?;
        // Held while folders come and go, so that no sweep meets a folder whose lock is not taken yet.
        let _door = lock(&all.join("lock"))?;
        sweep(all)?;
        let dir = tempfile::Builder::new()
            .prefix("run-")
            .tempdir_in(all)
            .map_err(|cause| StoreError::new("make a staging folder in", all, cause))?
            .keep();
        let own = lock(&dir.join("lock"))?;
        Ok(Self { dir, _lock: own })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn file(&self) -> Result<StagingFile, StoreError> {
        let failed = |cause| StoreError::new("make a staging file in", &self.dir, cause);
        let file = NamedTempFile::new_in(&self.dir).map_err(failed)?;
        durable::readable_by_all(file.as_file()).map_err(failed)?;
        let (file, place) = file.into_parts();
        Ok(StagingFile { file, place })
    }

    pub(super) fn folder(&self) -> Result<TempDir, StoreError> {
        let failed = |cause| StoreError::new("make a staging folder in", &self.dir, cause);
        tempfile::Builder::new().prefix("carried-").tempdir_in(&self.dir).map_err(failed)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is swept at the next start.
        let _ = remove(&self.dir);
    }
}

fn sweep(all: &Path) -> Result<(), StoreError> {
    let failed = |cause| StoreError::new("read the staging folder", all, cause);
    for entry in fs::read_dir(all).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_symlink() || (kind.is_dir() && is_abandoned(&path).map_err(failed)?) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Whether no process holds the lock of a staging folder. What is no lock file is held by nobody.
fn is_abandoned(folder: &Path) -> io::Result<bool> {
    let Some(lock) = open(&folder.join("lock"))? else { return Ok(true) };
    match lock.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(cause)) => Err(cause),
    }
}

/// Opens the file to be locked at `path`, made if need be. A link, a pipe or the like in its place is removed.
pub(crate) fn open_lock(path: &Path) -> Result<File, StoreError> {
    let opened = open_to_write(path, File::options().create(true).truncate(false).write(true));
    opened.map_err(|cause| StoreError::new("lock", path, cause))
}

/// Takes the exclusive lock on the file at `path`, made if need be, and waits for it. Dropping the file gives it back.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    let file = open_lock(path)?;
    file.lock().map_err(|cause| StoreError::new("lock", path, cause))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::unix::fs::symlink;

    use rustix::fs::{FileType, Mode};

    use super::*;

    #[test]
    fn leftovers_of_a_dead_process_are_swept_and_those_of_a_living_one_kept() {
        let all = tempfile::tempdir().unwrap();
        let living = Staging::open(all.path()).unwrap();
        let kept = living.file().unwrap();
        let dead = all.path().join("run-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("lock"), "").unwrap();
        fs::write(dead.join("half-a-zip"), "PK").unwrap();

        let _second = Staging::open(all.path()).unwrap();

        assert!(!dead.exists());
        assert!(kept.place.exists());
    }

    #[test]
    fn no_link_leads_the_sweep_out_of_the_data_folder() {
        let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let victim = other.path().join("one");
        fs::create_dir(&victim).unwrap();
        fs::write(other.path().join("unlocked"), "").unwrap();
        let all = data.path().join("staging");
        symlink(other.path(), &all).unwrap();
        drop(Staging::open(&all).unwrap());
        assert!(victim.is_dir() && all.symlink_metadata().unwrap().is_dir());

        // A link inside; a lock that is a link; a lock that nobody ever opens the other end of.
        symlink(&victim, all.join("run-link")).unwrap();
        fs::remove_file(all.join("lock")).unwrap();
        symlink(other.path().join("unlocked"), all.join("lock")).unwrap();
        let odd = all.join("run-odd");
        fs::create_dir(&odd).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, odd.join("lock"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let _staging = Staging::open(&all).unwrap();
        assert!(victim.is_dir() && !odd.exists() && all.join("run-link").symlink_metadata().is_err());
        assert!(all.join("lock").symlink_metadata().unwrap().is_file());
    }

    #[test]
    fn a_dropped_staging_file_leaves_nothing() {
        let all = tempfile::tempdir().unwrap();
        let staging = Staging::open(all.path()).unwrap();
        let file = staging.file().unwrap();
        let place = file.place.to_path_buf();
        drop(file);
        assert!(!place.exists());
    }
}
