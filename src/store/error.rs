//! The error of this room: a failed file operation, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::fault::Fault;

/// The alternative to repairing a data folder.
pub(super) const OTHERWISE: &str = "or name another data folder with --data DIR or SUMGATE_DATA";

/// A failed file operation.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {cause}{}", path.display(), hint(cause))]
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

/// What to do about a cause that affects the whole data folder.
fn hint(cause: &io::Error) -> String {
    let todo = match cause.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "let this user write there",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room there",
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            "expected a folder, found something else: remove it"
        }
        _ => return String::new(),
    };
    format!(": {todo}, {OTHERWISE}")
}
