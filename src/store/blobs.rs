//! Immutable files by key: pins, and the files of modules, which are got, listed and deleted so, and put by a step of their own
//! (`tree`). A refused file is moved to its case, not copied, so it is no blob (`quarantine`).

pub(super) mod local;
#[cfg(test)]
pub(super) mod memory;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::{StagingFile, StoreError};

/// Immutable files by key. Everything blocks.
///
/// A key is a relative path of at most 1,280 bytes without empty elements, `.` and `..`; another one is an error. A file is as
/// large as whoever staged it allowed (500 MiB for a zip), so no method takes or gives a whole one in memory.
///
/// Nothing here is trusted: a module file is hashed and the owner of a pin is checked, both of the open file, before it counts.
pub trait Blobs: Send + Sync {
    /// Puts a staged file at `key` unless a file is there: of several, at the same time too, the first stays. Gives back the
    /// staged file, still open, also where another one stays. When this returns, the one that stays survives a power cut; a
    /// crash before leaves a whole file or none.
    fn put(&self, key: &str, staged: StagingFile) -> Result<File, StoreError>;

    /// Opens the file at `key`, if there is one. It stays as it is while it is open, whatever is put or deleted meanwhile. It
    /// is a file of this machine, for whoever serves it has to hash all of it first.
    fn get(&self, key: &str) -> Result<Option<File>, StoreError>;

    /// At most `len` bytes of the file at `key` from `start` on, if there is one. Behind its end there are none.
    fn range(&self, key: &str, start: u64, len: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let failed = |cause| StoreError::new("read", Path::new(key), cause);
        let Some(mut file) = self.get(key)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(start)).map_err(failed)?;
        file.take(len as u64).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some(bytes))
    }

    /// Deletes the file at `key`, if there is one. When this returns, it does not come back after a power cut.
    fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// The keys that begin with `folder` and a `/`, or all if it is empty, sorted. More than `max` are an error. What is put or
    /// deleted meanwhile may be among them or not, so a key may have no file.
    fn list(&self, folder: &str, max: usize) -> Result<Vec<String>, StoreError>;
}
