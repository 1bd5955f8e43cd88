//! What a command may do in the data folder, and checks of the folder for it.
//!
//! The folder may be restored from a cache, mounted read-only, or belong to another user. So its fixed entries must be real
//! folders, and a command that writes must own all fixed entries. A command that only reads accepts other owners.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::durable::Modes;
use super::error::OTHERWISE;
use super::owner::check_owner;
use super::write_failures::WriteFailures;
use crate::base::clock::Clock;

pub(super) const MARKER: &str = "sumgate-format";
/// The fixed folders.
pub(super) const FOLDERS: [&str; 7] = ["proxy", "sumdb", "pins", "quarantine", "staging", "run", "events"];

/// The access of a command to the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Only needs to read, and writes if this user may write to the folder and every fixed folder in it.
    Read,
    /// Writes.
    Write,
    /// Writes, downloads, and sweeps staging.
    Download,
}

/// How the parts of a store write to the data folder.
#[derive(Clone, Debug)]
pub(super) struct StoreOptions {
    pub(super) modes: Modes,
    pub(super) access: Access,
    /// Whether this store may write at all.
    pub(super) writes: bool,
    pub(super) write_failures: WriteFailures,
    pub(super) clock: Clock,
}

impl StoreOptions {
    /// Refuses a write if the store is read-only.
    pub(super) fn check(&self, path: &Path) -> Result<(), StoreError> {
        if self.writes {
            return Ok(());
        }
        let words = "it is only read here, for it is read-only or belongs to another user: name a data folder of this user \
                     with --data DIR or SUMGATE_DATA";
        Err(StoreError::new("write to", path, io::Error::other(words)))
    }

    /// Writes something that can be obtained again, so a failure is only logged.
    pub(super) fn try_to(&self, write: impl FnOnce() -> Result<(), StoreError>) {
        if self.writes
            && let Err(error) = write()
        {
            self.write_failures.log(&error, self.clock.steady());
        }
    }
}

/// The real path of the data folder, which is made if it is missing. An existing one keeps its owner and mode.
pub(super) fn real_root(root: &Path, modes: Modes) -> Result<PathBuf, StoreError> {
    let failed = |cause| StoreError::new("make the data folder", root, cause);
    if !root.is_dir() {
        if let Some(parent) = root.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        modes.make(root).map_err(failed)?;
    }
    root.canonicalize().map_err(|cause| StoreError::new("find the data folder", root, cause))
}

/// Checks all fixed entries with [`check_entry`]. Returns whether the store may write.
pub(super) fn check_entries(root: &Path, access: Access) -> Result<bool, StoreError> {
    let mut is_own = true;
    for name in FOLDERS {
        is_own &= check_entry(&root.join(name), access, true)?;
    }
    for name in ["list.lock", MARKER] {
        is_own &= check_entry(&root.join(name), access, false)?;
    }
    if access != Access::Read {
        return Ok(true);
    }
    Ok(is_own && unwritable(root).is_none())
}

/// Whether this user may make files in a folder.
pub(crate) fn may_write(folder: &Path) -> bool {
    use rustix::fs::Access;
    rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// The first folder that this user cannot write to: the data folder, or a fixed folder in it. Others, such as `lost+found`, are
/// not written to.
pub(crate) fn unwritable(root: &Path) -> Option<PathBuf> {
    let below = FOLDERS.iter().map(|name| root.join(name)).filter(|folder| folder.is_dir());
    std::iter::once(root.to_owned()).chain(below).find(|folder| !may_write(folder))
}

/// Whether a fixed entry belongs to this user; for a command that writes, it must. A folder must be a real folder. Anything but
/// a regular file in place of a file is treated as missing (`open`).
pub(super) fn check_entry(path: &Path, access: Access, is_folder: bool) -> Result<bool, StoreError> {
    let failed = |cause| StoreError::new("use", path, cause);
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(error) if super::open::is_absent(&error) => return Ok(true),
        Err(cause) => return Err(failed(cause)),
    };
    if is_folder && !found.is_dir() {
        let words = format!("expected a folder, found {}: remove it, {OTHERWISE}", kind(&found));
        return Err(failed(io::Error::other(words)));
    }
    match check_owner(path, &found) {
        Some(foreign) if access != Access::Read => Err(failed(io::Error::other(foreign))),
        foreign => Ok(foreign.is_none()),
    }
}

/// The kind of an entry, for messages.
pub(super) fn kind(found: &fs::Metadata) -> &'static str {
    match found.mode() & 0o170_000 {
        0o040_000 => "a folder",
        0o120_000 => "a link",
        0o100_000 => "a file",
        _ => "a pipe, a socket or a device",
    }
}
