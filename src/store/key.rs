//! Keys of files and names of values: relative paths without `..`, with the same rules in every implementation.

use std::io;
use std::path::{Path, PathBuf};

use super::StoreError;

/// The longest is that of a zip: a module path of 500 bytes and a version of 120, each doubled by escaped upper case, with
/// `/@v/` and `.zip` (`gomodule`).
const MAX_KEY: usize = 1280;

/// The path of the file with this key below `dir`. The elements of a key are not empty, `.` or `..`.
pub(super) fn file_path(dir: &Path, key: &str) -> Result<PathBuf, StoreError> {
    let is_element = |element: &str| !["", ".", ".."].contains(&element) && !element.contains('\0');
    if key.len() <= MAX_KEY && key.split('/').all(is_element) {
        return Ok(dir.join(key));
    }
    let start: String = key.chars().take(100).collect();
    let words = format!(
        "expected a relative path of at most {MAX_KEY} bytes without empty elements, `.` and `..`, found {} bytes: {start:?}",
        key.len()
    );
    Err(StoreError::new("use a key below", dir, io::Error::new(io::ErrorKind::InvalidInput, words)))
}

/// The path of the value with this name in `dir`. A name is a key of one element.
pub(super) fn value_path(dir: &Path, name: &str) -> Result<PathBuf, StoreError> {
    if name.contains('/') {
        let words = format!("expected one element, found {name:?}");
        return Err(StoreError::new("use a name in", dir, io::Error::new(io::ErrorKind::InvalidInput, words)));
    }
    file_path(dir, name)
}
