//! The error of this room: a file operation that this machine refused, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::base::fault::Fault;

/// What to do where a place in the data folder is unfit.
pub(super) const OTHERWISE: &str = "or name another data folder with --data DIR or SUMGATE_DATA";

/// A file operation that this machine refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {cause}{}", path.display(), Hint(cause))]
pub struct StoreError {
    doing: &'static str,
    path: PathBuf,
    pub(super) cause: io::Error,
}

impl StoreError {
    pub(crate) fn new(doing: &'static str, path: &Path, cause: io::Error) -> Self {
        Self { doing, path: path.to_owned(), cause }
    }

    /// Whose fault it is: this machine's.
    pub fn fault(&self) -> Fault {
        Fault::Host
    }
}

/// What to do about a cause that concerns the data folder as a whole.
struct Hint<'a>(&'a io::Error);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let todo = match self.0.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "let this user write there",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room there",
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                "expected a folder, found something else: remove it"
            }
            _ => return Ok(()),
        };
        write!(f, ": {todo}, {OTHERWISE}")
    }
}
