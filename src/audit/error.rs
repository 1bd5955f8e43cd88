//! Why a target cannot be read.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::limits::MAX_SUM;
use crate::base::tree::Unreadable;
use crate::repository::BaseError;

/// Reads a file beside the one under audit; `None` if there is none.
pub(super) type ReadFile<'r> = &'r dyn Fn(&Path) -> Result<Option<Vec<u8>>, ReadError>;

/// Why a target cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The file is too large.
    #[error("{} has more than {MAX_SUM} bytes", .0.display())]
    TooLarge(PathBuf),
    /// The earlier state of the file is unknown.
    #[error(transparent)]
    Base(#[from] BaseError),
}

/// `None` if the file does not exist.
pub(super) fn or_missing(read: Result<Option<Vec<u8>>, ReadError>) -> Result<Option<Vec<u8>>, ReadError> {
    match read {
        Err(ReadError::Unreadable(unreadable)) if unreadable.cause.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read,
    }
}
