//! Detects that a file is no longer the one that was hashed.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Device, inode, size and both times of a file. If one of them changed, the file is hashed again before a release.
///
/// No program can set `ctime`, so it also reveals a write that restores `mtime`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }

    /// That of what is at `path`. It is the file with the same identity, whatever links lead there.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&path.symlink_metadata()?))
    }

    fn from(meta: &Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// A short text that differs between successive files at one path; for entity tags.
    pub(crate) fn stamp(&self) -> String {
        format!("{:x}-{:x}-{:x}{:08x}", self.inode, self.size, self.modified.0, self.modified.1)
    }
}
