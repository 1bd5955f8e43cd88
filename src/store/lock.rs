//! Locks between processes that share a data folder.
//!
//! Whoever can open a file can lock it, and hold everybody up. So lock files are for their owner alone, also where the rest of
//! the data folder is shared, and nobody waits for ever.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::StoreError;
use super::error::OTHERWISE;
use super::open::open_to_write;
use super::owner::check_owner;

/// Locks are held for milliseconds; the longest is a sweep, which may remove some 100,000 files.
const PATIENCE: Duration = Duration::from_secs(30);
/// Short beside a sync, for which most locks are held.
const PAUSE: Duration = Duration::from_millis(5);
const OWNER_ONLY: u32 = 0o600;

/// Opens the file to be locked at `path`, made if need be. A link, a pipe or the like in its place is removed.
pub(crate) fn open_lock(path: &Path) -> Result<File, StoreError> {
    let failed = |cause| StoreError::new("lock", path, cause);
    let mut how = File::options();
    how.create(true).truncate(false).write(true).mode(OWNER_ONLY);
    let file = open_to_write(path, &mut how).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if let Some(foreign) = check_owner(path, &found) {
        return Err(failed(io::Error::other(foreign)));
    }
    // Version 0.1 made them readable by all.
    if found.permissions().mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(OWNER_ONLY)).map_err(failed)?;
    }
    Ok(file)
}

/// Takes the exclusive lock on the file at `path`, made if need be, and waits for it, but not for ever. Dropping the file gives
/// it back.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    lock_within(path, PATIENCE)
}

fn lock_within(path: &Path, patience: Duration) -> Result<File, StoreError> {
    let failed = |cause| StoreError::new("lock", path, cause);
    let file = open_lock(path)?;
    // No clock is read: the pauses alone are that long.
    for _ in 0..=patience.as_millis() / PAUSE.as_millis() {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => sleep(PAUSE),
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
    }
    let words = format!(
        "expected it to be free within {} s, found it held: another sumgate with this data folder may hold it, or a program \
         that opened the file (`fuser -v` shows which): end it, {OTHERWISE}",
        patience.as_secs()
    );
    Err(failed(io::Error::new(io::ErrorKind::TimedOut, words)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_lock_that_is_held_is_waited_for_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = lock(&path).unwrap();
        let error = lock_within(&path, Duration::from_millis(50)).unwrap_err().to_string();
        for words in [path.to_str().unwrap(), "found it held", "another sumgate", "--data DIR"] {
            assert!(error.contains(words), "{error}");
        }
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || lock_within(&path, PATIENCE).is_ok()
        });
        sleep(Duration::from_millis(50));
        drop(held);
        assert!(waiting.join().unwrap());
    }

    #[test]
    fn a_lock_file_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let (new, old) = (folder.path().join("new"), folder.path().join("old"));
        fs::write(&old, "").unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o644)).unwrap();
        for path in [&new, &old] {
            lock(path).unwrap();
            assert_eq!(mode(path), 0o600, "{}", path.display());
        }
    }
}
