//! Regular files, and no others: nobody may ever write to a FIFO.

use std::fs::File;
use std::io;
use std::path::Path;

use super::{TreeError, Unreadable, open_named, open_regular};
use crate::base::bounded::read_bounded;

/// Opens a regular file that the user named, for a caller that passes the cause on. Never blocks on a FIFO or a device.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    open_named(path).map_err(|error| match error {
        TreeError::Unreadable(Unreadable { cause, .. }) => cause,
        // A link that leads nowhere is as good as no file.
        TreeError::NotRegular { .. } if !path.exists() => io::ErrorKind::NotFound.into(),
        TreeError::NotRegular { found, .. } => {
            io::Error::new(io::ErrorKind::InvalidInput, format!("expected a regular file, found {found}"))
        }
    })
}

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
