//! The content of a regular file, up to a limit.

use std::io;
use std::path::Path;

use super::open_regular;
use crate::base::bounded::read_bounded;

/// Why a regular file is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegularFileError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it is not a regular file")]
    NotRegular,
    #[error("it has more than {0} bytes")]
    TooLarge(u64),
}

/// Reads a regular file of at most `max` bytes whose last path element is not a link. Never blocks on a FIFO or a device.
pub(crate) fn read_regular(path: &Path, max: u64) -> Result<Vec<u8>, RegularFileError> {
    let file = open_regular(path)?.ok_or(RegularFileError::NotRegular)?;
    read_bounded(file, max)?.ok_or(RegularFileError::TooLarge(max))
}
