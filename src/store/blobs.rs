//! Immutable files by key: pins and module files. Module files have a write operation of their own (`tree`). Refused files are
//! moved, not copied, so they are not blobs (`quarantine`).

pub(super) mod local;
#[cfg(test)]
pub(super) mod memory;

use std::fs::File;

use super::{StagingFile, StoreError};

/// Immutable files by key. Everything blocks.
///
/// A key is a relative path of at most 1,280 bytes without empty elements, `.` and `..`; any other key is an error. A file may
/// have 500 MiB (the largest zip), so no method takes or returns a whole file in memory.
///
/// The files are not trusted: the caller hashes an open module file, and checks the owner of an open pin.
pub trait Blobs: Send + Sync {
    /// Puts a staged file at `key` unless there is a file: of concurrent puts too, the first one stays. Returns the staged file,
    /// still open, in any case. Afterwards the stored file survives a power cut; a crash before leaves a whole file or none.
    fn put(&self, key: &str, staged: StagingFile) -> Result<File, StoreError>;

    /// Opens the file at `key`, if there is one. Its content does not change while it is open. It must be a local file, because
    /// all of it is hashed before it is served.
    fn get(&self, key: &str) -> Result<Option<File>, StoreError>;

    /// Deletes the file at `key`, if there is one. It does not return after a power cut.
    fn delete(&self, key: &str) -> Result<(), StoreError>;

    /// The sorted keys below `folder`, or all keys if it is empty. More than `max` are an error. Concurrent changes may be
    /// included or not, so a key may have no file.
    fn list(&self, folder: &str, max: usize) -> Result<Vec<String>, StoreError>;
}
