//! Opens files of the data folder, which may come from a cache that others wrote, with links, pipes and devices in it.
//!
//! This program writes only regular files. Anything else is treated as missing, never waited for, and replaced by a write.

use std::fs::{self, DirEntry, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::base::bounded::read_bounded;
use crate::base::tree::open_regular;

/// Follow no link, and do not block on a pipe.
const FLAGS: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();

/// Opens a file to read; `None` if there is none. Follows no link in its path: the path of the data folder is resolved.
pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    if path.parent().is_some_and(|folder| is_linked(folder).unwrap_or(false)) {
        return Ok(None);
    }
    match open_regular(path) {
        Err(error) if is_absent(&error) => Ok(None),
        opened => opened,
    }
}

/// Reads a file; `None` if it is missing or larger than `max` bytes.
pub(super) fn read(path: &Path, max: usize) -> io::Result<Option<Vec<u8>>> {
    open(path)?.map_or(Ok(None), |file| read_bounded(file, max as u64))
}

/// The entries of a folder; none if it is missing.
pub(super) fn entries(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<DirEntry>>> {
    match fs::read_dir(folder) {
        Err(error) if is_absent(&error) => Ok(None),
        found => found.map(Some),
    }
    .map(|entries| entries.into_iter().flatten())
}

/// Opens a file to write, with the options `how`. Removes a link, a pipe or the like in its place.
pub(super) fn open_to_write(path: &Path, how: &mut fs::OpenOptions) -> io::Result<File> {
    if path.symlink_metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        fs::remove_file(path)?;
    }
    how.custom_flags(FLAGS).open(path)
}

/// Whether a folder, or one above it, is a link.
pub(super) fn is_linked(folder: &Path) -> io::Result<bool> {
    for path in folder.ancestors() {
        match path.symlink_metadata() {
            Ok(found) if found.is_symlink() => return Ok(true),
            Err(error) if !is_absent(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(false)
}

/// The errors of a missing file, of a path below a file, and of a name that is too long for the file system.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::io::Write;
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_others_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "12345").unwrap();
        fs::create_dir(path("folder")).unwrap();
        symlink("file", path("link")).unwrap();
        symlink("/dev/zero", path("zero")).unwrap();
        mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert_eq!((read(&path("file"), 5).unwrap(), read(&path("file"), 4).unwrap()), (Some(b"12345".to_vec()), None));
        for name in ["folder", "link", "zero", "fifo", "none", "file/below"] {
            assert!(open(&path(name)).unwrap().is_none(), "{name}");
        }
        for name in ["link", "zero", "fifo", "file"] {
            let mut file = open_to_write(&path(name), File::options().create(true).append(true)).unwrap();
            file.write_all(b"6").unwrap();
        }
        assert_eq!(fs::read(path("file")).unwrap(), b"123456");
        for name in ["link", "zero", "fifo"] {
            assert_eq!(read(&path(name), 1).unwrap(), Some(b"6".to_vec()), "{name}");
        }
    }
}
