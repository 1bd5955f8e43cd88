//! Locks between processes that share a data folder.
//!
//! Every process that can open a file can lock it, and block the others. So only the owner can open lock files, also in a shared
//! data folder, and a wait has a limit.

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

/// Locks are held for milliseconds; the longest is a sweep, which may remove 100,000 files.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Shorter than a sync, for which most locks are held.
const PAUSE: Duration = Duration::from_millis(5);
const OWNER_ONLY: u32 = 0o600;

/// Opens or makes the lock file at `path`. Removes a link, a pipe or the like in its place.
pub(crate) fn open_lock(path: &Path) -> Result<File, StoreError> {
    let failed = |cause| StoreError::new("lock", path, cause);
    let mut how = File::options();
    how.create(true).truncate(false).write(true).mode(OWNER_ONLY);
    let file = open_to_write(path, &mut how).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if let Some(foreign) = check_owner(path, &found) {
        return Err(failed(io::Error::other(foreign)));
    }
    // Version 0.1 made them readable by all users.
    if found.permissions().mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(OWNER_ONLY)).map_err(failed)?;
    }
    Ok(file)
}

/// Takes the exclusive lock on the file at `path`, or fails after a timeout. Dropping the file releases it.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    lock_within(path, TIMEOUT)
}

fn lock_within(path: &Path, timeout: Duration) -> Result<File, StoreError> {
    let failed = |cause| StoreError::new("lock", path, cause);
    let file = open_lock(path)?;
    // Counts the pauses, so that no clock is needed.
    for _ in 0..=timeout.as_millis() / PAUSE.as_millis() {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => sleep(PAUSE),
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
    }
    let words = format!(
        "expected the lock to be free within {} s, found it held by another sumgate with this data folder, or by a program that \
         opened the file (`fuser -v` shows which): end it, {OTHERWISE}",
        timeout.as_secs()
    );
    Err(failed(io::Error::new(io::ErrorKind::TimedOut, words)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_wait_for_a_held_lock_ends_with_the_lock_or_a_timeout() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = lock(&path).unwrap();
        let error = lock_within(&path, Duration::from_millis(50)).unwrap_err().to_string();
        for words in [path.to_str().unwrap(), "found it held", "another sumgate", "--data DIR"] {
            assert!(error.contains(words), "{error}");
        }
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || lock_within(&path, TIMEOUT).is_ok()
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
